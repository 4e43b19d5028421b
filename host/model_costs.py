"""What a model's operators cost: multiply-accumulates, steps, instructions per kernel set."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

from agent.cognition.engine import ops, schema
from agent.cognition.engine.graph import Graph, Operator

COSTS = Path(__file__).with_name("engine_costs.toml")

# Inputs of UNIDIRECTIONAL_SEQUENCE_LSTM: input and recurrent weights of its four gates.
_LSTM_WEIGHTS = range(1, 9)


Cost = tuple[float, float, float, float]


@dataclass(frozen=True)
class KernelSet:
    """instructions: by operator, (per step, per output item, per item gathered into a window, per
    layer). own: the operators it computes itself. call: what a call from Python takes; with `fused`
    consecutive own operators share one. turn: products it computes at once. source: how all of
    that was counted.
    """

    name: str
    clock_mhz: int
    source: str
    instructions: dict[str, Cost]
    own: frozenset[str]
    call: int
    fused: bool
    turn: int


@cache
def kernel_sets() -> dict[str, KernelSet]:
    """The sets of engine_costs.toml; an operator a set does not have is the portable one's."""
    raw = tomllib.loads(COSTS.read_text(encoding="utf-8"))
    result: dict[str, KernelSet] = {}
    for name, table in raw.items():
        given = {key: _four(v) for key, v in table.items() if isinstance(v, list)}
        base = result["portable"].instructions if result else {}
        result[name] = KernelSet(
            name,
            table["clock_mhz"],
            table["source"],
            {**base, **given},
            frozenset(given),
            table["call"],
            table.get("fused", False),
            table.get("turn", 1),
        )
    return result


def _four(figures: list[float]) -> Cost:
    per_step, per_output, per_gathered, per_layer = [*figures, 0, 0, 0][:4]
    return per_step, per_output, per_gathered, per_layer


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
    """Estimated instructions of one operator in one invoke, without the call from Python."""
    y = op.outputs[0]
    if y.type == schema.INT32 or not _runs(op.name, kernels):
        return 0
    name = op.name
    if name == "QUANTIZE" and op.inputs[0].type == schema.FLOAT32:
        name = "QUANTIZE_FLOAT"
    table = kernels.instructions
    per_step, per_output, per_gathered, per_layer = table.get(name, table["OTHER"])
    gathered = _gathered(op) if per_gathered else 0
    steps = steps_of(op)
    if kernels.turn > 1 and name in ("FULLY_CONNECTED", "CONV_2D"):
        # Rows are computed in whole turns.
        depth = steps // y.size
        steps = y.size * (depth + -depth % kernels.turn)
    return round(steps * per_step + y.size * per_output + gathered * per_gathered + per_layer)


def calls(operators: Sequence[str], kernels: KernelSet) -> int:
    """How many calls from Python one invoke of a model of these operators takes."""
    count, joined = 0, False
    for name in operators:
        if not _runs(name, kernels):
            continue
        own = kernels.fused and name in kernels.own
        count += not (own and joined)
        joined = own
    return count


def _runs(name: str, kernels: KernelSet) -> bool:
    # RESHAPE and its like, and shapes, are all done when a model is loaded.
    return any(kernels.instructions.get(name, (1,)))


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
