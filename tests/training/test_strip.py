"""Stripped models: the same numbers, nothing else, and still whole .tflite files."""

import random
from importlib.util import find_spec

import pytest

from agent.cognition.engine import ops
from agent.cognition.engine.graph import Graph
from host.reference import Reference, reference_available
from training.strip import strip

pytestmark = pytest.mark.skipif(
    find_spec("tensorflow") is None, reason="tensorflow is not installed (`./run train` does so)"
)


def dressed(model_bytes):
    """The model as a converter writes it: with names, ranges, metadata and a buffer per tensor."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(model_bytes, 0)
    model.description = "MLIR Converted."
    model.metadata = [schema.MetadataT()]
    model.metadata[0].name, model.metadata[0].buffer = "min_runtime_version", len(model.buffers)
    note = schema.BufferT()
    note.data = list(b"1.14.0")
    model.buffers.append(note)
    graph = model.subgraphs[0]
    graph.name = "main"
    for number, tensor in enumerate(graph.tensors):
        tensor.name = f"sequential/dense_{number}/MatMul"
        tensor.quantization.min, tensor.quantization.max = [-1.0], [1.0]
        if tensor.buffer == 0:
            tensor.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("role", ["cooling", "anomaly"])
def test_shipped_models_are_stripped_and_nothing_a_kernel_reads_goes(shipped, role):
    whole = shipped[role].model_bytes
    more = dressed(whole)
    assert len(more) > len(whole) + 800
    assert strip(more) == strip(whole) == whole
    constants = [t.begin for t in Graph(whole, ops.name_of).tensors if t.begin]
    assert constants
    assert {offset % 16 for offset in constants} == {0}


@pytest.mark.skipif(not reference_available(), reason="TFLite-Micro is not installed")
@pytest.mark.parametrize("role", ["cooling", "anomaly"])
def test_tflite_micro_computes_the_same(shipped, role):
    whole = shipped[role].model_bytes
    before, after = Reference(dressed(whole), 1, 1), Reference(whole, 1, 1)
    generator = random.Random(1)
    for _ in range(300):
        row = bytes(generator.randrange(256) for _ in range(7))
        given = [memoryview(row).cast("b")]
        assert before.run(given)[0].tolist() == after.run(given)[0].tolist()
