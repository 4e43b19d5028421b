"""The cooling model: how much warmer the case gets within a minute, for each fan state."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import features, network, scaling
from training.bundle import Bundle
from training.errors import BundleError
from training.runner import Runner
from training.runs import Run
from training.scaling import OutputScale

HORIZON_S = 60
HIDDEN = (16, 16)
FEATURES = [
    scaling.spread("case_mc", 5_000, 85_000),
    scaling.spread("ambient_mc", 0, 45_000),
    scaling.spread("power_mw", 0, 20_000),
    scaling.spread("power_avg_mw", 0, 20_000),
    scaling.spread("trend_mk", -4_000, 4_000),
    scaling.spread("fan_rpm", 0, 4_000),
]
"""Ranges reach beyond what runs show: an unusual reading is seen as such before it clamps."""

Ints = NDArray[np.int64]
Bytes = NDArray[np.int8]


@dataclass
class Samples:
    """Rows of the cooling model. `change_mk` is the true case temperature a horizon later less the
    reading now; `columns` keeps the features in their units for the baselines."""

    rows: Bytes
    change_mk: Ints
    action: Ints
    columns: NDArray[np.float64]
    run: Ints
    recorded: NDArray[np.bool_]


@dataclass
class CoolingModel:
    """A trained cooling model, as float network and as int8 bytes."""

    float_model: Any
    model_bytes: bytes
    unit_mk: float
    output: OutputScale = field(init=False)
    runner: Runner = field(init=False)

    def __post_init__(self) -> None:
        self.runner = Runner(self.model_bytes)
        self.output = OutputScale.of(self.runner.out_scale * self.unit_mk)

    @property
    def lsb_mk(self) -> float:
        return self.output.num / (1 << self.output.shift)

    def change_mk(self, rows: Bytes) -> Ints:
        """Forecast change in mK as the board computes it."""
        return self.output.value(self.runner.run(rows)[:, 0], self.runner.out_zero)

    def one_change_mk(self, row: list[int]) -> int:
        """The same for one row of plain integers."""
        steps = self.runner.one(row) - self.runner.out_zero
        return (steps * self.output.num + (1 << (self.output.shift - 1))) >> self.output.shift

    def float_change_mk(self, rows: Bytes) -> NDArray[np.float64]:
        """Forecast change in mK of the network before quantisation."""
        got = network.predict(self.float_model, network.dequantised(rows))
        return got[:, 0].astype(np.float64) * self.unit_mk

    def residuals_mk(self, run: Run) -> Ints:
        """The `residual_mk` feature of a run: forecasts for the action set, judged later."""
        rows = scaling.rows(FEATURES, features.columns(run))
        forecast = run.case_mc + self.change_mk(scaling.with_action(rows, run.fan))
        return features.residuals(run, forecast, HORIZON_S)


def samples(runs: list[Run], every: int = 10) -> Samples:
    """Rows from recorded runs, every tenth second at which the action was held a minute, and from
    plant runs wherever both actions were tried on copies of the machine."""
    rows, change, action, columns, number, recorded = [], [], [], [], [], []

    def add(run: Run, index: int, at: Ints, acted: Ints, later_mc: Ints) -> None:
        table = features.columns(run)
        rows.append(scaling.with_action(scaling.rows(FEATURES, table, at), acted))
        change.append(later_mc - run.case_mc[at])
        action.append(acted)
        columns.append(np.stack([table[f.name][at] for f in FEATURES], axis=1).astype(float))
        number.append(np.full(len(at), index))
        recorded.append(np.full(len(at), run.kind == "recorded"))

    for index, run in enumerate(runs):
        if len(run.branch_at):
            for fan in (0, 1):
                acted = np.full(len(run.branch_at), fan, np.int64)
                add(run, index, run.branch_at, acted, run.branch_mc[:, fan])
        else:
            at = np.flatnonzero(features.held(run.fan, HORIZON_S))[::every]
            add(run, index, at, run.fan[at], run.true_mc[at + HORIZON_S])
    return Samples(
        np.concatenate(rows),
        np.concatenate(change),
        np.concatenate(action),
        np.concatenate(columns),
        np.concatenate(number),
        np.concatenate(recorded),
    )


def train(
    data: Samples, seed: int, epochs: int, tick: Callable[[], None] = lambda: None
) -> CoolingModel:
    """Train, convert, and wrap with the output's scale."""
    unit_mk = float(data.change_mk.std())
    model = network.train(
        network.dequantised(data.rows),
        (data.change_mk[:, None] / unit_mk).astype(np.float32),
        HIDDEN,
        seed=seed,
        epochs=epochs,
        tick=tick,
    )
    picks = np.random.default_rng(seed).choice(len(data.rows), min(600, len(data.rows)), False)
    return CoolingModel(model, network.to_int8(model, data.rows[picks]), unit_mk)


def from_bundle(bundle: Bundle) -> CoolingModel:
    """A cooling model as it was shipped; it has no float network.

    Raises BundleError when its features are not those this code trains with.
    """
    if bundle.manifest["features"] != [feature.entry() for feature in FEATURES]:
        raise BundleError(
            str(bundle.path),
            ["has other features than this version trains with"],
            "Train both roles",
        )
    model = CoolingModel(None, bundle.model_bytes, 1.0)
    entry = bundle.manifest["output"]
    model.output = OutputScale(entry["scale_num"], entry["scale_shift"])
    return model
