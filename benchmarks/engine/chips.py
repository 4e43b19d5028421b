"""Instructions on emulated chips: every kernel set that runs there, operator by operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.cognition.engine import ops
from benchmarks import chip
from benchmarks.engine.cases import Case

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
_NAMES = "Model invoke predict inputs outputs kernels select NAME"

SETUP = """
import gc
from agent.cognition.engine import Model, kernels
def load(name, path):
    gc.collect()
    if kernels.select([name]) != name:
        raise ValueError("no kernels " + name)
    return Model(path).invoke
def put(path, data):
    with open(path, "wb") as f:
        f.write(data)
"""


@dataclass(frozen=True)
class Counted:
    """Instructions of one invoke on a chip with a kernel set."""

    chip: str
    kernels: str
    instructions: float


def files(name: str, operators: Sequence[str]) -> dict[str, bytes]:
    """The engine for a chip, with the modules of some operators only: there is little room."""
    wanted = {entry[3] for entry in ops.kernels().values() if entry[0] in operators}
    result = {}
    for path, content in chip.engine_files(name, _NAMES).items():
        module = path.split("/")[-1].split(".")[0]
        if "/ops/" not in path or module not in _LEAVES - wanted:
            result[path] = content
    return result


def operators(name: str, case: Case) -> list[Counted]:
    """One case with every set of a chip. Raises RuntimeError where the emulator does."""
    setup = SETUP + f"put('/m', {case.model!r})\n"
    statements = []
    for kernels in SETS[name]:
        setup += f"{kernels} = load({kernels!r}, '/m')\n"
        statements.append(f"{kernels}()")
    answer = chip.run(name, files(name, [case.operator]), setup, statements)
    return [
        Counted(name, kernels, count)
        for kernels, count in zip(SETS[name], answer.counts, strict=True)
    ]


def model(
    name: str, path: Path, operators: Sequence[str], number: float | None
) -> dict[str, float]:
    """Instructions of a whole model on the chip's own kernels: "invoke", "load" and, where a number
    goes in, "predict" of it. Raises RuntimeError, for example where it does not fit.
    """
    statements = {"invoke": "m.invoke()", "load": "Model('/m')"}
    if number is not None:
        statements["predict"] = f"m.predict([[{number}]])"
    setup = SETUP + f"put('/m', {path.read_bytes()!r})\nm = Model('/m')\nprint(kernels.NAME)\n"
    answer = chip.run(name, files(name, operators), setup, list(statements.values()))
    return dict(zip(statements, answer.counts, strict=True))
