"""One small model per kind of operator: its steps and outputs are those of host/engine_costs.toml.

Where the cost of a step and of an output are to be told apart there are two of different depth.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.cognition.engine import ops
from agent.cognition.engine.graph import Graph
from host.model_costs import macs_of, steps_of
from tests.engine.tflite_builder import Builder, dense

VALID = 1
# Where other scales would leave the limits of an operator: its output's, and zero point.
FIXED = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}


@dataclass(frozen=True)
class Case:
    """steps: as host.model_costs.steps_of; unit: of what."""

    name: str
    operator: str
    model: bytes
    steps: int
    outputs: int
    unit: str


def _weights(b: Builder, x: int, shape: tuple[int, ...], dimension: int) -> list[int]:
    npr = np.random.default_rng(len(b.tensors))
    channels = shape[dimension]
    scales = np.float32(np.exp(npr.uniform(-6, -5, channels)))
    w = b.tensor(
        shape, scales, 0, data=npr.integers(-127, 128, shape, np.int8), dimension=dimension
    )
    bias = npr.integers(-8000, 8000, channels).astype(np.int32)
    return [w, b.tensor((channels,), np.float32(b.scale(x) * scales), 0, "int32", bias)]


def _dense(units: int, depth: int, per_channel: bool) -> Callable[[Builder], tuple[int, int]]:
    def make(b: Builder) -> tuple[int, int]:
        x = b.tensor((1, depth), 0.05, 3)
        return x, dense(b, x, units, random.Random(1), per_channel=per_channel)

    return make


def _window(
    name: str, size: int, depth: int, channels: int, kernel: int
) -> Callable[[Builder], tuple[int, int]]:
    """A convolution or pooling over a square image, without padding, stride 1."""

    def make(b: Builder) -> tuple[int, int]:
        x = b.tensor((1, size, size, depth), 0.05, 3)
        kind: dict[str, Any] = {"padding": VALID, "strideH": 1, "strideW": 1}
        out = size - kernel + 1
        inputs = [x]
        if name == "TRANSPOSE_CONV":
            out = size + kernel - 1
            weights = _weights(b, x, (channels, kernel, kernel, depth), 0)
            inputs = [b.ints(1, out, out, channels), weights[0], x, weights[1]]
        elif name == "DEPTHWISE_CONV_2D":
            kind["depthMultiplier"] = 1
            inputs += _weights(b, x, (1, kernel, kernel, depth), 3)
        elif name == "CONV_2D":
            inputs += _weights(b, x, (channels, kernel, kernel, depth), 0)
        else:
            kind |= {"filterHeight": kernel, "filterWidth": kernel}
        scale = 0.05 if len(inputs) == 1 else 0.2
        y = b.tensor((1, out, out, channels), scale, 3 if len(inputs) == 1 else -5)
        return x, b.operator(name, inputs, y, **kind)

    return make


def _items(
    name: str, shape: tuple[int, ...] = (1, 256), out: tuple[int, ...] = (), **more: Any
) -> Callable[[Builder], tuple[int, int]]:
    """An operator on items. constants: int32 inputs behind the first; twice: it takes x twice."""

    def make(b: Builder) -> tuple[int, int]:
        kind = dict(more)
        dtypes = kind.pop("dtypes", ("int8", "int8"))
        constants = [b.ints(*values) for values in kind.pop("constants", ())]
        scale_in, zero_in = (0.05, 3) if dtypes[0] == "int8" else (None, 0)
        x = b.tensor(shape, scale_in, zero_in, dtypes[0])
        inputs = [x, x] if kind.pop("twice", False) else [x]
        scale, zero = FIXED.get(name, kind.pop("quantised", (0.05, 3)))
        if dtypes[1] == "float32":
            y = b.tensor(out or shape, dtype="float32")
        else:
            y = b.tensor(out or shape, np.float32(scale), zero)
        return x, b.operator(name, inputs + constants, y, **kind)

    return make


def _lstm(steps: int, depth: int, units: int) -> Callable[[Builder], tuple[int, int]]:
    def make(b: Builder) -> tuple[int, int]:
        npr = np.random.default_rng(5)
        x = b.tensor((1, steps, depth), 0.02, 0)

        def weights(columns: int) -> list[int]:
            shape = units, columns
            data = [npr.integers(-127, 128, shape, np.int8) for _ in range(4)]
            return [b.tensor(shape, 0.004, 0, data=values) for values in data]

        inputs = [x, *weights(depth), *weights(units), -1, -1, -1]
        for _ in range(4):
            values = npr.integers(-9000, 9000, units).astype(np.int32)
            inputs.append(b.tensor((units,), 0.004 * 0.02, 0, "int32", values))
        inputs += [-1, -1]
        inputs.append(b.tensor((1, units), 0.0078125, 0, variable=True))
        inputs.append(b.tensor((1, units), 2.0**-11, 0, "int16", variable=True))
        y = b.tensor((1, steps, units), 0.0078125, 0)
        kind = {"fusedActivationFunction": 4, "timeMajor": False, "cellClip": 0.0}
        return x, b.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs + [-1] * 4, y, **kind)

    return make


CASES: dict[str, Callable[[Builder], tuple[int, int]]] = {
    "FULLY_CONNECTED 64 -> 64, one scale": _dense(64, 64, False),
    "FULLY_CONNECTED 64 -> 64": _dense(64, 64, True),
    "FULLY_CONNECTED 8 -> 64": _dense(64, 8, True),
    "CONV_2D 3x3, 8 -> 8": _window("CONV_2D", 6, 8, 8, 3),
    "CONV_2D 1x1, 8 -> 8": _window("CONV_2D", 4, 8, 8, 1),
    "DEPTHWISE_CONV_2D 3x3, 8": _window("DEPTHWISE_CONV_2D", 6, 8, 8, 3),
    "DEPTHWISE_CONV_2D 2x2, 8": _window("DEPTHWISE_CONV_2D", 5, 8, 8, 2),
    "TRANSPOSE_CONV 3x3, 4 -> 4": _window("TRANSPOSE_CONV", 4, 4, 4, 3),
    "TRANSPOSE_CONV 1x1, 4 -> 4": _window("TRANSPOSE_CONV", 6, 4, 4, 1),
    "UNIDIRECTIONAL_SEQUENCE_LSTM 12 of 4 -> 10": _lstm(12, 4, 10),
    "UNIDIRECTIONAL_SEQUENCE_LSTM 12 of 4 -> 2": _lstm(12, 4, 2),
    "AVERAGE_POOL_2D 3x3, 8": _window("AVERAGE_POOL_2D", 6, 8, 8, 3),
    "AVERAGE_POOL_2D 1x1, 8": _window("AVERAGE_POOL_2D", 4, 8, 8, 1),
    "MAX_POOL_2D 3x3, 8": _window("MAX_POOL_2D", 6, 8, 8, 3),
    "MAX_POOL_2D 1x1, 8": _window("MAX_POOL_2D", 4, 8, 8, 1),
    "MEAN 256 -> 8": _items(
        "MEAN", (1, 32, 8), (1, 8), constants=[(1,)], keepDims=False, quantised=(0.04, 3)
    ),
    "MEAN 64 -> 32": _items(
        "MEAN", (1, 2, 32), (1, 32), constants=[(1,)], keepDims=False, quantised=(0.04, 3)
    ),
    "SUM 256 -> 8": _items(
        "SUM", (1, 32, 8), (1, 8), constants=[(1,)], keepDims=False, quantised=(0.4, 3)
    ),
    "ADD": _items("ADD", twice=True, quantised=(0.1, 3)),
    "SUB": _items("SUB", twice=True, quantised=(0.1, 3)),
    "MUL": _items("MUL", twice=True, quantised=(0.3, 3)),
    "SQUARED_DIFFERENCE": _items("SQUARED_DIFFERENCE", twice=True, quantised=(0.3, 3)),
    "MAXIMUM": _items("MAXIMUM", twice=True),
    "MINIMUM": _items("MINIMUM", twice=True),
    "RELU": _items("RELU"),
    "RELU6": _items("RELU6"),
    "LEAKY_RELU": _items("LEAKY_RELU", alpha=0.1),
    "HARD_SWISH": _items("HARD_SWISH"),
    "LOGISTIC": _items("LOGISTIC"),
    "TANH": _items("TANH"),
    "QUANTIZE": _items("QUANTIZE", quantised=(0.1, -7)),
    "QUANTIZE from float32": _items("QUANTIZE", dtypes=("float32", "int8")),
    "DEQUANTIZE": _items("DEQUANTIZE", dtypes=("int8", "float32")),
    "SOFTMAX of 10": _items("SOFTMAX", (1, 10), beta=1.0),
    "TRANSPOSE": _items("TRANSPOSE", (16, 16), constants=[(1, 0)]),
    "CONCATENATION": _items("CONCATENATION", (1, 128), (1, 256), twice=True, axis=1),
    "PAD": _items("PAD", (14, 14), (16, 16), constants=[(1, 1, 1, 1)]),
    "STRIDED_SLICE": _items(
        "STRIDED_SLICE", (16, 32), (16, 16), constants=[(0, 0), (16, 32), (1, 2)], version=1
    ),
    "RESIZE_NEAREST_NEIGHBOR": _items(
        "RESIZE_NEAREST_NEIGHBOR", (1, 4, 4, 4), (1, 8, 8, 4), constants=[(8, 8)]
    ),
}


def made(name: str) -> Case:
    """A case by its name in CASES. Needs the schema classes of the tensorflow package."""
    b = Builder()
    x, y = CASES[name](b)
    model = b.build([x], [y])
    op = Graph(model, ops.name_of).operators[0]
    return Case(
        name, op.name, model, steps_of(op), op.outputs[0].size, "MAC" if macs_of(op) else "item"
    )
