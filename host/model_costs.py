"""What a model's operators cost: multiply-accumulates, steps, instructions per kernel set."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

from agent.cognition.engine import ops, schema
from agent.cognition.engine.graph import Graph, Operator

COSTS = Path(__file__).with_name("engine_costs.toml")

# Inputs of UNIDIRECTIONAL_SEQUENCE_LSTM: input and recurrent weights of its four gates.
_LSTM_WEIGHTS = range(1, 9)


@dataclass(frozen=True)
class KernelSet:
    """instructions: by operator, (per step, per output item, per item gathered into a window).
    source: how they were counted.
    """

    name: str
    clock_mhz: int
    source: str
    instructions: dict[str, tuple[float, float, float]]


@cache
def kernel_sets() -> dict[str, KernelSet]:
    """The sets of engine_costs.toml; an operator a set does not have is the portable one's."""
    raw = tomllib.loads(COSTS.read_text(encoding="utf-8"))
    result: dict[str, KernelSet] = {}
    for name, table in raw.items():
        given = {key: _three(v) for key, v in table.items() if isinstance(v, list)}
        base = result["portable"].instructions if result else {}
        result[name] = KernelSet(name, table["clock_mhz"], table["source"], {**base, **given})
    return result


def _three(figures: list[float]) -> tuple[float, float, float]:
    per_step, per_output, per_gathered = [*figures, 0][:3]
    return per_step, per_output, per_gathered


def set_of(chip: str) -> str:
    """The kernel set a chip gets (firmware/agent/cognition/engine/kernels/choice.py)."""
    # What compiles is loaded only where it is asked for.
    from host.devices.build import CHIPS

    # Simulated boards run no machine code.
    return CHIPS[chip].kernels or "viper" if chip in CHIPS else "portable"


def macs_of(op: Operator) -> int:
    """Multiply-accumulates of one operator. Taps that padding cuts off are counted."""
    y = op.outputs[0]
    if op.name == "FULLY_CONNECTED" and op.inputs[1]:
        return y.size * op.inputs[1].shape[-1]
    if op.name == "CONV_2D" and op.inputs[1]:
        return y.size * prod(op.inputs[1].shape[1:])
    if op.name == "DEPTHWISE_CONV_2D" and op.inputs[1]:
        return y.size * prod(op.inputs[1].shape[1:3])
    if op.name == "TRANSPOSE_CONV" and op.inputs[2]:
        return prod(op.inputs[2].shape[:3]) * op.inputs[1].size
    if op.name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        x = op.inputs[0]
        given = [op.inputs[i] for i in _LSTM_WEIGHTS if i < len(op.inputs) and op.inputs[i]]
        return prod(x.shape[:-1]) * sum(t.size for t in given)
    return 0


def count_macs(model: bytes) -> int:
    """Multiply-accumulates of one invoke. Raises the engine's ModelError on a damaged file."""
    return sum(macs_of(op) for op in Graph(model, ops.name_of).operators)


def steps_of(op: Operator) -> int:
    """Turns of the operator's innermost loop, see engine_costs.toml."""
    if op.name in ("AVERAGE_POOL_2D", "MAX_POOL_2D") and op.options:
        height, width = op.options.i32(4), op.options.i32(3)
        x = op.inputs[0]
        return op.outputs[0].size * min(height, x.shape[1]) * min(width, x.shape[2])
    if op.name in ("MEAN", "SUM"):
        return op.inputs[0].size
    return macs_of(op) or sum(tensor.size for tensor in op.outputs)


def instructions(op: Operator, kernels: KernelSet) -> int:
    """Estimated instructions of one operator in one invoke."""
    y = op.outputs[0]
    if y.type == schema.INT32:  # shapes are computed once, at load
        return 0
    name = op.name
    if name == "QUANTIZE" and op.inputs[0].type == schema.FLOAT32:
        name = "QUANTIZE_FLOAT"
    table = kernels.instructions
    per_step, per_output, per_gathered = table.get(name, table["OTHER"])
    gathered = _gathered(op) if per_gathered else 0
    return round(steps_of(op) * per_step + y.size * per_output + gathered * per_gathered)


def _gathered(op: Operator) -> int:
    """Items a convolution copies into windows: none where a window is one pixel after the other."""
    weights = op.inputs[1]
    if op.name != "CONV_2D" or not weights or not op.options:
        return 0
    out, terms = op.outputs[0].shape, prod(weights.shape[1:])
    if prod(weights.shape[1:3]) == 1 and out[1:3] == op.inputs[0].shape[1:3]:
        return 0
    return prod(out[:3]) * terms


def weights_bytes(op: Operator) -> int:
    """Bytes of the operator's constants, which stay in the file."""
    return sum(tensor.bytes for tensor in op.inputs if tensor and tensor.begin)
