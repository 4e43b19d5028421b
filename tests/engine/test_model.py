"""predict(), the arena, and what a caller may pass."""

from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cognition.engine import Model
from agent.cognition.engine.planner import ALIGNMENT, Span, place
from tests.engine.conftest import model_path
from tests.engine.tflite_builder import Builder, random_model


@pytest.fixture(scope="module")
def hello() -> Model:
    return Model(str(model_path("hello_world")))


SINE_OF_1 = [
    [[1.0]], [[[1.0]]], [(1.0,)], [1.0], [array("f", [1.0])], [np.array([[1.0]])],
    [np.float32([1.0])], [bytes([256 - 87])], [array("b", [-87])], [np.array([-87], np.int8)],
    [lambda view: view.__setitem__(0, -87)], [np.float32(1.0)], [np.array(1.0)], np.array([1.0]),
    [np.int64([1])], [np.array([True])],
]  # fmt: skip


@pytest.mark.parametrize("inputs", SINE_OF_1, ids=lambda i: type(i[0]).__name__)
def test_predict_takes(hello, inputs):
    """1.0 is quantised to round(1.0 / 0.02448) - 128 = -87."""
    (output,) = hello.predict(inputs)
    assert list(output) == [pytest.approx(0.8208, abs=1e-4)]


@pytest.mark.parametrize("order", ["C", "F"])
def test_int8_arrays_of_any_shape_are_raw(order):
    """As those of one dimension are: not numbers in the input's unit."""
    b = Builder()
    x = b.tensor((2, 3), 0.5, 3)
    y = b.operator("RESHAPE", [x], b.tensor((6,), 0.5, 3), 1)
    model = Model(b.build([x], [y]))
    raw = np.array([[1, -2, 3], [4, 127, -128]], np.int8, order=order)
    wanted = [(v - 3) / 2 for v in (1, -2, 3, 4, 127, -128)]
    for same in (raw, raw.reshape(6, 1), raw.view(np.uint8), np.repeat(raw.ravel(), 2)[::2]):
        assert list(model.predict([same])[0]) == wanted


def test_predict_is_near_a_sine(hello):
    for x in np.linspace(0, 6.2, 50):
        assert hello.predict([[x]])[0][0] == pytest.approx(np.sin(x), abs=0.15)


def test_float_inputs_and_outputs():
    model = Model(random_model(9)[0], keep_inputs=True)
    assert model.input_dtype == ["f"]
    assert "f" in model.output_dtype
    values = np.linspace(-1, 1, len(model.inputs[0]))
    outputs = model.predict([list(values)])
    assert list(model.inputs[0]) == [np.float32(v) for v in values]
    for output, shape in zip(outputs, model.output_shape, strict=True):
        assert len(output) == np.prod(shape)


def test_several_inputs_and_outputs():
    b = Builder()
    x, y = b.tensor((1, 2), 1.0, 0), b.tensor((1, 3), 1.0, 0)
    u, v = b.tensor((1, 2), 1.0, 0), b.tensor((1, 3), 1.0, 0)
    b.operator("RELU", [x], u)
    b.operator("RELU", [y], v)
    model = Model(b.build([y, x], [v, u]))
    assert model.input_shape == [(1, 3), (1, 2)]
    outputs = model.predict([[-1, 2, 3], [4, -5]])
    assert [list(output) for output in outputs] == [[0, 2, 3], [4, 0]]


def test_reshape_shares_its_inputs_bytes():
    b = Builder()
    x = b.tensor((1, 48), 1.0, 0)
    y = b.operator("RELU", [x], b.tensor((1, 48), 1.0, 0))
    z = b.operator("RESHAPE", [y], b.tensor((6, 8), 1.0, 0))
    w = b.operator("RELU", [z], b.tensor((6, 8), 1.0, 0))
    data = b.build([x], [w])
    model = Model(data)
    assert model.ram == 2 * 48
    assert Model(data, keep_inputs=True).ram == 3 * 48
    assert model.ops == ["RELU", "RESHAPE", "RELU"]


SPANS = st.lists(
    st.tuples(st.integers(1, 100), st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=12
)


@given(SPANS)
def test_no_two_live_tensors_overlap(items):
    spans = [Span(size, min(a, b), max(a, b)) for size, a, b in items]
    end = place(spans)
    assert end == max(s.begin + s.size for s in spans)
    assert all(s.begin % ALIGNMENT == 0 for s in spans)
    for i, s in enumerate(spans):
        for t in spans[:i]:
            alive_together = s.first <= t.last and t.first <= s.last
            apart = s.begin + s.size <= t.begin or t.begin + t.size <= s.begin
            assert apart or not alive_together


@pytest.mark.parametrize(
    ("items", "size"),
    [
        ([(640, -1, 2), (128, 0, 1), (128, 1, 2)], 896),
        ([(16, 0, 1), (16, 1, 2), (16, 2, 3), (16, 3, 4)], 32),
        ([(100, 0, 1), (10, 1, 2), (100, 2, 3)], 122),
    ],
    ids=["chain", "ping-pong", "hole"],
)
def test_arena_is_as_small_as_it_can_be(items, size):
    assert place([Span(*item) for item in items]) == size


SCALES = (0.0244, 1.0, 0.5, 3e-5, 77.7, 1 / 3, 1e-31)

QUANTISE = """
import struct, sys
from agent.cognition.engine import InputError, Model
for k in range(int(sys.argv[2])):
    model = Model("%s/%d.tflite" % (sys.argv[1], k), keep_inputs=True)
    with open("%s/%d.in" % (sys.argv[1], k), "rb") as file:
        data = file.read()
    values = struct.unpack("<%df" % (len(data) // 4), data)
    width = len(model.inputs[0])
    for start in range(0, len(values), width):
        (output,) = model.predict([list(values[start : start + width])])
        print(bytes([v & 255 for v in model.inputs[0]]).hex(), bytes(memoryview(output)).hex())
    model.predict([tuple(values[:width])])
    for wrong in ([1.0] * (width - 1), [1.0] * (width + 1), ["x"] * width):
        try:
            model.predict([wrong])
        except InputError:
            print("InputError")
"""


@pytest.mark.vm
def test_numbers_on_the_vm_are_rounded_as_in_c(tmp_path, run_on_vm):
    """Ties, their neighbours, numbers far outside, NaN: as float32 division and lround do it."""
    rng = np.random.default_rng(3)
    wanted = []
    for k, scale in enumerate(np.float32(SCALES)):
        zero_point = int(rng.integers(-128, 128))
        b = Builder()
        x = b.tensor((1, 8), float(scale), zero_point)
        y = b.operator("RESHAPE", [x], b.tensor((8,), float(scale), zero_point), 1)
        (tmp_path / f"{k}.tflite").write_bytes(b.build([x], [y]))
        ties = (rng.integers(-300, 300, 160) + 0.5).astype(np.float32) * scale
        beside = [np.nextafter(ties, np.float32(to)) for to in (-np.inf, np.inf)]
        far = np.float32([0, -0.0, 1e9, -1e9, 3e38, -3e38, np.inf, -np.inf, np.nan, 1e-40, 0, 0])
        wide = rng.uniform(-700, 700, 164).astype(np.float32) * scale
        values = np.concatenate([ties, *beside, far, wide, rng.normal(0, 9, 160) * scale])
        values = values.astype(np.float32)[: len(values) // 8 * 8]
        (tmp_path / f"{k}.in").write_bytes(values.tobytes())
        with np.errstate(all="ignore"):
            quotients = values / scale
            rounded = np.trunc(quotients + np.copysign(np.float64(0.5), quotients))
            rounded = np.nan_to_num(rounded, nan=0, posinf=999, neginf=-999)
            raw = np.clip(np.clip(rounded, -999, 999) + zero_point, -128, 127).astype(np.int8)
            floats = (raw.astype(np.float32) - zero_point) * scale
        for row, out in zip(raw.reshape(-1, 8), floats.reshape(-1, 8), strict=True):
            wanted.append(f"{row.tobytes().hex()} {out.tobytes().hex()}")
        wanted += ["InputError"] * 3
    script = tmp_path / "quantise.py"
    script.write_text(QUANTISE)
    assert run_on_vm(script, tmp_path, len(SCALES)) == wanted
