"""The arena is no larger than TFLite-Micro's own for the same model.

TFLite-Micro's interpreter reports its arena in two parts. The head holds what its memory planner
placed: activations and scratch buffers of one invoke. The tail holds what lives as long as the
model: tensor and node structs, multipliers, state. `Model.ram` counts activations and states, so
it is compared with the head, the smaller part; states, which C keeps in the tail, are added to it.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cognition.engine import Model, ops, planner
from agent.cognition.engine.graph import Graph
from agent.cognition.engine.planner import Span, place
from host import reference
from tests.engine import convolution_cases
from tests.engine import operator_cases as cases
from tests.engine.conftest import model_path
from tests.engine.tflite_builder import Builder, dense, random_model

SHIPPED = ("cooling", "anomaly")
ROWS = 3

pytestmark = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)


def states(model: bytes) -> int:
    return sum(t.bytes for t in Graph(model, ops.name_of).tensors if t.variable)


@pytest.mark.parametrize("name", ["hello_world", "ad01", "kws_ref_model"])
def test_recorded_models(name, arena_of):
    data = model_path(name).read_bytes()
    head, total = arena_of(data)
    assert Model(data).ram <= head < total


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models(name, arena_of):
    with open(f"training/bundles/{name}/model.tflite", "rb") as file:
        data = file.read()
    assert Model(data).ram <= arena_of(data)[0]


def autoencoder(seed: int) -> bytes:
    """Convolution, pooling, dense layers, transposed convolution, with one output."""
    rng = random.Random(seed)
    b = Builder()
    size, channels = rng.choice((4, 6, 9)), rng.choice((1, 2, 3))
    x = first = b.tensor((1, size, size, channels), 0.05, rng.randint(-128, 127))
    for _ in range(rng.randint(1, 3)):
        x = layer(b, rng, x)
    flat = b.tensors[x]["shape"]
    count = flat[1] * flat[2] * flat[3]
    y = b.tensor((1, count), b.scale(x), b.tensors[x]["zero_point"])
    x = b.operator("RESHAPE", [x], y, newShape=[1, count])
    x = dense(b, x, rng.randint(1, 20), rng)
    x = dense(b, x, rng.randint(1, 20), rng)
    return b.build([first], [x])


def layer(b: Builder, rng: random.Random, x: int) -> int:
    _, height, width, depth = b.tensors[x]["shape"]
    channels = rng.choice((1, 3, 8, 16))
    scale, zero = b.scale(x), b.tensors[x]["zero_point"]
    kind = {"padding": 0, "strideH": 1, "strideW": 1}
    name = rng.choice(("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "TRANSPOSE_CONV"))
    if name == "MAX_POOL_2D":
        shape = (1, -(-height // 2), -(-width // 2), depth)
        kind |= {"strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
        return b.operator(name, [x], b.tensor(shape, scale, zero), **kind)
    if name == "DEPTHWISE_CONV_2D":
        w, _, _ = convolution_cases.weights(b, rng, (1, 3, 3, depth), 3, scale)
        y = b.tensor((1, height, width, depth), scale, zero)
        return b.operator(name, [x, w], y, depthMultiplier=1, **kind)
    w, _, _ = convolution_cases.weights(b, rng, (channels, 3, 3, depth), 0, scale)
    if name == "CONV_2D":
        y = b.tensor((1, height, width, channels), scale, zero)
        return b.operator(name, [x, w], y, **kind)
    shape = (1, 2 * height, 2 * width, channels)
    given_shape = b.tensor((4,), dtype="int32", data=bytes(16))
    kind |= {"strideH": 2, "strideW": 2}
    return b.operator(name, [given_shape, w, x], b.tensor(shape, scale, zero), 3, **kind)


def branches(seed: int) -> bytes:
    """Tensors that stay alive beside others: residual connections."""
    rng = random.Random(seed)
    b = Builder()
    first = b.tensor((1, rng.choice((3, 16, 40))), 0.05, 0)
    alive = [first]
    for _ in range(rng.randint(3, 9)):
        if rng.random() < 0.4 and len(alive) > 1:
            a = rng.choice(alive)
            same = [t for t in alive if b.tensors[t]["shape"] == b.tensors[a]["shape"]]
            y = b.tensor(b.tensors[a]["shape"], 0.1, 0)
            alive.append(b.operator("ADD", [a, rng.choice(same)], y))
        else:
            alive.append(dense(b, rng.choice(alive[-3:]), rng.choice((1, 5, 16, 33, 70)), rng))
    return b.build([first], [alive[-1]])


@pytest.mark.parametrize("make", [autoencoder, branches, lambda seed: random_model(seed)[0]],
                         ids=["autoencoder", "branches", "every_output"])  # fmt: skip
def test_random_models(make, arena_of):
    larger = []
    for seed in range(60):
        data = make(seed)
        head, _ = arena_of(data)
        ram = Model(data).ram
        if ram > head + states(data):
            larger.append((seed, ram, head))
    assert larger == []


@pytest.fixture(scope="module")
def models() -> dict[str, bytes]:
    """With one output, so that tensors take each other's place.

    wide: what VM_SCRIPT lets allocate, as some of their biases make it.
    """
    makes = (autoencoder, branches)
    return {f"wide_{make.__name__}_{seed:03d}": make(seed) for make in makes for seed in range(40)}


@pytest.fixture(scope="module")
def wanted(models):
    return cases.wanted(models, ROWS)


def test_tensors_in_each_others_place(models, wanted):
    assert cases.differing(cases.on_cpython(models, ROWS), wanted) == []
    assert min(cases.share_inside(wanted, prefix) for prefix in cases.names(models)) > 0.4


@pytest.mark.vm
def test_tensors_in_each_others_place_on_the_vm(models, wanted, tmp_path, run_on_vm):
    assert cases.differing(cases.on_vm(models, ROWS, tmp_path, run_on_vm), wanted) == []


def test_many_tensors_are_placed_once(arena_of, monkeypatch):
    """Time grows with the square of their number: no file may take minutes to load."""
    b = Builder()
    x = b.tensor((60, 4), 0.1, 3)
    parts = []
    for _ in range(5):
        each = [b.tensor((4,), 0.1, 3) for _ in range(60)]
        parts += b.operator("UNPACK", [x], each, 1, num=60, axis=0)
    data = b.build([x], parts)
    tried = []
    greedy = planner._greedy

    def counted(spans):
        tried.append(spans)
        return greedy(spans)

    monkeypatch.setattr(planner, "_greedy", counted)
    assert Model(data).ram <= arena_of(data)[0]
    assert len(tried) == 1


def test_kept_inputs_cost_their_bytes():
    data = model_path("ad01").read_bytes()
    assert Model(data, keep_inputs=True).ram == Model(data).ram + 640


SPANS = st.lists(
    st.tuples(st.integers(1, 200), st.integers(-1, 9), st.integers(-1, 9)), max_size=14
)


@settings(max_examples=300, deadline=None)
@given(SPANS)
def test_never_larger_than_the_greedy_planner_alone(items):
    """GreedyMemoryPlanner, as in C: aligned sizes, the largest first, later tensors before."""
    spans = [Span(n, min(a, b), max(a, b), i) for i, (n, a, b) in enumerate(items)]
    planned: list[tuple[int, int, Span]] = []
    for span in sorted(spans, key=lambda s: ((s.size + 15) // 16, s.tensor), reverse=True):
        size = (span.size + 15) // 16 * 16
        offset = 0
        for start, end, other in sorted(planned, key=lambda p: p[0]):
            if other.first <= span.last and span.first <= other.last:
                if start - offset >= size:
                    break
                offset = max(offset, end)
        planned.append((offset, offset + size, span))
    assert place(spans) <= max((end for _, end, _ in planned), default=0)
