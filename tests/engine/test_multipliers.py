"""Which float width C uses where, settled by TFLite-Micro itself.

The wrong width changes a multiplier by a few units in the last of its 31 bits. Random models hardly
ever show that, so each model here is built around accumulators where the two candidates give
different outputs.
"""

import random
import struct

import numpy as np
import pytest

from agent.cognition.engine import Model, fixed_point, float32
from host import reference
from tests.engine.tflite_builder import Builder

pytestmark = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)

FLOAT, DOUBLE = float32.FLOAT_BITS, float32.DOUBLE_BITS


def number(value):
    return float32.from_bits(struct.unpack("<I", struct.pack("<f", value))[0])


def of_product(bits):
    """Multiplier of a FULLY_CONNECTED with the product of its scales taken in `bits`."""

    def multiplier(s_in, s_w, s_out):
        product = float32.product(number(s_in), number(s_w), bits)
        return fixed_point.quantize_multiplier(float32.ratio(product, number(s_out), DOUBLE))

    return multiplier


def telling_biases(scales) -> list[int]:
    """Accumulators for which a product in float and one in double give different outputs."""
    a, b = of_product(FLOAT)(*scales), of_product(DOUBLE)(*scales)
    if a == b:
        return []
    found = []
    for level in range(-120, 120):
        tie = round((2 * level + 1) * 2 ** (30 - a[1]) / a[0])
        for acc in range(tie - 300, tie + 300, 7):
            if abs(acc) < 2**31 and fixed_point.multiply(acc, *a) != fixed_point.multiply(acc, *b):
                found.append(acc)
                break
    return found


def fully_connected(scales, biases, per_channel) -> bytes:
    s_in, s_w, s_out = scales
    units = len(biases)
    s_ws = np.full(units if per_channel else 1, s_w, np.float32)
    b = Builder()
    x = b.tensor((1, 1), s_in, 0)
    w = b.tensor((units, 1), s_ws, 0, data=np.zeros(units, np.int8))
    c = b.tensor((units,), s_ws * np.float32(s_in), 0, "int32", np.array(biases, np.int32))
    y = b.tensor((1, units), s_out, 0)
    b.operator("FULLY_CONNECTED", [x, w, c], y)
    return b.build([x], [y])


@pytest.mark.parametrize("per_channel", [False, True], ids=["per tensor", "per channel"])
def test_fully_connected(per_channel):
    """The product of the scales is a double, per tensor too (a float in older versions)."""
    generator = random.Random(5)
    told = 0
    for _ in range(20):
        scales = [float(np.float32(generator.uniform(0.01, 0.02))) for _ in range(2)]
        scales.append(float(np.float32(scales[0] * scales[1] * 2**24 * generator.uniform(0.5, 1))))
        biases = telling_biases(scales)
        if len(biases) < 2:
            continue
        data = fully_connected(scales, biases, per_channel)
        model = Model(data)
        model.invoke()
        assert list(model.outputs[0]) == reference.run_reference(data, [[0]])[0].ravel().tolist()
        told += len(biases)
    assert told > 20


@pytest.mark.parametrize(("name", "right", "wrong"), [("RELU", 53, 24), ("QUANTIZE", 53, 24)])
def test_ratio(name, right, wrong):
    """Scales are divided in double."""
    generator = random.Random(6)
    told = 0
    for _ in range(20000):
        value = generator.randrange(3, 128)
        s_out = np.float32(generator.uniform(0.01, 0.1))
        # value * s_in / s_out is a tie, but for the rounding of s_in
        s_in = np.float32(s_out * (2 * generator.randrange(1, 100) + 1) / (2 * value))
        a, b = (
            fixed_point.multiply(
                value,
                *fixed_point.quantize_multiplier(float32.ratio(number(s_in), number(s_out), bits)),
            )
            for bits in (right, wrong)
        )
        if a == b or max(a, b) > 127:
            continue
        told += 1
        builder = Builder()
        x = builder.tensor((1, 1), s_in, 0)
        y = builder.operator(name, [x], builder.tensor((1, 1), s_out, 0))
        data = builder.build([x], [y])
        model = Model(data)
        model.inputs[0][0] = value
        model.invoke()
        assert model.outputs[0][0] == a
        assert reference.run_reference(data, [[value]])[0].item() == a
        if told == 20:
            break
    assert told >= 10


def half_away(value) -> int:
    return int(np.copysign(np.floor(np.abs(np.float64(value)) + 0.5), value))


@pytest.mark.parametrize(
    ("activation", "limit"), [(3, 6.0), (2, 1.0)], ids=["RELU6", "RELU_N1_TO_1"]
)
def test_activation_limits(activation, limit):
    """limit / scale is rounded to float before it is rounded to an integer."""
    generator = random.Random(7)
    told = 0
    for _ in range(300):
        s = np.float32(limit / (generator.randrange(3, 250) + 0.5))
        s = (s.view(np.int32) + np.int32(generator.randint(-1, 1))).view(np.float32)
        told += half_away(np.float32(limit) / s) != half_away(limit / np.float64(s))
        b = Builder()
        x = b.tensor((1, 1), np.float32(0.5), 0)
        w = b.tensor((2, 1), np.float32(0.5), 0, data=np.array([[127], [-127]], np.int8))
        y = b.tensor((1, 2), s, generator.randint(-128, 0))
        b.operator("FULLY_CONNECTED", [x, w], y, 6, fusedActivationFunction=activation)
        z = b.operator("RELU6", [y], b.tensor((1, 2), s, b.tensors[y]["zero_point"]))
        data = b.build([x], [y, z])
        model = Model(data)
        model.inputs[0][0] = 127
        model.invoke()
        wanted = reference.run_reference(data, [[127]], 2)
        assert [list(o) for o in model.outputs] == [o.ravel().tolist() for o in wanted]
    assert told > 10


def test_floats_quantized_near_ties():
    generator = np.random.default_rng(8)
    told = 0
    for _ in range(60):
        s = np.float32(np.exp(generator.uniform(-6, 3)))
        ties = np.float32((generator.integers(-130, 130, 64) + 0.5) * np.float64(s))
        values = (ties.view(np.int32) + generator.integers(-1, 2, 64).astype(np.int32)).view("f4")
        told += sum(half_away(v / s) != half_away(np.float64(v) / np.float64(s)) for v in values)
        b = Builder()
        x = b.tensor((1, 64), dtype="float32")
        y = b.tensor((1, 64), s, int(generator.integers(-128, 128)))
        data = b.build([x], [b.operator("QUANTIZE", [x], y, 1)])
        model = Model(data)
        model.inputs[0][:] = memoryview(values)
        model.invoke()
        wanted = reference.run_reference(data, [values])[0]
        assert list(model.outputs[0]) == wanted.ravel().tolist()
    assert told > 10


@pytest.mark.parametrize("name", ["LOGISTIC", "TANH", "SOFTMAX", "DEQUANTIZE"])
def test_every_input_at_many_scales(name):
    generator = np.random.default_rng(9)
    form = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "SOFTMAX": (1 / 256, -128)}
    for _ in range(150):
        s, zero = np.float32(np.exp(generator.uniform(-8, 4))), int(generator.integers(-128, 128))
        b = Builder()
        x = b.tensor((1, 256), s, zero)
        options = {"beta": float(generator.uniform(0.1, 5))} if name == "SOFTMAX" else {}
        if name == "DEQUANTIZE":
            y = b.tensor((1, 256), dtype="float32")
        else:
            y = b.tensor((1, 256), np.float32(form[name][0]), form[name][1])
        data = b.build([x], [b.operator(name, [x], y, **options)])
        row = np.arange(-128, 128).astype(np.int8)
        if name == "SOFTMAX":
            row = generator.integers(-128, 128, 256).astype(np.int8)
        model = Model(data)
        model.inputs[0][:] = memoryview(row)
        model.invoke()
        wanted = reference.run_reference(data, [row])[0]
        assert np.array(model.outputs[0]).tobytes() == wanted.tobytes()
