"""Random dense models: every operator's output as TFLite-Micro computes it, here and on the VM."""

import random

import numpy as np
import pytest

from agent.cognition.engine import Model, ops
from agent.cognition.engine.graph import Graph
from agent.cognition.engine.views import as_bytes
from host import reference
from tests.engine import operator_cases as cases
from tests.engine.conftest import VM_SCRIPT, input_bytes
from tests.engine.families import FAMILIES
from tests.engine.tflite_builder import Builder, dense, random_model

N_MODELS = 50
ROWS = 6

pytestmark = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)


def wide_model(depth: int, bias: int, out_scale: float) -> bytes:
    """Accumulators beyond 31-bit small ints, or a multiplier above 1."""
    b = Builder()
    x = b.tensor((1, depth), 0.5, 100)
    weights = np.full((3, depth), -127, np.int8)
    weights[1] = 127
    w = b.tensor((3, depth), 0.25, 0, data=weights)
    values = np.array([bias, -bias, bias // 3], np.int32)
    c = b.tensor((3,), 0.125, 0, "int32", values)
    y = b.tensor((1, 3), out_scale, 3)
    b.operator("FULLY_CONNECTED", [x, w, c], y)
    return b.build([x], [y])


def all_models() -> dict[str, bytes]:
    models = {f"random{seed:02d}": random_model(seed)[0] for seed in range(N_MODELS)}
    models["wide_bias"] = wide_model(8, 2**31 - 2**20, 2.0e6)
    models["wide_depth"] = wide_model(9000, 1000, 2.0e6)
    models["left_shift"] = wide_model(4, 50, 0.01)
    models["wide_left_shift"] = wide_model(64, 2**29, 0.003)
    models["tiny_multiplier"] = wide_model(4, 2**25, 3.0e8)
    for version in (4, 5, 6):
        b = Builder()
        x = b.tensor((1, 5), 0.03, -7)
        models[f"version{version}"] = b.build(
            [x], [dense(b, x, 6, random.Random(version), version=version)]
        )
    return models


def rows_of(engine: Model, name: str) -> list[bytes]:
    rng = np.random.default_rng(list(name.encode()))
    size = len(as_bytes(engine.inputs[0]))
    data = input_bytes(engine.input_dtype[0], len(engine.inputs[0]), ROWS, rng)
    return [data[i : i + size] for i in range(0, len(data), size)]


def engine_outputs(engine: Model, row: bytes) -> list[bytes]:
    as_bytes(engine.inputs[0])[:] = row
    engine.invoke()
    return [bytes(as_bytes(output)) for output in engine.outputs]


@pytest.fixture(scope="module")
def models() -> dict[str, bytes]:
    return all_models()


@pytest.fixture(scope="module")
def wanted(models) -> dict[str, list[list[bytes]]]:
    """TFLite-Micro's outputs per model, row and output."""
    result: dict[str, list[list[bytes]]] = {}
    for name, data in models.items():
        engine = Model(data)
        tflm = reference.Reference(data, 1, len(engine.outputs))
        dtype = np.float32 if engine.input_dtype[0] == "f" else np.int8
        result[name] = [
            [output.tobytes() for output in tflm.run([np.frombuffer(row, dtype)])]
            for row in rows_of(engine, name)
        ]
    return result


def test_every_operator_on_cpython(models, wanted):
    differing = []
    for name, data in models.items():
        engine = Model(data)
        for number, row in enumerate(rows_of(engine, name)):
            got = engine_outputs(engine, row)
            differing += [
                (name, number, engine.ops[min(o, len(engine.ops) - 1)], a.hex(), b.hex())
                for o, (a, b) in enumerate(zip(got, wanted[name][number], strict=True))
                if a != b
            ]
    assert differing == []


def test_cases_exercise_the_kernels(models, wanted):
    """Outputs that all sit at one end of the range would compare equal whatever the arithmetic."""
    operators = set()
    inside = total = 0
    for name, data in models.items():
        if name.startswith("random"):
            operators |= set(Model(data).ops)
            for row in wanted[name]:
                values = np.frombuffer(b"".join(row), np.int8)
                inside += int(np.count_nonzero((values > -128) & (values < 127)))
                total += values.size
    assert operators == {
        "FULLY_CONNECTED", "QUANTIZE", "DEQUANTIZE", "RELU", "RELU6", "RESHAPE", "LOGISTIC",
        "TANH", "SOFTMAX",
    }  # fmt: skip
    assert inside > total / 2


def test_every_operator_there_is_has_random_graphs():
    """An operator in the engine's table is compared with TFLite-Micro, or it is not there."""
    sets = [cases.files(family, 20) for family in FAMILIES]
    sets += [{str(seed): random_model(seed)[0] for seed in range(N_MODELS)}]
    graphs = [Graph(data, ops.name_of) for files in sets for data in files.values()]
    found = {op.name for graph in graphs for op in graph.operators}
    assert {name for name, *_ in ops.kernels().values()} - found == set()


@pytest.mark.vm
def test_every_operator_on_the_vm(models, wanted, tmp_path, run_on_vm):
    for name, data in models.items():
        (tmp_path / f"{name}.tflite").write_bytes(data)
        (tmp_path / f"{name}.in").write_bytes(b"".join(rows_of(Model(data), name)))
    got: dict[tuple[str, int], list[bytes]] = {}
    allocated = {}
    for line in run_on_vm(VM_SCRIPT, tmp_path):
        kind, name, *rest = line.split(" ")
        if kind == "allocated":
            allocated[name] = int(rest[0])
        else:
            got.setdefault((name, int(rest[0])), []).append(bytes.fromhex(rest[1]))
    expected = {(name, n): row for name, rows in wanted.items() for n, row in enumerate(rows)}
    assert {key for key in expected if got.get(key) != expected[key]} == set()
    assert {
        name for name, size in allocated.items() if size and not name.startswith("wide")
    } == set()
    assert len(allocated) == len(models)
