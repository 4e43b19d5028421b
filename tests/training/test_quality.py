"""The shipped models, judged on runs they have never seen, and the tools that judge them."""

import numpy as np
import pytest

from host.reference import reference_available
from host.simulation import plant
from tests.recorded import need
from training import anomaly, assemble, campaign, cooling, quality, scaling, twin
from training.anomaly import AnomalyModel
from training.baselines import PcaMonitor, Ridge
from training.runner import Runner

SEED = 4242


@pytest.fixture(scope="session")
def model(shipped):
    return cooling.from_bundle(shipped["cooling"])


@pytest.fixture(scope="session")
def encoder(shipped):
    manifest = shipped["anomaly"].manifest
    chosen = [
        scaling.Feature(f["name"], f["offset"], f["mul"], f["shift"]) for f in manifest["features"]
    ]
    found = AnomalyModel(chosen, None, shipped["anomaly"].model_bytes, manifest["threshold"])
    diff = manifest["diff"]
    assert (found.in_mul, found.out_mul) == (diff["in_mul"], diff["out_mul"])
    return found


def rmse_k(error_mk):
    return float(np.sqrt(np.mean(np.asarray(error_mk, float) ** 2))) / 1000.0


def test_forecasts_on_plant_runs_of_another_seed(model):
    data = cooling.samples(campaign.cooling_test(SEED))
    error = rmse_k(model.change_mk(data.rows) - data.change_mk)
    assert error < 0.45
    assert error < 0.3 * rmse_k(data.change_mk)


def test_forecasts_on_recorded_runs_kept_for_judging(model):
    need("heater")
    runs = campaign.recorded().test
    data = cooling.samples(runs)
    error = rmse_k(model.change_mk(data.rows) - data.change_mk)
    assert error < 0.21
    assert error < 0.5 * rmse_k(data.change_mk)


def test_the_fan_helps_in_the_models_eyes_wherever_it_helps(model):
    data = cooling.samples(campaign.cooling_test(SEED))
    off, on = data.rows[data.action == 0], data.rows[data.action == 1]
    rise = (data.columns[:, 0] - data.columns[:, 1])[data.action == 0]
    hot = rise > 15_000
    assert hot.sum() > 100
    assert np.all(model.change_mk(on)[hot] < model.change_mk(off)[hot])


def test_the_policy_with_the_model_keeps_the_limit(model):
    table = quality.loop_quality(campaign.closed_loop(SEED, model, seconds=2400))
    assert table["forecast"]["over_limit_pct"] < table["thermostat"]["over_limit_pct"]
    assert table["forecast"]["over_limit_pct"] < 0.5
    assert table["forecast"]["fan_duty_pct"] < table["thermostat"]["fan_duty_pct"] + 8.0


def test_faults_of_fan_and_load_raise_the_score(model, encoder):
    found = {}
    for run in campaign.faulty(SEED, model, each=3):
        rows = encoder.rows(run, model)
        above = encoder.score(rows) > encoder.threshold
        above[: anomaly.WARM_UP_S] = False
        state = anomaly.alarms(above)
        assert not state[: run.fault_at].any(), run.name
        found.setdefault(run.fault, []).append(bool(state[run.fault_at :].any()))
    assert sum(found["fan_stuck"]) >= 2
    assert sum(found["filter_clog"]) >= 2
    assert sum(found["overload"]) >= 2


def test_normal_runs_of_another_seed_stay_quiet(model, encoder):
    hours = alarms = 0.0
    for run in campaign.normal("quiet", SEED, 9, model):
        above = encoder.score(encoder.rows(run, model)) > encoder.threshold
        above[: anomaly.WARM_UP_S] = False
        alarms += float((np.diff(anomaly.alarms(above).astype(int)) == 1).sum())
        hours += len(run) / 3600.0
    assert alarms / hours <= 0.5


@pytest.mark.parametrize("role", ["cooling", "anomaly"])
def test_shipped_models_are_bit_exact(shipped, role):
    if not reference_available():
        pytest.skip("TFLite-Micro exists for Linux on x86-64 only")
    runner = Runner(shipped[role].model_bytes)
    rows = np.random.default_rng(5).integers(-40, 40, (500, runner.inputs)).astype(np.int8)
    said = assemble.check_bit_exact(runner, shipped[role].model_bytes, rows, SEED)
    assert said.startswith("equal on ")


def test_score_in_columns_equals_the_boards(shipped, encoder):
    from agent.cognition import bundle as board
    from agent.cognition.anomaly import Anomaly

    loaded = board.load("anomaly", str(shipped["anomaly"].path.parent))
    subject = Anomaly(loaded, None)
    rows = np.random.default_rng(6).integers(-128, 128, (200, 7)).astype(np.int8)
    expected = []
    for row in rows.tolist():
        for index, value in enumerate(row):
            subject.inputs[index] = value
        expected.append(subject.evaluate())
    assert encoder.score(rows).tolist() == expected


def test_the_plants_constants_are_the_fit_of_the_recordings():
    need("heater")
    a, b = twin.fit(twin.heater_runs())
    assert a == pytest.approx(plant.TWIN_A_K_PER_J, rel=1e-3)
    assert b == pytest.approx(plant.TWIN_B_PER_S, rel=1e-3)


def test_the_fit_finds_constants_that_are_known():
    seconds = np.arange(4000)
    power = np.where(seconds // 500 % 2, 6.0, 1.0)
    case = np.zeros(4000)
    case[0] = 25.0
    for t in range(3999):
        case[t + 1] = case[t] + 0.007 * power[t] - 0.0011 * (case[t] - 20.0)
    a, b = twin.fit([twin.HeaterRun("made", case, np.full(4000, 20.0), power)])
    assert (a, b) == (pytest.approx(0.007, rel=1e-3), pytest.approx(0.0011, rel=1e-3))


def test_ridge_finds_a_line():
    x = np.random.default_rng(0).normal(5.0, 3.0, (500, 3))
    fitted = Ridge.fit(x, x @ [1.0, -2.0, 0.5] + 7.0)
    np.testing.assert_allclose(fitted.predict(x[:5]), x[:5] @ [1, -2, 0.5] + 7, atol=0.1)


def test_pca_sees_what_breaks_the_correlation():
    draw = np.random.default_rng(0)
    hidden = draw.normal(size=(4000, 1))
    x = hidden @ [[1.0, 2.0, -1.0]] + draw.normal(0.0, 0.05, (4000, 3))
    monitor = PcaMonitor.fit(x, 0.9)
    assert (monitor.score(x) > 1).mean() < 0.003
    assert monitor.score(np.array([[1.0, -2.0, -1.0]]))[0] > 10


@pytest.mark.parametrize(
    ("above", "state"),
    [
        ("0111110000", "0000011111"),
        ("0111101111", "0000000000"),
        ("1111111000001", "0000111111100"),
        ("", ""),
    ],
)
def test_an_alarm_holds_before_it_comes_and_before_it_goes(above, state):
    got = anomaly.alarms(np.array([c == "1" for c in above], bool))
    assert "".join(str(int(v)) for v in got) == state
