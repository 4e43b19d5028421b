"""Hostile files: a ModelError or a model that runs, in bounded time, and nothing read outside."""

import struct
import time

import pytest

from agent.cognition.engine import FormatError, Model, ModelError, UnsupportedError
from tests.engine import fuzz
from tests.engine.tflite_builder import Builder, schema

SEED = 20
FILES = 10_000
FILES_ON_VM = 3_000


@pytest.fixture(scope="module")
def models():
    return fuzz.seeds()


def test_seeds_run(models):
    assert {fuzz.outcome(data) for data in models} == {"ran"}
    assert len(models) > 30


def test_on_cpython(models, monkeypatch):
    for data in models:  # imports every kernel
        Model(data)
    fuzz.strict_views(monkeypatch.setattr)
    outcomes = {"ran": 0}
    for number in range(FILES):
        try:
            result = fuzz.outcome(fuzz.mutated(number, SEED, models))
        except Exception as error:
            pytest.fail(f"file {number}: {type(error).__name__}: {error}")
        outcomes[result] = outcomes.get(result, 0) + 1
    assert outcomes["ran"] > FILES // 20
    assert outcomes.keys() == {"ran", "FormatError", "UnsupportedError", "ArenaError"}


@pytest.mark.vm
def test_on_the_vm(models, vm):
    totals: dict[str, int] = {}
    for files in fuzz.batches(FILES_ON_VM, SEED, models):
        for name, count in fuzz.run_on_vm(list(vm.argv), files).items():
            totals[name] = totals.get(name, 0) + count
    assert totals["ran"] > FILES_ON_VM // 20
    assert sum(totals.values()) == FILES_ON_VM
    assert "escaped" not in totals


def test_every_mutation_changes_something(models):
    import random

    for mutation, _ in fuzz.MUTATIONS:
        rng = random.Random(1)
        changed = 0
        for _ in range(50):
            data = bytearray(rng.choice(models))
            before = bytes(data)
            mutation(data, rng, models)
            changed += before != data
        assert changed > 25, mutation.__name__


def packed(change) -> bytes:
    """A small sound model with one thing changed in its objects before they are written."""
    import flatbuffers

    b = Builder()
    x = b.tensor((1, 4), 0.1, 3)
    data = b.build([x], [b.operator("RELU", [x], b.tensor((1, 4), 0.1, 3))])
    s = schema()
    model = s.ModelT.InitFromObj(s.Model.GetRootAs(data, 0))
    change(s, model, model.subgraphs[0])
    writer = flatbuffers.Builder(1024)
    writer.Finish(model.Pack(writer), file_identifier=b"TFL3")
    return bytes(writer.Output())


def many_operators(s, model, graph):
    graph.operators = graph.operators * 1025


def many_operands(s, model, graph):
    graph.operators[0].inputs = [0] * 65


def long_shape(s, model, graph):
    graph.tensors[1].shape = [1] * 20000


def no_inputs(s, model, graph):
    graph.operators[0].inputs = []


def same_constant(s, model, graph):
    buffer = s.BufferT()
    buffer.data = [0] * 4096
    model.buffers.append(buffer)
    for _ in range(200):
        tensor = s.TensorT()
        tensor.shape, tensor.type, tensor.buffer = [4096], 9, len(model.buffers) - 1
        graph.tensors.append(tensor)


def state_as_input(s, model, graph):
    graph.tensors[0].isVariable = True


def state_elsewhere(s, model, graph):
    tensor = s.TensorT()
    tensor.shape, tensor.type, tensor.isVariable = [1, 4], 9, True
    graph.tensors.append(tensor)
    graph.operators[0].inputs = [len(graph.tensors) - 1]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (many_operators, UnsupportedError, "more than 1024"),
        (many_operands, FormatError, "a list of 65 numbers"),
        (long_shape, FormatError, "a list of 20000 numbers"),
        (no_inputs, UnsupportedError, "0 inputs"),
        (same_constant, FormatError, "on top of each other"),
        (state_as_input, FormatError, "constant or listed twice"),
        (state_elsewhere, UnsupportedError, "RELU: only an LSTM has state"),
    ],
)
def test_made_to_be_slow_or_inconsistent(change, error, words):
    data = packed(change)
    start = time.thread_time()
    with pytest.raises(error, match=words):
        Model(data)
    assert time.thread_time() - start < 1


def test_offsets_in_a_circle():
    """Every offset of a file leads to the file's own beginning, or to itself."""
    data = bytearray(packed(lambda s, model, graph: None))
    for target in (0, 4):
        hostile = bytearray(data)
        for position in fuzz._offsets(hostile):
            if position >= 8:
                hostile[position : position + 4] = struct.pack("<i", target - position)
        with pytest.raises(ModelError):
            Model(bytes(hostile))
