"""Whole runs through the board's feature definitions at once.

The definition is `agent.cognition.features`; this is its arithmetic on whole columns, integers
throughout. tests/training compares the two sample by sample.
"""

import numpy as np
from numpy.typing import NDArray

from agent.cognition.features import MEAN, RESIDUAL, SPEED, TREND
from training.runs import Run

Ints = NDArray[np.int64]


def columns(run: Run, residual_mk: Ints | None = None) -> dict[str, Ints]:
    """All features of a run, one value per sample; `residual_mk` comes from `residuals`."""
    found = {
        "case_mc": run.case_mc,
        "ambient_mc": run.ambient_mc,
        "rise_mk": run.case_mc - run.ambient_mc,
        "power_mw": run.power_mw,
        "power_avg_mw": mean_of_last(run.power_mw, MEAN),
        "trend_mk": trend(run.case_mc),
        "fan_rpm": mean_of_last(run.rpm, SPEED),
        "fan_pm": mean_of_last(set_before(run.fan) * 1000, MEAN),
    }
    if residual_mk is not None:
        found["residual_mk"] = residual_mk
    return found


def mean_of_last(values: Ints, window: int) -> Ints:
    """Floor of the mean of the last `window` values, of as many as there are at the start."""
    total = np.concatenate([[0], np.cumsum(values)])
    count = np.minimum(np.arange(1, len(values) + 1), window)
    ends = np.arange(1, len(values) + 1)
    return (total[ends] - total[ends - count]) // count


def set_before(fan: Ints) -> Ints:
    """What the fan was set to up to each sample, from what it is set to after it."""
    return np.concatenate([[0], fan[:-1]])


def trend(case_mc: Ints) -> Ints:
    """Change over the last 30 samples; over what there is, scaled to 30, before that."""
    age = np.minimum(np.arange(len(case_mc)), TREND)
    change = case_mc - case_mc[np.arange(len(case_mc)) - age]
    return np.where(age > 0, change * TREND // np.maximum(age, 1), 0)


def residuals(run: Run, forecast_mc: Ints, horizon: int) -> Ints:
    """Case now less the forecast of one horizon ago for the action set then, mean of the last 10.

    `forecast_mc[t]` is the forecast made at sample t for the action set at t. 0 while there is no
    such forecast or the action changed since.
    """
    count = len(run.case_mc)
    error = np.zeros(count, np.int64)
    valid = np.zeros(count, bool)
    if count > horizon:
        error[horizon:] = run.case_mc[horizon:] - forecast_mc[:-horizon]
        valid[horizon:] = held(run.fan, horizon)[:-horizon]
    result = np.zeros(count, np.int64)
    streak = np.where(valid, 1, 0)
    for index in np.flatnonzero(valid):
        streak[index] = min(RESIDUAL, streak[index - 1] + 1)
    total = np.concatenate([[0], np.cumsum(error)])
    where = np.flatnonzero(valid)
    result[where] = (total[where + 1] - total[where + 1 - streak[where]]) // streak[where]
    return result


def held(fan: Ints, horizon: int) -> NDArray[np.bool_]:
    """True at t where the action set at t stays set until t + horizon."""
    count = len(fan)
    changes = np.concatenate([[0], np.cumsum(fan[1:] != fan[:-1])])
    result = np.zeros(count, bool)
    if count > horizon:
        result[:-horizon] = changes[horizon - 1 : -1] == changes[:-horizon]
    return result


def scaled(values: Ints, offset: int, mul: int, shift: int) -> NDArray[np.int8]:
    """The model's int8 input: clamp(((value - offset) * mul + half) >> shift, -128, 127)."""
    moved = np.clip(values - offset, -262143, 262143)
    return np.clip((moved * mul + (1 << (shift - 1))) >> shift, -128, 127).astype(np.int8)


def choose_scale(low: float, high: float) -> tuple[int, int, int]:
    """Offset, mul and shift that spread low..high over the int8 range, `mul` below 4096."""
    offset = round((low + high) / 2)
    gain = 255.0 / max(high - low, 1.0)
    shift = 1
    while shift < 20 and round(gain * (1 << (shift + 1))) < 4096:
        shift += 1
    mul = min(4095, max(1, round(gain * (1 << shift))))
    return offset, mul, shift
