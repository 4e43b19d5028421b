"""emlearn's CNN module (TinyMaix in C, as a native .mpy) beside the engine, on emulated chips.

FANWISE_EMLEARN names a folder with what emlearn-micropython publishes, none of which comes with
Fanwise: its builds (`<architecture>_6.3/emlearn_cnn_int8.mpy`) and the network of its example
(`mnist_cnn_int8.tmdl`, and `mnist_cnn_int8.tflite` it was made from). Both run that one network, on
the same image. There is no build for the 32-bit VM, so there are no times beside the VM's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agent.cognition.engine import ops
from agent.cognition.engine.graph import Graph
from benchmarks import chip
from benchmarks.engine import chips
from host.devices.build import CHIPS

VARIABLE = "FANWISE_EMLEARN"
MODULE = "emlearn_cnn_int8"
NETWORK = "mnist_cnn_int8"
VERSION = "6.3"  # of the .mpy format
FOLDER = (
    f"gives the comparison: a folder with xtensawin_{VERSION}/{MODULE}.mpy, rv32imc_{VERSION}/"
    f"{MODULE}.mpy, {NETWORK}.tmdl and {NETWORK}.tflite of emlearn-micropython"
)
# Chips it has builds for.
BUILDS = ("esp32", "esp32c3")

_IMAGE = "image = bytes((i * 7 + i // 28 * 13) % 256 for i in range(784))\n"
_THEIRS = f"""
import array
import {MODULE} as cnn
n = cnn.new(array.array("B", data["n"]))
x = array.array("B", image)
y = array.array("f", [0.0] * n.output_dimensions()[0])
n.run(x, y)
print(max(range(len(y)), key=lambda i: y[i]))
"""
_OURS = """
m = Model(data["n"])
for i in range(784):
    m.inputs[0][i] = image[i] - 128
m.invoke()
y = m.outputs[0]
print(max(range(len(y)), key=lambda i: y[i]))
"""


@dataclass(frozen=True)
class Compared:
    """Instructions of one run of the same network; classes: what each took the image for."""

    chip: str
    emlearn: float
    engine: float
    kernels: str
    classes: tuple[int, int]


class MissingError(chip.EmulatorError):
    """What is needed for the comparison is not there; the message says what."""


def available() -> bool:
    return bool(os.environ.get(VARIABLE))


def folder() -> Path:
    return Path(os.environ[VARIABLE])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MissingError(f"{path}: {error.strerror}") from error


def compared(name: str, where: Path, timeout_s: float = chip.TIMEOUT_S) -> Compared:
    """Both on one chip. Raises EmulatorError, ModelError."""
    march = CHIPS[name].march
    module = _read(where / f"{march}_{VERSION}" / f"{MODULE}.mpy")
    theirs, ours = (_read(where / f"{NETWORK}.{kind}") for kind in ("tmdl", "tflite"))
    given = {"n": theirs}
    answer = chip.run(
        name, {f"{MODULE}.mpy": module}, _IMAGE + _THEIRS, ["n.run(x, y)"], given, timeout_s
    )
    operators = [op.name for op in Graph(ours, ops.name_of).operators]
    setup = chips.SETUP + _IMAGE + "print(kernels.NAME)\n" + _OURS
    files = chips.files(name, operators)
    engine = chip.run(name, files, setup, ["m.invoke()"], {"n": ours}, timeout_s)
    try:
        kernels, guess = engine.output.split()
        classes = int(answer.output), int(guess)
    except ValueError as error:
        raise chip.EmulatorError(
            f"{answer.output!r} and {engine.output!r} are no classes"
        ) from error
    return Compared(name, answer.counts[0], engine.counts[0], kernels, classes)


def line(name: str, timeout_s: float = chip.TIMEOUT_S) -> str:
    """What is printed about it."""
    one = compared(name, folder(), timeout_s)
    return (
        f"{name:8} {NETWORK}: emlearn {one.emlearn:,.0f}, engine ({one.kernels})"
        f" {one.engine:,.0f}; they see {one.classes[0]} and {one.classes[1]}"
    )
