"""Random graphs of single operators, many to a file, and how they are compared.

A case is a function (builder, generator) that adds one operator with tensors of its own and returns
the lists of its inputs and of its outputs. All outputs are the model's, so every operator is
compared.
"""

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from agent.cognition.engine import Model
from agent.cognition.engine.views import as_bytes
from host import reference
from tests.engine.tflite_builder import Builder

Case = Callable[[Builder, random.Random], tuple[list[int], list[int]]]

VM_SCRIPT = Path(__file__).with_name("operators_on_vm.py")
GRAPHS = 200
GRAPHS_PER_FILE = 20
DTYPES = {"b": np.int8, "f": np.float32, "i": np.int32}


def zero_point(rng: random.Random) -> int:
    return rng.choice((-128, 127, 0, rng.randint(-128, 127), rng.randint(-128, 127)))


def scale(rng: random.Random, low: float = -6, high: float = 1) -> np.float32:
    return np.float32(np.exp(rng.uniform(low, high)))


def shape(rng: random.Random, fewest: int = 1, most: int = 4, largest: int = 5) -> tuple[int, ...]:
    return tuple(rng.choice((1, 2, 3, largest)) for _ in range(rng.randint(fewest, most)))


def activation(b: Builder, rng: random.Random, size: tuple[int, ...]) -> int:
    return b.tensor(size, scale(rng), zero_point(rng))


def constant(b: Builder, rng: random.Random, size: tuple[int, ...]) -> int:
    values = [rng.choice((-128, 127, rng.randint(-128, 127))) for _ in range(int(np.prod(size)))]
    data = np.array(values, np.int8)
    return b.tensor(size, scale(rng), zero_point(rng), data=data)


def files(cases: dict[str, Case], graphs: int = GRAPHS) -> dict[str, bytes]:
    """Model files by name: `graphs` graphs of every case."""
    result = {}
    for name, case in cases.items():
        for first in range(0, graphs, GRAPHS_PER_FILE):
            b = Builder()
            rng = random.Random(f"{name}{first}")
            made = [case(b, rng) for _ in range(min(GRAPHS_PER_FILE, graphs - first))]
            inputs = [tensor for some, _ in made for tensor in some]
            outputs = [tensor for _, some in made for tensor in some]
            result[f"{name}_{first:03d}"] = b.build(inputs, outputs)
    return result


def rows(model: Model, name: str, count: int) -> list[list[np.ndarray]]:
    """Inputs: all lowest, all highest, a mixture of both, then anything."""
    rng = np.random.default_rng(list(name.encode()))
    result = []
    for number in range(count):
        row = []
        for view, dtype in zip(model.inputs, model.input_dtype, strict=True):
            n = len(view)
            if dtype == "f":
                row.append(np.float32(rng.normal(0, 3, n)))
                continue
            values = rng.integers(-128, 128, n)
            if number < 3:
                values = [np.full(n, -128), np.full(n, 127), rng.choice((-128, 127), n)][number]
            elif n == 256:
                values = rng.permutation(256) - 128
            row.append(values.astype(np.int8))
        result.append(row)
    return result


def wanted(models: dict[str, bytes], count: int) -> dict[tuple[str, int], list[bytes]]:
    """TFLite-Micro's outputs by file and row."""
    result = {}
    for name, data in models.items():
        engine = Model(data)
        tflm = reference.Reference(data, len(engine.inputs), len(engine.outputs))
        for number, row in enumerate(rows(engine, name, count)):
            result[name, number] = [output.tobytes() for output in tflm.run(row)]
    return result


def on_cpython(models: dict[str, bytes], count: int) -> dict[tuple[str, int], list[bytes]]:
    result = {}
    for name, data in models.items():
        engine = Model(data)
        for number, row in enumerate(rows(engine, name, count)):
            for view, value in zip(engine.inputs, row, strict=True):
                as_bytes(view)[:] = value.tobytes()
            engine.invoke()
            result[name, number] = [bytes(as_bytes(output)) for output in engine.outputs]
    return result


def on_vm(models, count, folder, run_on_vm) -> dict[tuple[str, int], list[bytes]]:
    """The same on the VM, every invoke with the heap locked."""
    for name, data in models.items():
        (folder / f"{name}.tflite").write_bytes(data)
        raw = [v.tobytes() for row in rows(Model(data), name, count) for v in row]
        (folder / f"{name}.in").write_bytes(b"".join(raw))
    result: dict[tuple[str, int], list[bytes]] = {}
    for line in run_on_vm(VM_SCRIPT, folder):
        name, number, *outputs = line.split(" ")
        result[name, int(number)] = [bytes.fromhex(output) for output in outputs]
    return result


def differing(got, expected) -> list[tuple]:
    """(file, row, output) of what differs. Operators of one output: output = graph of the file."""
    assert got.keys() == expected.keys()
    return [
        (*key, output)
        for key in expected
        for output, (a, b) in enumerate(zip(got[key], expected[key], strict=True))
        if a != b
    ]


def share_inside(expected: dict[tuple[str, int], list[bytes]], prefix: str) -> float:
    """Share of an operator's output bytes that are not at an end of the range."""
    raw = b"".join(o for key, row in expected.items() if key[0].startswith(prefix) for o in row)
    values = np.frombuffer(raw, np.int8)
    return float(np.mean((values > -128) & (values < 127)))


def names(models: Iterable[str]) -> set[str]:
    return {name.rsplit("_", 1)[0] for name in models}
