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

_IMAGE = "image = bytes((i * 7 + i // 28 * 13) % 256 for i in range(784))\n"
_THEIRS = f"""
import array
import {MODULE} as cnn
with open("/n", "rb") as f:
    n = cnn.new(array.array("B", f.read()))
x = array.array("B", image)
y = array.array("f", [0.0] * n.output_dimensions()[0])
n.run(x, y)
print(max(range(len(y)), key=lambda i: y[i]))
"""
_OURS = """
m = Model("/n")
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


class Missing(Exception):
    """What is needed for the comparison is not there; the message says what."""


def folder() -> Path:
    """Raises Missing."""
    named = os.environ.get(VARIABLE)
    if not named:
        raise Missing(f"{VARIABLE} is not set")
    return Path(named)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Missing(f"{path}: {error.strerror}") from error


def compared(name: str, where: Path) -> Compared:
    """Both on one chip. Raises Missing, RuntimeError where the emulator fails, ModelError."""
    march = CHIPS[name].march
    module = _read(where / f"{march}_{VERSION}" / f"{MODULE}.mpy")
    theirs, ours = (_read(where / f"{NETWORK}.{kind}") for kind in ("tmdl", "tflite"))
    put = "with open('/n', 'wb') as f:\n    f.write(%r)\n"
    answer = chip.run(
        name, {f"{MODULE}.mpy": module}, put % theirs + _IMAGE + _THEIRS, ["n.run(x, y)"]
    )
    operators = [op.name for op in Graph(ours, ops.name_of).operators]
    setup = chips.SETUP + put % ours + _IMAGE + "print(kernels.NAME)\n" + _OURS
    engine = chip.run(name, chips.files(name, operators), setup, ["m.invoke()"])
    kernels, guess = engine.output.split()
    return Compared(
        name, answer.counts[0], engine.counts[0], kernels, (int(answer.output), int(guess))
    )
