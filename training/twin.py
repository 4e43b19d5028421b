"""Fits the passive constants of the plant to the recorded heater rig: `python -m training.twin`.

Model: dT/dt = a P - b (T - T_ambient). Both sides are integrated over a window, which spares the
derivative of a quantised signal, and a and b are found by least squares. Each run in turn is left
out of the fit and forecast 60 s ahead, with its power held and with its power known.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.simulation import plant
from host.simulation.replay import read_recording
from training import datasets
from training.errors import DataError

WINDOW_S = 60
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeaterRun:
    """One recorded run at 1 Hz: degrees Celsius and watts, one value per second."""

    name: str
    case_c: Floats
    ambient_c: Floats
    power_w: Floats


def heater_runs() -> list[HeaterRun]:
    """The recorded runs. Raises DataError when they are neither here nor within reach."""
    runs = []
    for path in datasets.load("heater"):
        samples = read_recording(path).samples
        runs.append(
            HeaterRun(
                path.name.split(".")[0],
                np.array([s.case_temp_c for s in samples]),
                np.array([s.ambient_temp_c for s in samples]),
                np.array([s.supply_v * s.current_a for s in samples]),
            )
        )
    return runs


def fit(runs: list[HeaterRun]) -> tuple[float, float]:
    """Returns a in K/J and b in 1/s."""
    lines, rises = [], []
    for run in runs:
        energy = np.convolve(run.power_w, np.ones(WINDOW_S), "valid")[:-1]
        excess = np.convolve(run.case_c - run.ambient_c, np.ones(WINDOW_S), "valid")[:-1]
        lines.append(np.stack([energy, -excess], axis=1))
        rises.append(run.case_c[WINDOW_S:] - run.case_c[:-WINDOW_S])
    (a, b), *_ = np.linalg.lstsq(np.concatenate(lines), np.concatenate(rises), rcond=None)
    return float(a), float(b)


def forecast_change(run: HeaterRun, a: float, b: float, horizon_s: int = WINDOW_S) -> Floats:
    """Change of the case temperature over the horizon, in K, with power and ambient held."""
    settled = run.ambient_c + run.power_w * (a / b)
    return (settled - run.case_c) * (1.0 - np.exp(-b * horizon_s))


def forecast_rms(run: HeaterRun, a: float, b: float, known_power: bool = False) -> float:
    """Root mean square error of the 60 s forecast in K, the coming power held or known."""
    if known_power:
        mean_w = np.convolve(run.power_w[1:], np.ones(WINDOW_S) / WINDOW_S, "valid")
        power_w = np.append(mean_w, run.power_w[-WINDOW_S:])
        run = HeaterRun(run.name, run.case_c, run.ambient_c, power_w)
    ahead = forecast_change(run, a, b)[:-WINDOW_S]
    return float(np.sqrt(np.mean((run.case_c[WINDOW_S:] - run.case_c[:-WINDOW_S] - ahead) ** 2)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.twin", description=__doc__)
    parser.parse_args()
    try:
        runs = heater_runs()
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    for left_out in runs:
        a, b = fit([run for run in runs if run is not left_out])
        held, known = (forecast_rms(left_out, a, b, known_power=given) for given in (False, True))
        print(
            f"without {left_out.name}: a {a:.6f} K/J  b {b:.7f} /s  60 s forecast rms "
            f"{held:.3f} K with the power held, {known:.3f} K with the power known"
        )
    a, b = fit(runs)
    print(f"all runs: a {a:.6f} K/J  b {b:.7f} /s  tau {1 / b:.0f} s  {a / b:.2f} K/W")
    print(f"in the plant: a {plant.TWIN_A_K_PER_J:.6f} K/J  b {plant.TWIN_B_PER_S:.7f} /s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
