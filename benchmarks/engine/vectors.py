"""What goes into a model and has to come out of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.cognition.engine import Model


@dataclass(frozen=True)
class Vector:
    """Raw int8 of the only input and of the only output."""

    x: bytes
    y: bytes


def recorded(path: Path) -> list[Vector]:
    """TFLite-Micro's own, from the .npz beside a model; where there is none, this machine's."""
    model = Model(path.read_bytes())
    if model.input_dtype != ["b"] or model.output_dtype != ["b"]:
        return []
    source = path.with_suffix(".npz")
    if not source.exists():
        return [_here(model, seed) for seed in range(3)]
    data = np.load(source)
    sets = [key[: -len("_in0")] for key in data.files if key.endswith("_in0")]
    return [
        Vector(x.tobytes(), y.tobytes())
        for each in sets
        for x, y in zip(data[each + "_in0"], data[each + "_out0"], strict=True)
    ]


def _here(model: Model, seed: int) -> Vector:
    row = np.random.default_rng(seed).integers(-128, 128, len(model.inputs[0]), np.int8)
    for i, value in enumerate(row.tolist()):
        model.inputs[0][i] = value
    model.invoke()
    return Vector(row.tobytes(), np.array(model.outputs[0], np.int8).tobytes())
