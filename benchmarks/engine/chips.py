"""Instructions on emulated chips: every kernel set that runs there, operator by operator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.cognition.engine import ops
from benchmarks import chip
from benchmarks.engine.cases import Case
from benchmarks.engine.vectors import Vector

# Chip: its sets. An ESP32 image emulates the S2's kernels, too: it has all their instructions.
SETS = {
    "esp32": ("portable", "viper", "esp32"),
    "esp32s2": ("esp32s2",),
    "esp32c3": ("portable", "viper", "rv32"),
}
# Modules of operators that no other module, as boards get them, takes anything from.
_LEAVES = {
    "depthwise", "elementwise", "lstm", "pooling", "quantize", "reduce", "resize", "softmax",
    "transpose_conv",
}  # fmt: skip
# What `setup` and the statements call by name: the build must not shorten it.
_NAMES = "Model invoke predict inputs outputs kernels select NAME program"

SETUP = """
import gc
from agent.cognition.engine import Model, kernels
def load(name, source):
    gc.collect()
    if kernels.select([name]) != name:
        raise ValueError("no kernels " + name)
    return Model(source)
"""
# The rows of data["x"] through a model: whose outputs are not those of data["y"]. Compared there,
# as a serial line may lose what it is to carry.
_ROWS = """
m = load(%r, data["m"])
x, y = m.inputs[0], m.outputs[0]
wrong = []
for row in range(%d):
    for i in range(len(x)):
        value = data["x"][row * len(x) + i]
        x[i] = value - 256 if value > 127 else value
    m.invoke()
    if bytes([value & 255 for value in y]) != data["y"][row * len(y) : (row + 1) * len(y)]:
        wrong.append(row)
print("wrong", wrong)
x = y = None
gc.collect()
def again():
    global m
    m = None  # no room for two
    m = Model(data["m"])
"""
# Every operator of a model as a plan of its own, so that it can be counted.
_LAYERS = """
load(%r, data["m"])
gc.collect()
layers = []
whole = kernels.program
def program(prepared, data):
    for kernel in prepared:
        runs = whole([kernel], data)
        layers.append(runs[0] if len(runs) == 1 else lambda runs=runs: [run() for run in runs])
    return layers
kernels.program = program
m = Model(data["m"])
gc.collect()
"""


@dataclass(frozen=True)
class Counted:
    """Instructions of one invoke on a chip with a kernel set."""

    chip: str
    kernels: str
    instructions: float


@dataclass(frozen=True)
class Whole:
    """Instructions of a model's invoke, of loading it and, where a number goes in, of predict.

    rows: outputs compared; wrong: rows among them that differ from what was wanted.
    """

    invoke: float
    load: float
    predict: float | None
    rows: int
    wrong: list[int]


def files(name: str, operators: Sequence[str]) -> dict[str, bytes]:
    """The engine for a chip, with the modules of some operators only: there is little room."""
    wanted = {entry[3] for entry in ops.kernels().values() if entry[0] in operators}
    result = {}
    for path, content in chip.engine_files(name, _NAMES).items():
        module = path.split("/")[-1].split(".")[0]
        if "/ops/" not in path or module not in _LEAVES - wanted:
            result[path] = content
    return result


def operators(name: str, case: Case, timeout_s: float = chip.TIMEOUT_S) -> list[Counted]:
    """One case with every set of a chip. Raises EmulatorError, as all that follow."""
    setup = SETUP
    statements = []
    for kernels in SETS[name]:
        setup += f"{kernels} = load({kernels!r}, data['m']).invoke\n"
        statements.append(f"{kernels}()")
    data = {"m": case.model}
    answer = chip.run(name, files(name, [case.operator]), setup, statements, data, timeout_s)
    return [
        Counted(name, kernels, count)
        for kernels, count in zip(SETS[name], answer.counts, strict=True)
    ]


def model(
    name: str,
    kernels: str,
    data: bytes,
    operators: Sequence[str],
    vectors: Sequence[Vector],
    number: float | None = None,
    timeout_s: float = chip.TIMEOUT_S,
) -> Whole:
    """A whole model, its weights in mapped flash, and whether its outputs are those wanted."""
    statements = ["m.invoke()", "again()"]
    if number is not None:
        # Before again(), which leaves a heap full of holes.
        statements.insert(1, f"m.predict([[{number}]])")
    given = {
        "m": data,
        "x": b"".join(vector.x for vector in vectors),
        "y": b"".join(vector.y for vector in vectors),
    }
    setup = SETUP + _ROWS % (kernels, len(vectors))
    answer = chip.run(name, files(name, operators), setup, statements, given, timeout_s)
    found = re.fullmatch(r"wrong \[([\d, ]*)\]\s*", answer.output)
    if not found:
        raise chip.EmulatorError(f"the chip printed {answer.output!r}")
    wrong = [int(row) for row in found[1].split(",") if row]
    invoke, *predict, load = answer.counts
    return Whole(invoke, load, predict[0] if predict else None, len(vectors), wrong)


def layers(
    name: str,
    kernels: str,
    data: bytes,
    operators: Sequence[str],
    count: int,
    timeout_s: float = chip.TIMEOUT_S,
) -> list[float]:
    """Instructions of each of a model's `count` operators that run something, each called alone."""
    setup = SETUP + _LAYERS % kernels
    statements = [f"layers[{i}]()" for i in range(count)]
    setup += f"if len(layers) != {count}:\n    raise ValueError(len(layers))\n"
    return chip.run(name, files(name, operators), setup, statements, {"m": data}, timeout_s).counts
