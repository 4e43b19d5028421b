"""The anomaly model: an auto-encoder of normal operation, and the score it gives a period."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import features, network, scaling
from training.cooling import CoolingModel
from training.runner import Runner
from training.runs import Run
from training.scaling import Feature

NAMES = (
    "rise_mk",
    "power_mw",
    "power_avg_mw",
    "trend_mk",
    "fan_rpm",
    "fan_pm",
    "residual_mk",
)
HIDDEN = (12, 4, 12)
HOLD = 5
THRESHOLD_QUANTILE = 0.9995
WARM_UP_S = 120
"""Samples at the start of a run whose windows are not full yet: no row of training or judging."""
DIFF_SHIFT = 12
SPAN = 2
"""Training standard deviations in one network unit: inputs clamp at eight of them, not at four."""

Ints = NDArray[np.int64]
Bytes = NDArray[np.int8]
Table = dict[str, Ints]
"""One run's feature columns by name."""


@dataclass
class AnomalyModel:
    """A trained auto-encoder: float network, int8 bytes, and the integers of its score."""

    features: list[Feature]
    float_model: Any
    model_bytes: bytes
    threshold: int = 0
    float_threshold: float = 0.0
    runner: Runner = field(init=False)
    in_mul: int = field(init=False)
    out_mul: int = field(init=False)

    def __post_init__(self) -> None:
        self.runner = Runner(self.model_bytes)
        self.in_mul = round(self.runner.in_scale * SPAN * 64 * (1 << DIFF_SHIFT))
        self.out_mul = round(self.runner.out_scale * SPAN * 64 * (1 << DIFF_SHIFT))

    def rows(self, run: Run, cooling: CoolingModel) -> Bytes:
        table = features.columns(run, cooling.residuals_mk(run))
        return scaling.rows(self.features, table)

    def score(self, rows: Bytes) -> Ints:
        """Scores as the board computes them, docs/bundle.md."""
        return self.score_of(rows, self.runner.run(rows))

    def score_of(self, rows: Bytes, outputs: Bytes) -> Ints:
        inside = (rows.astype(np.int64) - self.runner.in_zero) * self.in_mul
        back = (outputs.astype(np.int64) - self.runner.out_zero) * self.out_mul
        difference = (inside - back) >> DIFF_SHIFT
        return (difference**2).sum(axis=1) // rows.shape[1]

    def float_score(self, rows: Bytes) -> NDArray[np.float64]:
        """The same score of the network before quantisation."""
        x = network.dequantised(rows)
        return ((64.0 * SPAN * (x - network.predict(self.float_model, x))) ** 2).mean(axis=1)


def columns_of(runs: list[Run], cooling: CoolingModel) -> list[Table]:
    """The auto-encoder's features of every run, residuals included."""
    tables = [features.columns(run, cooling.residuals_mk(run)) for run in runs]
    return [{name: table[name] for name in NAMES} for table in tables]


def choose_features(tables: list[Table]) -> list[Feature]:
    """Scaling in which a network unit is SPAN training standard deviations and 0 the mean."""
    chosen = []
    for name in NAMES:
        values = np.concatenate([table[name][WARM_UP_S:] for table in tables]).astype(float)
        mean, deviation = float(values.mean()), max(float(values.std()), 1.0) * SPAN
        low = mean + (-128 * network.INPUT_SCALE) * deviation
        high = mean + (127 * network.INPUT_SCALE) * deviation
        _, mul, shift = features.choose_scale(low, high)
        chosen.append(Feature(name, round(mean), mul, shift))
    return chosen


def train(
    tables: list[Table],
    seed: int,
    epochs: int,
    every: int = 5,
    tick: Callable[[], None] = lambda: None,
) -> AnomalyModel:
    """Train on normal runs and convert; the threshold is set by `calibrate`."""
    chosen = choose_features(tables)
    rows = np.concatenate([scaling.rows(chosen, table)[WARM_UP_S::every] for table in tables])
    inputs = network.dequantised(rows)
    model = network.train(inputs, inputs, HIDDEN, seed=seed, epochs=epochs, rate=6e-3, tick=tick)
    picks = np.random.default_rng(seed).choice(len(rows), min(600, len(rows)), False)
    return AnomalyModel(chosen, model, network.to_int8(model, rows[picks]))


def calibrate(model: AnomalyModel, tables: list[Table]) -> None:
    """Set thresholds that one period in 2000 of the normal runs kept for this exceeds."""
    rows = np.concatenate([scaling.rows(model.features, t)[WARM_UP_S:] for t in tables])
    model.threshold = int(np.quantile(model.score(rows), THRESHOLD_QUANTILE)) + 1
    model.float_threshold = float(np.quantile(model.float_score(rows), THRESHOLD_QUANTILE))


def alarms(above: NDArray[np.bool_], hold: int = HOLD) -> NDArray[np.bool_]:
    """Alarm state per period: `hold` periods above in a row raise it, as many below clear it."""
    state = np.zeros(len(above), bool)
    on, streak = False, 0
    for index, hot in enumerate(above):
        streak = streak + 1 if bool(hot) != on else 0
        if streak >= hold:
            on, streak = not on, 0
        state[index] = on
    return state
