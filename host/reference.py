"""TFLite-Micro itself, as the reference for int8 results.

The wheel exists for Linux on x86-64 only and is imported when first used. Where it is missing
nothing here passes silently: `run_reference` and `compare` raise ReferenceUnavailable.
"""

from __future__ import annotations

import random
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# TFLite-Micro asks for the arena in advance. Room for the engine's largest arena and its own
# bookkeeping.
ARENA_BYTES = 4 << 20


class ReferenceUnavailable(RuntimeError):
    """TFLite-Micro cannot be run on this machine."""


class ReferenceFailed(RuntimeError):
    """TFLite-Micro refused the model."""


def reference_available() -> bool:
    """Whether TFLite-Micro can be run here."""
    return find_spec("tflite_micro") is not None


class Reference:
    """A model in TFLite-Micro. Raises ReferenceUnavailable or ReferenceFailed."""

    def __init__(self, model: bytes, n_inputs: int, n_outputs: int):
        if not reference_available():
            raise ReferenceUnavailable(
                "the tflite-micro package is not installed (it exists for Linux on x86-64 only):"
                " int8 results cannot be checked against TFLite-Micro on this machine"
            )
        from tflite_micro import runtime

        try:
            self._interpreter = runtime.Interpreter.from_bytes(bytes(model), arena_size=ARENA_BYTES)
        except (RuntimeError, ValueError, struct.error) as error:
            raise ReferenceFailed(f"TFLite-Micro refused the model: {error}") from error
        self._inputs = [self._interpreter.get_input_details(i) for i in range(n_inputs)]
        self._n_outputs = n_outputs

    def run(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        """Outputs as arrays in the model's shapes and types, from raw inputs of any shape that
        fits.
        """
        import numpy as np

        for i, (value, details) in enumerate(zip(inputs, self._inputs, strict=True)):
            data = np.asarray(value, dtype=details["dtype"]).reshape(details["shape"])
            self._interpreter.set_input(data, i)
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise ReferenceFailed(f"TFLite-Micro failed: {error}") from error
        return [np.array(self._interpreter.get_output(i)) for i in range(self._n_outputs)]


def run_reference(model: bytes, inputs: Sequence[Any], n_outputs: int = 1) -> list[np.ndarray]:
    """One run of a model in TFLite-Micro.

    inputs: one raw (int8 or float32) array per input. Raises ReferenceUnavailable or
    ReferenceFailed.
    """
    return Reference(model, len(inputs), n_outputs).run(inputs)


@dataclass(frozen=True)
class Report:
    """How many rows were compared, how many differ, and the first that does.

    first_difference: row number, output number, and the raw inputs, engine's and reference's
    output.
    """

    rows: int
    differing: int
    first_difference: dict[str, Any] | None = None

    @property
    def identical(self) -> bool:
        return self.rows > 0 and self.differing == 0


def edge_rows(size: int, generator: random.Random) -> list[list[int]]:
    """Rows of int8 at the ends of the range: all lowest, all highest, and mixtures."""
    rows = [[-128] * size, [127] * size, [0] * size]
    rows += [[generator.choice((-128, 127)) for _ in range(size)] for _ in range(5)]
    return rows


def compare(model: bytes, n_random: int = 200, seed: int = 0) -> Report:
    """Runs the engine and TFLite-Micro over edge rows and random rows and compares every byte.

    For models with int8 inputs. Raises ReferenceUnavailable, ReferenceFailed, or the engine's
    ModelError.
    """
    import numpy as np

    from agent.cognition.engine import Model

    engine = Model(bytes(model))
    if any(dtype != "b" for dtype in engine.input_dtype):
        raise ValueError("compare() needs a model with int8 inputs")
    reference = Reference(model, len(engine.inputs), len(engine.outputs))
    generator = random.Random(seed)
    sizes = [len(view) for view in engine.inputs]
    edges = [edge_rows(size, generator) for size in sizes]
    rows = [list(row) for row in zip(*edges, strict=True)]
    rows += [
        [[generator.randint(-128, 127) for _ in range(size)] for size in sizes]
        for _ in range(n_random)
    ]
    differing = 0
    first: dict[str, Any] | None = None
    for number, row in enumerate(rows):
        for view, value in zip(engine.inputs, row, strict=True):
            view[:] = array("b", value)
        engine.invoke()
        for output, wanted in enumerate(reference.run(row)):
            got = np.array(engine.outputs[output])
            if got.tobytes() != wanted.tobytes():
                differing += 1
                first = first or {
                    "row": number,
                    "output": output,
                    "inputs": row,
                    "engine": got.tolist(),
                    "reference": wanted.ravel().tolist(),
                }
                break
    return Report(len(rows), differing, first)
