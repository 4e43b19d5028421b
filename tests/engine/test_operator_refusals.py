"""What the operators beyond the dense family refuse on load, by name and with the reason."""

import numpy as np
import pytest

from agent.cognition.engine import Model, UnsupportedError
from tests.engine.tflite_builder import Builder


def model(
    name, shapes, out=(1, 4), ints=(), scales=(0.1, 0.1), out_scale=0.1, dtype="int8", **kind
):
    """One operator: activations of `shapes`, then constant int32 vectors `ints`."""
    b = Builder()
    inputs = [b.tensor(s, scales[i % 2], 3, dtype) for i, s in enumerate(shapes)]
    constants = [b.ints(*values) for values in ints]
    y = b.tensor(out, out_scale, kind.pop("out_zero", 3), kind.pop("out_dtype", dtype))
    operands = constants + inputs if kind.pop("constants_first", False) else inputs + constants
    b.operator(name, operands, y, kind.pop("version", None), **kind)
    return b.build(inputs, [y])


def constant_input(name):
    b = Builder()
    x = b.tensor((1, 4), 0.1, 3, data=np.zeros(4, np.int8))
    z = b.tensor((1, 4), 0.1, 3)
    y = b.tensor((1, 4), 0.1, 3)
    b.operator(name, [x], y)
    return b.build([z], [y])


def axes_computed():
    b = Builder()
    x = b.tensor((1, 4), 0.1, 3)
    axes = b.tensor((1,), 0.1, 3)
    y = b.tensor((1,), 0.1, 3)
    b.operator("MEAN", [x, axes], y)
    return b.build([x, axes], [y])


A, B, C = (1, 4), (1, 3), (4, 1)
REFUSALS = [
    (lambda: model("ADD", [A, A], version=3), "ADD version 3 is not supported: .*ADD v1-2"),
    (lambda: model("ADD", [A]), "ADD: has 1 inputs"),
    (lambda: model("ADD", [A, B]), r"shapes \(1, 4\) and \(1, 3\) do not match"),
    (lambda: model("ADD", [A, C]), r"output shape \(1, 4\)"),
    (lambda: model("ADD", [A, A], out_scale=1e-9), "ADD: output scale is too small"),
    (lambda: model("MUL", [A, A], out_scale=1e-9), "MUL: output scale is too small"),
    (lambda: model("SUB", [A, A], fusedActivationFunction=4), "SUB: fused activation 4"),
    (lambda: model("MUL", [A, A], out_dtype="int32"), "model input or output|only int8"),
    (lambda: model("SQUARED_DIFFERENCE", [A, A], out_scale=1e-9), "output scale is too small"),
    (lambda: model("LEAKY_RELU", [A], alpha=float("inf")), "alpha is not a number"),
    (lambda: model("HARD_SWISH", [A], out_scale=1e-6), "scales lie too far apart"),
    (lambda: constant_input("RELU"), "tensor 0, is a constant"),
    (lambda: constant_input("SQUEEZE"), "tensor 0, is a constant"),
    (lambda: model("MEAN", [A], (1,), [(2,)]), "axis 2 of 2 dimensions"),
    (lambda: model("MEAN", [A], (2,), [(1,)]), "over axes"),
    (axes_computed, "only int32 is supported there|must be a constant"),
    (
        lambda: model("CONCATENATION", [A, A], (1, 9), axis=1),
        "2 parts of shape .1, 4. do not give .1, 9.",
    ),
    (lambda: model("CONCATENATION", [A, A], (1, 8), scales=(0.1, 0.2), axis=1), "different scales"),
    (lambda: model("CONCATENATION", [A, A], (1, 8), axis=2), "axis 2 of 2 dimensions"),
    (lambda: model("PACK", [A, A], (1, 4, 3), axis=2, valuesCount=2), "do not give .1, 4, 3."),
    (lambda: model("PACK", [A, A], (1, 4, 2), axis=2), "do not say 2 tensors"),
    (
        lambda: model("SPLIT", [A], (1, 3), [(1,)], constants_first=True),
        "part of shape .1, 3., all of it .1, 4.",
    ),
    (lambda: model("PAD", [A], (1, 5), [(0, 0, 1, 1)]), "PAD: .*paddings|input shape"),
    (lambda: model("TRANSPOSE", [A], (4, 1), [(0, 0)]), "order"),
    (lambda: model("TRANSPOSE", [A], (1, 4), [(1, 0)]), "output shape"),
    (lambda: model("STRIDED_SLICE", [A], A, [(0, 0), (1, 4), (1, 0)]), "at most 4, no stride is 0"),
    (lambda: model("STRIDED_SLICE", [A], B, [(0, 0), (1, 4), (1, 1)]), "slice of shape"),
    (
        lambda: model("STRIDED_SLICE", [A], A, [(0, 0), (1, 4), (1, 1)], ellipsisMask=1),
        "ellipsis",
    ),
    (lambda: model("RESIZE_NEAREST_NEIGHBOR", [A], A, [(1, 4)]), "input shape"),
    (lambda: model("EXPAND_DIMS", [A], (1, 5), [(0,)]), "input shape"),
    (lambda: model("SHAPE", [A], (3,), out_dtype="int32"), "SHAPE: output is int32 of shape"),
    (lambda: model("UNIDIRECTIONAL_SEQUENCE_LSTM", [A]), "has 1 inputs"),
]


@pytest.mark.parametrize(("make", "words"), REFUSALS, ids=[r[1][:40] for r in REFUSALS])
def test_refused(make, words):
    with pytest.raises(UnsupportedError, match=words):
        Model(make())
