"""Does the board's engine compute a bundle's model bit for bit as TFLite-Micro does?"""

from __future__ import annotations

import json
from pathlib import Path

from agent.cognition.engine import Model, ModelError
from host.reference import compare, reference_available
from host.simulation.errors import SimulationError


class ExactnessError(SimulationError):
    """The engine and the reference disagree, or the bundle cannot be read."""


def check_exactness(folder: Path, n_random: int = 500) -> str:
    """Compare and say in one line how it was done. Raises ExactnessError.

    Where the reference wheel is installed, on `n_random` random rows and edge rows; always on the
    golden rows in the manifest, which TFLite-Micro computed when the bundle was made.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        content = (folder / "model.tflite").read_bytes()
        model = Model(content)
        name = f"{manifest['id']}@{manifest['version']}"
        golden = [(row["in"], row["out"]) for row in manifest["golden"]]
    except (OSError, ValueError, KeyError, TypeError, ModelError) as error:
        raise ExactnessError(
            f"bundle {folder} cannot be read ({error!s}); make it again with ./run train"
        ) from error
    for row, expected in golden:
        for index, value in enumerate(row):
            model.inputs[0][index] = value
        model.invoke()
        got = list(model.outputs[0])
        if got != expected:
            raise ExactnessError(
                f"bundle {name}: the engine gives {got} where TFLite-Micro gave {expected}; "
                "do not deploy it, train again with ./run train"
            )
    found = f"{name}: {len(golden)} golden rows from TFLite-Micro equal"
    if not reference_available():
        return found + " (the reference itself is not installed)"
    report = compare(content, n_random=n_random)
    if not report.identical:
        raise ExactnessError(
            f"bundle {name}: {report.differing} of {report.rows} rows differ from TFLite-Micro, "
            f"first {report.first_difference}; do not deploy it"
        )
    return found + f", and all of {report.rows} random and edge rows computed by it now"
