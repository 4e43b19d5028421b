"""Convolutions: random graphs as TFLite-Micro computes them, here and on the VM."""

import random

import numpy as np
import pytest

from agent.cognition.engine import Model, UnsupportedError
from agent.cognition.engine.ops import depthwise
from host import reference
from tests.engine import convolution_cases, operator_cases
from tests.engine.test_multipliers import telling_biases
from tests.engine.tflite_builder import Builder

ROWS = 4
CASES = {
    "CONV_2D": convolution_cases.convolution,
    "CONV_2D_GROUPED": convolution_cases.grouped_convolution,
    "DEPTHWISE_CONV_2D": convolution_cases.depthwise,
    "TRANSPOSE_CONV": convolution_cases.transposed,
}

needs_tflm = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)


@pytest.fixture(scope="module")
def models():
    return operator_cases.files(CASES, 400)


@pytest.fixture(scope="module")
def wanted(models):
    return operator_cases.wanted(models, ROWS)


@needs_tflm
def test_on_cpython(models, wanted):
    assert operator_cases.names(models) == set(CASES)
    assert operator_cases.differing(operator_cases.on_cpython(models, ROWS), wanted) == []


def test_one_channel_at_a_time(models, monkeypatch):
    """As boards with native kernels have it."""
    few = {name: data for name, data in models.items() if name.startswith("DEPTHWISE")}
    assert few
    four = operator_cases.on_cpython(few, ROWS)
    monkeypatch.setattr(depthwise, "FOUR_CHANNELS", 0)
    assert operator_cases.differing(operator_cases.on_cpython(few, ROWS), four) == []


@needs_tflm
@pytest.mark.parametrize("name", CASES)
def test_cases_exercise_the_operator(name, wanted):
    assert operator_cases.share_inside(wanted, name + "_") > 0.4


@needs_tflm
@pytest.mark.vm
def test_on_the_vm(models, wanted, tmp_path, run_on_vm):
    got = operator_cases.on_vm(models, ROWS, tmp_path, run_on_vm)
    assert operator_cases.differing(got, wanted) == []


def one(name="CONV_2D", **change) -> bytes:
    """A convolution of a 4 x 4 image of 2 channels to 3 with one thing changed."""
    b = Builder()
    sizes = {
        "CONV_2D": ((1, 4, 4, 2), (3, 3, 3, 2), (1, 4, 4, 3)),
        "DEPTHWISE_CONV_2D": ((1, 4, 4, 3), (1, 3, 3, 3), (1, 4, 4, 3)),
        "TRANSPOSE_CONV": ((1, 2, 2, 2), (3, 3, 3, 2), (1, 4, 4, 3)),
    }[name]
    x_shape, w_shape, y_shape = (
        change.get(key, size) for key, size in zip(("x", "w", "y"), sizes, strict=True)
    )
    x = b.tensor(x_shape, 0.5, 3, change.get("dtype", "int8"))
    w = b.tensor(
        w_shape,
        change.get("w_scale", 0.25),
        change.get("w_zero", 0),
        data=np.full(w_shape, change.get("value", 1), np.int8),
        dimension=change.get("dimension", 0),
    )
    given = np.int32(change.get("bias", (5, -6, 7)))
    bias = b.tensor((len(given),), 0.125, 0, "int32", given)
    y = b.tensor(y_shape, change.get("out_scale", 4.0), 1)
    options = {"padding": 0, "strideH": 1, "strideW": 1}
    inputs = [x, w, bias]
    if name == "CONV_2D":
        options |= {"dilationHFactor": 1, "dilationWFactor": 1}
    if name == "DEPTHWISE_CONV_2D":
        options |= {"dilationHFactor": 1, "dilationWFactor": 1, "depthMultiplier": 1}
    if name == "TRANSPOSE_CONV":
        options |= {"strideH": 2, "strideW": 2}
        inputs = [b.tensor((4,), dtype="int32", data=np.int32(y_shape)), w, x, bias]
    options |= change.get("options", {})
    b.operator(name, inputs, y, change.get("version", 3), **options)
    return b.build([x], [y])


REFUSALS = [
    (lambda: one(version=9), "CONV_2D version 9"),
    (lambda: one("DEPTHWISE_CONV_2D", version=8), "DEPTHWISE_CONV_2D version 8"),
    (lambda: one("TRANSPOSE_CONV", version=6), "TRANSPOSE_CONV version 6"),
    (lambda: one(dtype="int16"), "is int16"),
    (lambda: one(w_zero=3), "weights with a zero point"),
    (lambda: one(w_scale=[0.5] * 2), "2 weight scales for 3 channels"),
    (lambda: one(w_scale=[0.5] * 3, dimension=3), "3 weight scales for 3 channels"),
    (lambda: one(bias=(1, 2)), "bias is int32 of 2; int32 of 3"),
    (lambda: one(x=(4, 4, 2)), "images are supported"),
    (lambda: one(x=(2, 4, 4, 2)), "images are supported"),
    (lambda: one(w=(3, 3, 3, 4)), "gives no"),
    (lambda: one(y=(1, 4, 3, 3)), "gives no"),
    (lambda: one(w=(2, 3, 3, 2)), "int32 of 2 is supported"),
    (lambda: one(out_scale=1e-12), "output scale is too small"),
    (lambda: one(options={"strideW": 0}), "stride 0"),
    (lambda: one(options={"strideW": -1}), "stride -1"),
    (lambda: one(options={"dilationHFactor": 0}), "dilation 0"),
    (lambda: one(options={"dilationHFactor": 1 << 30}), "dilation 1073741824"),
    (lambda: one(options={"padding": 2}), "padding 2"),
    (lambda: one(options={"padding": 1}), "gives no"),
    (lambda: one(options={"fusedActivationFunction": 4}), "fused activation 4"),
    (lambda: one("DEPTHWISE_CONV_2D", options={"depthMultiplier": 2}), "2 per channel, gives no"),
    (lambda: one("TRANSPOSE_CONV", options={"strideH": 1}), "gives no"),
    (lambda: one("TRANSPOSE_CONV", w=(3, 3, 3, 3)), "gives no"),
]


@pytest.mark.parametrize(("make", "words"), REFUSALS, ids=[words for _, words in REFUSALS])
def test_refused(make, words):
    with pytest.raises(UnsupportedError, match=words):
        Model(make())


BIG = (2**31 - 2**20, -(2**31) + 2**20, 2**30)


def wide() -> dict[str, bytes]:
    """Accumulators that leave 31-bit small ints, some of which wrap in C."""
    result = {
        f"wide_{name}_{number}": one(name, bias=bias, value=value, out_scale=scale)
        for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
        for number, (bias, value, scale) in enumerate(
            [(BIG, 127, 1.0e6), (BIG, -128, 2.0e6), ((2**27, -(2**27), 1), 127, 1.0e5),
             ((9, -9, 4), 1, 1e-7)]
        )
    }  # fmt: skip
    # 255 * 128 * 4,200 is past 2**27.
    deep = one(x=(1, 1, 1, 4200), w=(3, 1, 1, 4200), y=(1, 1, 1, 3), value=-128, out_scale=6.0e5)
    return result | {"wide_CONV_2D_deep": deep}


@needs_tflm
def test_wide_accumulators():
    models = wide()
    expected = operator_cases.wanted(models, 6)
    assert operator_cases.differing(operator_cases.on_cpython(models, 6), expected) == []


@needs_tflm
@pytest.mark.vm
def test_wide_accumulators_on_the_vm(tmp_path, run_on_vm):
    models = wide()
    expected = operator_cases.wanted(models, 6)
    got = operator_cases.on_vm(models, 6, tmp_path, run_on_vm)
    assert operator_cases.differing(got, expected) == []


@needs_tflm
@pytest.mark.parametrize("per_channel", [False, True], ids=["per tensor", "per channel"])
@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_multipliers_are_computed_in_double(name, per_channel):
    """With biases for which a product of the scales in float gives another output."""
    generator = random.Random(5)
    told = 0
    for _ in range(20):
        scales = [float(np.float32(generator.uniform(0.01, 0.02))) for _ in range(2)]
        scales.append(float(np.float32(scales[0] * scales[1] * 2**24 * generator.uniform(0.5, 1))))
        biases = telling_biases(scales)
        n = len(biases)
        if n < 2:
            continue
        b = Builder()
        x = b.tensor((1, 1, 1, 1), scales[0], 0)
        size, dimension = ((1, 1, 1, n), 3) if name[0] == "D" else ((n, 1, 1, 1), 0)
        s_w = np.full(n if per_channel else 1, scales[1], np.float32)
        w = b.tensor(size, s_w, 0, data=bytes(n), dimension=dimension)
        c = b.tensor((n,), s_w * np.float32(scales[0]), 0, "int32", np.int32(biases))
        y = b.tensor((1, 1, 1, n), scales[2], 0)
        kind = {"padding": 0, "strideH": 1, "strideW": 1}
        kind |= {"depthMultiplier": n} if name[0] == "D" else {}
        shape = b.tensor((4,), dtype="int32", data=np.int32((1, 1, 1, n)))
        b.operator(name, [shape, w, x, c] if name[0] == "T" else [x, w, c], y, 3, **kind)
        data = b.build([x], [y])
        model = Model(data)
        model.invoke()
        assert list(model.outputs[0]) == reference.run_reference(data, [[0]])[0].ravel().tolist()
        told += n
    assert told > 20
