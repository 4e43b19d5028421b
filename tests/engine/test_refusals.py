"""What the engine does not run it refuses on load, by name, whatever the bytes are."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cognition.engine import ArenaError, FormatError, InputError, Model, ModelError
from agent.cognition.engine import UnsupportedError as Unsupported
from tests.engine.conftest import model_path
from tests.engine.tflite_builder import Builder, dense, random_model


@pytest.fixture(scope="module")
def hello() -> bytes:
    return model_path("hello_world").read_bytes()


def test_truncated_everywhere(hello):
    for size in range(0, len(hello), 64):
        with pytest.raises(FormatError):
            Model(hello[:size])


@pytest.mark.parametrize(
    "data",
    [b"", b"TFL3", bytes(8), bytes(4096), b"\xff" * 4096, b"PK\x03\x04" + bytes(100)],
    ids=["empty", "identifier", "zeros8", "zeros4096", "ones", "zip"],
)
def test_not_a_tflite_file(data):
    with pytest.raises(FormatError):
        Model(data)


def one(name, version=2, dtype="int8", out_dtype=None, out_zero=0, out_shape=(1, 4), **options):
    """A model of one operator without weights."""
    b = Builder()
    x = b.tensor((1, 4), 0.1, 3, dtype)
    y = b.tensor(out_shape, 1 / 256, out_zero, out_dtype or dtype)
    b.operator(name, [x], y, version, **options)
    return b.build([x], [y])


def fully_connected(**change):
    """A FULLY_CONNECTED of 4 inputs and 2 units with one thing changed."""
    b = Builder()
    x = b.tensor((1, change.get("width", 4)), 0.5, 3)
    w = b.tensor(
        change.get("shape", (2, 4)),
        change.get("w_scale", 0.5),
        change.get("w_zero", 0),
        data=None if change.get("no_data") else bytes(8),
    )
    bias = b.tensor(
        (change.get("biases", 2),),
        change.get("bias_scale", 0.25),
        0,
        "int32",
        bytes(4 * change.get("biases", 2)),
    )
    y = b.tensor((1, 2), change.get("out_scale", 1.0), 0)
    options = {
        "fusedActivationFunction": change.get("activation", 0),
        "weightsFormat": change.get("format", 0),
    }
    b.operator("FULLY_CONNECTED", [x, w, bias], y, change.get("version", 4), **options)
    return b.build([x, w] if change.get("no_data") else [x], [y])


REFUSALS = [
    (lambda: one("GATHER", 1), Unsupported, "GATHER version 1 is not supported: .*RESHAPE v1"),
    (lambda: one("LSTM", 1), Unsupported, "LSTM version 1 is not supported"),
    (lambda: one("STABLEHLO_CASE", 1), Unsupported, "STABLEHLO_CASE version 1"),
    (lambda: one("SOFTMAX", 3), Unsupported, "SOFTMAX version 3 is not .*SOFTMAX v1-2"),
    (lambda: fully_connected(version=12), Unsupported, "FULLY_CONNECTED version 12 .*v4-6"),
    (lambda: fully_connected(version=3), Unsupported, "FULLY_CONNECTED version 3"),
    (lambda: one("RELU", dtype="float32"), Unsupported, "RELU: tensor 0 is float32; only int8"),
    (lambda: one("RELU", dtype="int16"), Unsupported, "tensor 0\\) is int16; int8 and float32"),
    (lambda: one("LOGISTIC"), Unsupported, "LOGISTIC: output zero point 0; -128"),
    (lambda: one("SOFTMAX", beta=1.0), Unsupported, "SOFTMAX: output must have scale 1/256"),
    (lambda: one("SOFTMAX", out_zero=-128), Unsupported, "SOFTMAX: beta"),
    (lambda: one("RELU", out_shape=(1, 5)), Unsupported, "RELU: input shape"),
    (lambda: one("RESHAPE", 1, out_shape=(5,)), Unsupported, "RESHAPE: input shape"),
    (lambda: one("RELU", out_shape=(-1, 4)), Unsupported, "fixed batch of 1"),
    (lambda: fully_connected(w_zero=1), Unsupported, "weights with a zero point"),
    (lambda: fully_connected(format=1), Unsupported, "shuffled weights"),
    (lambda: fully_connected(activation=4), Unsupported, "fused activation 4"),
    (lambda: fully_connected(bias_scale=0.3), Unsupported, "bias scale"),
    (lambda: fully_connected(width=5), Unsupported, "do not fit weights"),
    (lambda: fully_connected(biases=3), Unsupported, "bias is int32 of 3; int32 of 2 is supported"),
    (lambda: fully_connected(w_scale=[0.5] * 3), Unsupported, "3 weight scales for 2 channels"),
    (lambda: fully_connected(no_data=True), Unsupported, "must be constants"),
    (lambda: fully_connected(out_scale=1e-30), Unsupported, "output scale is too small"),
    (lambda: fully_connected(out_scale=0.0), FormatError, "not a positive number"),
    (lambda: fully_connected(w_scale=float("nan")), FormatError, "not a positive number"),
    (lambda: fully_connected(shape=(3, 4)), FormatError, "needs 12 bytes, its buffer has 8"),
]


@pytest.mark.parametrize(("make", "error", "words"), REFUSALS, ids=[r[2][:40] for r in REFUSALS])
def test_refused(make, error, words):
    with pytest.raises(error, match=words):
        Model(make())


def test_arena_limit():
    b = Builder()
    x = b.tensor((1, 100), 0.1, 3)
    data = b.build([x], [dense(b, x, 50, random.Random(1))])
    assert Model(data, max_arena_bytes=162).ram == 162
    with pytest.raises(ArenaError, match="need 162 bytes, 161 are allowed"):
        Model(data, max_arena_bytes=161)


DEEP: list = [1.0]
for _ in range(9):
    DEEP = [DEEP]
ENDLESS: list = []
ENDLESS.append(ENDLESS)

INPUTS_THAT_DO_NOT_FIT = [
    ("[]", "0 inputs given, the model has 1"),
    ("None", "0 inputs given"),
    ("1.0", "0 inputs given"),
    ("[[1.0], [2.0]]", "2 inputs given"),
    ("[[1.0, 2.0]]", "input 0 has 1 items"),
    ("[b'12']", "input 0 has 1 items, 2 given"),
    ("[b'']", "input 0 has 1 items, 0 given"),
    ("['x']", "text"),
    ("[['x']]", "text"),
    ("'x'", "text"),
    ("[[None]]", "not all items are numbers"),
    ("[DEEP]", "nested too deep"),
    ("[ENDLESS]", "nested too deep"),
    ("[range(10**9)]", "longer than"),
]


@pytest.mark.parametrize(("inputs", "words"), INPUTS_THAT_DO_NOT_FIT)
def test_inputs_that_do_not_fit(hello, inputs, words):
    with pytest.raises(InputError, match=words):
        Model(hello).predict(eval(inputs))


def test_a_number_too_large_for_a_float32(hello):
    with pytest.raises(InputError, match="not all items are numbers"):
        Model(hello).predict([[1e300]])


MISFITS = """
import sys
from agent.cognition.engine import InputError, Model
model = Model(sys.argv[1])
DEEP = [1.0]
for _ in range(9):
    DEEP = [DEEP]
ENDLESS = []
ENDLESS.append(ENDLESS)
for inputs in %r:
    try:
        print(model.predict(eval(inputs)))
    except InputError as error:
        print(error)
"""


@pytest.mark.vm
def test_inputs_that_do_not_fit_on_the_vm(tmp_path, run_on_vm):
    script = tmp_path / "misfits.py"
    script.write_text(MISFITS % [inputs for inputs, _ in INPUTS_THAT_DO_NOT_FIT])
    told = run_on_vm(script, model_path("hello_world"))
    for line, (inputs, words) in zip(told, INPUTS_THAT_DO_NOT_FIT, strict=True):
        assert words in line, inputs


def survives(data: bytes) -> None:
    """Loading gives a model that runs, or a ModelError."""
    try:
        model = Model(data, max_arena_bytes=2048)
    except ModelError:
        return
    model.invoke()


@settings(max_examples=1500, deadline=2000)
@given(
    st.lists(st.tuples(st.integers(0, 2703), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 2704),
)
def test_mutations_of_hello_world(edits, size):
    data = bytearray(model_path("hello_world").read_bytes())
    for position, value in edits:
        data[position] = value
    survives(bytes(data))
    survives(bytes(data[:size]))


@pytest.mark.parametrize("seed", range(4))
def test_mutations_of_every_operator(seed):
    """Word-sized edits reach offsets, lengths and scales that single bytes leave nearly right."""
    original, _ = random_model(seed)
    generator = random.Random(seed)
    words = (0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7F800000, 0x00000001, 0x7F7FFFFF)
    for _ in range(250):
        data = bytearray(original)
        for _ in range(generator.randint(1, 3)):
            position = generator.randrange(0, len(data) - 4) & ~3
            data[position : position + 4] = generator.choice(words).to_bytes(4, "little")
        survives(bytes(data))


MUTATE = """
import sys
from agent.cognition.engine import Model, ModelError
with open(sys.argv[1] + "/m.tflite", "rb") as file:
    original = file.read()
state = int(sys.argv[2])
ran = refused = 0
for _ in range(int(sys.argv[3])):
    data = bytearray(original)
    for _ in range(1 + (state >> 9) % 3):
        state = (state * 1103515245 + 12345) & 0x3FFFFFFF
        position = (state >> 8) % (len(data) - 4) & ~3
        for i in range(4):
            data[position + i] = (0, 1, 255, 127, 128)[(state >> 3 * i) % 5]
    try:
        model = Model(data, 2048)
    except ModelError:
        refused += 1
        continue
    model.invoke()
    ran += 1
print(ran, refused)
"""


@pytest.mark.vm
@pytest.mark.parametrize("seed", [1, 4])
def test_mutations_on_the_vm(seed, tmp_path, run_on_vm):
    """There the engine reads weights through raw addresses: a wrong bound would be a crash."""
    (tmp_path / "m.tflite").write_bytes(random_model(seed)[0])
    script = tmp_path / "mutate.py"
    script.write_text(MUTATE)
    (line,) = run_on_vm(script, tmp_path, seed, 300)
    ran, refused = map(int, line.split())
    assert ran + refused == 300
    assert ran > 10
    assert refused > 50
