"""The shipped bundles on the board, and explanations: in steps they equal those in one go."""

import hashlib
import json
import random
import shutil
from pathlib import Path

import pytest

from agent.cognition import bundle
from agent.cognition.anomaly import Anomaly
from agent.cognition.bundle import BundleError, NoBundleError
from agent.cognition.cooling import Cooling
from agent.cognition.explainer import Explainer
from agent.cognition.features import FeatureWindow, quantise
from agent.cognition.mind import Mind
from agent.cognition.shapley import Shapley

BUNDLES = Path(__file__).resolve().parents[2] / "training" / "bundles"


@pytest.fixture
def models(tmp_path):
    for role in ("cooling", "anomaly"):
        (tmp_path / role).mkdir()
        for name in ("manifest.json", "model.tflite"):
            shutil.copy(BUNDLES / role / name, tmp_path / role)
    return tmp_path


def warm_window(seed=1, samples=150):
    rng = random.Random(seed)
    window = FeatureWindow()
    case = 38000
    for i in range(samples):
        case += rng.randrange(-100, 150)
        on = i // 40 % 2
        window.push(case, 23000 + rng.randrange(50), 5000 + rng.randrange(4000), 1200 * on, on)
        window.expect(case + 300)
    return window


def test_the_shipped_bundles_load(models):
    cooling = bundle.load("cooling", str(models))
    anomaly = bundle.load("anomaly", str(models))
    assert (cooling.name.split("@")[0], cooling.horizon_s) == ("cooling", 60)
    assert anomaly.hold >= 1
    assert len(cooling.model.inputs[0]) == len(cooling.specs) + 1


def test_no_bundle_is_not_a_broken_one(tmp_path):
    with pytest.raises(NoBundleError):
        bundle.load("cooling", str(tmp_path))


def spoil(manifest, path, value):
    *parents, key = path
    target = manifest
    for parent in parents:
        target = target[parent]
    if value is ...:
        del target[key]
    else:
        target[key] = value


@pytest.mark.parametrize(
    ("role", "path", "value", "words"),
    [
        ("cooling", ("format",), 2, "format 1"),
        ("cooling", ("role",), "anomaly", "is for the role"),
        ("cooling", ("sha256",), "0" * 64, "not the file its manifest names"),
        ("cooling", ("bytes",), 5, "not the file its manifest names"),
        ("cooling", ("features", 0, "name"), "humidity", "no feature 'humidity'"),
        ("cooling", ("features", 0, "mul"), 4096, "mul or shift out of range"),
        ("cooling", ("features", 0, "shift"), ..., "shift is missing"),
        ("cooling", ("features",), [], "0 features"),
        ("cooling", ("baseline", 0), [1, 2], "baseline row"),
        ("cooling", ("baseline", 0, 0), 128, "128 is not an int8 value"),
        ("cooling", ("baseline",), [[0] * 6] * 5, "5 baseline rows"),
        ("cooling", ("actions",), [], "an action with the fan off"),
        ("cooling", ("golden", 0, "out", 0), -128, "a golden row gives"),
        ("cooling", ("golden", 0, "in"), [0], "does not fit the model"),
        ("cooling", ("golden",), [], "no golden rows"),
        ("cooling", ("output", "scale_shift"), 40, "out of range"),
        ("anomaly", ("hold",), 0, "out of range"),
        ("anomaly", ("diff",), ..., "diff is missing"),
    ],
)
def test_a_spoiled_bundle_is_refused(models, role, path, value, words):
    file = models / role / "manifest.json"
    manifest = json.loads(file.read_text())
    spoil(manifest, path, value)
    file.write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=words):
        bundle.load(role, str(models))


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "\x00" * 10, " " * 9000 + "{}"])
def test_a_manifest_that_is_none_is_refused(models, text):
    (models / "cooling" / "manifest.json").write_text(text)
    with pytest.raises(BundleError):
        bundle.load("cooling", str(models))


def test_a_damaged_model_with_a_right_checksum_is_refused(models):
    path = models / "cooling" / "model.tflite"
    file = models / "cooling" / "manifest.json"
    whole = path.read_bytes()
    manifest = json.loads(file.read_text())
    for cut in (0, 8, 100, len(whole) // 2):
        path.write_bytes(whole[:cut])
        manifest["bytes"] = cut
        manifest["sha256"] = hashlib.sha256(whole[:cut]).hexdigest()
        file.write_text(json.dumps(manifest))
        with pytest.raises(BundleError):
            bundle.load("cooling", str(models))


def test_the_forecast_is_the_formula_of_the_bundle(models):
    loaded = bundle.load("cooling", str(models))
    manifest = json.loads((models / "cooling" / "manifest.json").read_text())
    window = warm_window()
    cooling = Cooling(loaded, window)
    cooling.forecast()
    row = [
        quantise(window.value(f["name"]), f["offset"], f["mul"], f["shift"])
        for f in manifest["features"]
    ]
    assert list(cooling.features.row) == row
    for action in manifest["actions"]:
        loaded.model.inputs[0][:] = memoryview(bytes(q & 0xFF for q in [*row, action["q"]])).cast(
            "b"
        )
        loaded.model.invoke()
        steps = loaded.model.outputs[0][0] - loaded.model.output_zero_point[0]
        num, shift = (manifest["output"][key] for key in ("scale_num", "scale_shift"))
        change = (steps * num + (1 << shift >> 1)) >> shift
        forecast = cooling.fc_on_mc if action["fan"] else cooling.fc_off_mc
        assert forecast == window.case_mc + change
    assert cooling.fc_on_mc < cooling.fc_off_mc


def explain_in_steps(explainer, subject, row, evaluations, between):
    explainer.begin(subject, row)
    rounds = 0
    while True:
        done = explainer.work(evaluations)
        rounds += 1
        if done is not None:
            return done, rounds
        between()


@pytest.mark.parametrize("evaluations", [1, 8, 10_000])
def test_explaining_in_steps_equals_explaining_at_once(models, evaluations):
    window = warm_window()
    cooling = Cooling(bundle.load("cooling", str(models)), window)
    anomaly = Anomaly(bundle.load("anomaly", str(models)), window)
    explainer = Explainer()
    cooling.forecast()
    anomaly.judge()

    def control_period():
        # What happens between steps uses the same models, with other inputs.
        window.push(60000, 20000, 90000, 5000, 1)
        cooling.forecast()
        anomaly.judge()

    for subject in (cooling, anomaly):
        row = tuple(subject.features.row)
        forecast = cooling.fc_off_mc - window.case_mc
        (phi, contributions), rounds = explain_in_steps(
            explainer, subject, row, evaluations, control_period
        )
        assert rounds > 1 or evaluations == 10_000
        for i, q in enumerate(row):
            subject.inputs[i] = q
        subject.prepare(subject.inputs)
        loaded = subject.bundle
        whole = Shapley(len(row), loaded.baseline).explain(subject.evaluate, row, subject.inputs)
        assert phi["num"] == whole.numerators
        assert (phi["den"], phi["base_num"], phi["err"]) == (
            whole.denominator,
            whole.base_numerator,
            0,
        )
        assert phi["names"] == [name for name, _ in contributions]
        if subject is cooling:
            total = phi["lsb"] * (phi["base_num"] + sum(phi["num"])) / phi["den"]
            assert abs(total - forecast) <= 0.51


def test_a_row_equal_to_its_baseline_is_explained_by_zeros(models):
    cooling = Cooling(bundle.load("cooling", str(models)), warm_window())
    explainer = Explainer()
    row = cooling.bundle.baseline[0]
    (phi, _), _ = explain_in_steps(explainer, cooling, row, 3, lambda: None)
    assert phi["err"] == 0


class Channel:
    def __init__(self, value):
        self.value = value


class Sensors:
    def __init__(self, case=40000, ambient=23000, power=5000, fan=1200):
        self.case, self.ambient = Channel(case), Channel(ambient)
        self.power, self.fan = Channel(power), Channel(fan)


@pytest.mark.parametrize(
    ("sensors", "words"),
    [
        (Sensors(), ""),
        (Sensors(case=None), "the case temperature is not known"),
        (Sensors(ambient=None), "ambient is not known"),
        (Sensors(power=None), "power is not known"),
        (Sensors(fan=None), "fan is not known"),
    ],
)
def test_no_forecast_without_what_it_needs(models, sensors, words):
    mind = Mind(bundle.load("cooling", str(models)), bundle.load("anomaly", str(models)))
    mind.observe(Sensors(), 1)
    mind.observe(sensors, 1)
    assert mind.no_model == words
    assert (mind.fc_off_mc is None, mind.fc_on_mc is None) == (bool(words), bool(words))
    mind.observe(Sensors(), 1)
    assert mind.fc_off_mc is not None
