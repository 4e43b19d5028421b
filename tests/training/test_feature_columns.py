"""Features of whole columns against the board's own window, sample by sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cognition import features as board
from training import features
from training.runs import Run


def make_run(seed, count):
    draw = np.random.default_rng(seed)
    fan = np.repeat(draw.integers(0, 2, count // 7 + 1), 7)[:count]
    if seed % 2:
        fan = np.repeat(draw.integers(0, 2, count // 130 + 1), 130)[:count]
    case = 40_000 + np.cumsum(draw.integers(-90, 95, count))
    return Run(
        name="made",
        kind="plant",
        case_mc=case,
        ambient_mc=draw.integers(-5_000, 30_000, count),
        power_mw=draw.integers(-50, 30_000, count),
        rpm=draw.integers(0, 4_000, count),
        fan=fan,
        true_mc=case,
    )


def board_columns(run, forecast):
    window = board.FeatureWindow(60)
    rows = []
    for t in range(len(run)):
        before = int(run.fan[t - 1]) if t else 0
        window.push(
            *(int(c[t]) for c in (run.case_mc, run.ambient_mc, run.power_mw, run.rpm)), before
        )
        rows.append([window.value(name) for name in board.UNITS])
        window.expect(int(forecast[t]))
    return dict(zip(board.UNITS, np.array(rows).T, strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_columns_equal_the_boards_window(seed):
    run = make_run(seed, 600)
    forecast = run.case_mc + np.random.default_rng(seed).integers(-900, 900, len(run))
    expected = board_columns(run, forecast)
    got = features.columns(run, features.residuals(run, forecast, 60))
    assert got.keys() == expected.keys()
    for name, column in expected.items():
        np.testing.assert_array_equal(got[name], column, err_msg=name)
    if seed % 2:
        assert np.count_nonzero(expected["residual_mk"]) > 100


@settings(max_examples=200)
@given(
    st.integers(-2_000_000, 2_000_000),
    st.integers(-262_143, 262_143),
    st.integers(-4095, 4095),
    st.integers(1, 20),
)
def test_scaling_equals_the_boards(value, offset, mul, shift):
    expected = board.quantise(value, offset, mul, shift)
    assert int(features.scaled(np.array([value]), offset, mul, shift)[0]) == expected


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-4_000, 4_000), (5_000, 85_000), (0, 20_000), (0, 2_000_000)]
)
def test_a_chosen_scale_covers_its_range(low, high):
    offset, mul, shift = features.choose_scale(low, high)
    assert 0 < mul < 4096
    assert 1 <= shift <= 20
    ends = features.scaled(np.array([low, high]), offset, mul, shift)
    if 10 < high - low < 400_000:
        assert ends[0] <= -126
        assert ends[1] >= 126


def test_held_means_not_switched_until_the_horizon():
    fan = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    assert features.held(fan, 3).tolist() == [True, False, False, True, True, False, False, False]
