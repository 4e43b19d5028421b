"""Shapley values on the host: additive, equal to SHAP's, and sharp about what a board sent."""

import copy
from fractions import Fraction

import numpy as np
import pytest

from agent.cognition.features import quantise
from explain.errors import RecordError, WrongBundleError
from explain.shapley import check, recompute
from tests.explain.readings import ALARM_READINGS, READINGS

CASES = [*(("cooling", name) for name in READINGS), ("anomaly", "alarm")]


def readings(name):
    return ALARM_READINGS if name == "alarm" else READINGS[name]


@pytest.mark.parametrize(("role", "name"), CASES)
def test_values_add_up_without_any_rounding(bundles, role, name):
    found = recompute(bundles[role], {"in": readings(name)})
    assert found.phi["err"] == 0
    total = found.base + sum(found.values.values())
    if role == "anomaly":
        assert total == found.score
    else:
        change = found.fc_off_mc - readings(name)["case_mc"]
        assert abs(total - change) <= Fraction(1, 2)


@pytest.mark.parametrize("role", ["cooling", "anomaly"])
def test_a_row_equal_to_a_lone_baseline_row_has_no_contributions(bundles, role):
    bundle = copy.deepcopy(bundles[role])
    manifest = bundle.manifest
    manifest["baseline"] = manifest["baseline"][:1]
    values = {
        f["name"]: f["offset"] + ((q << f["shift"]) // f["mul"])
        for f, q in zip(manifest["features"], manifest["baseline"][0], strict=True)
    }
    for feature, q in zip(manifest["features"], manifest["baseline"][0], strict=True):
        numbers = (feature["offset"], feature["mul"], feature["shift"])
        while quantise(values[feature["name"]], *numbers) < q:
            values[feature["name"]] += 1
    found = recompute(bundle, {"in": values})
    assert set(found.values.values()) == {0}


@pytest.mark.slow
@pytest.mark.timeout(900)  # importing shap is most of it
@pytest.mark.parametrize(("role", "name"), CASES)
def test_equal_to_shap_exact_with_an_independent_masker(bundles, role, name):
    shap = pytest.importorskip("shap", reason="shap is not installed (`./run train` installs it)")
    bundle = bundles[role]
    manifest = bundle.manifest
    model = bundle.engine()
    features = manifest["features"]

    def function(rows):
        out = []
        for row in rows:
            view = model.inputs[0]
            for index, value in enumerate(row):
                view[index] = int(value)
            if role == "cooling":
                view[len(features)] = manifest["actions"][0]["q"]
            model.invoke()
            got = list(model.outputs[0])
            if role == "cooling":
                out.append(got[0] - model.output_zero_point[0])
                continue
            diff = manifest["diff"]
            parts = [
                (
                    (int(x) - model.input_zero_point[0]) * diff["in_mul"]
                    - (y - model.output_zero_point[0]) * diff["out_mul"]
                )
                >> diff["shift"]
                for x, y in zip(row, got, strict=True)
            ]
            out.append(sum(d * d for d in parts) // len(parts))
        return np.array(out, float)

    values = readings(name)
    row = [quantise(values[f["name"]], f["offset"], f["mul"], f["shift"]) for f in features]
    baseline = np.array(manifest["baseline"], float)
    masker = shap.maskers.Independent(baseline, max_samples=len(baseline))
    explained = shap.explainers.Exact(function, masker)(np.array([row], float))
    phi = recompute(bundle, {"in": values}).phi
    np.testing.assert_allclose(
        np.array(phi["num"]) / phi["den"], explained.values[0], rtol=1e-9, atol=1e-6
    )
    assert phi["base_num"] / phi["den"] == pytest.approx(explained.base_values[0], abs=1e-6)


@pytest.mark.parametrize("name", READINGS)
def test_what_a_board_sent_is_confirmed(bundles, decision, name):
    assert check(decision(name), bundles["cooling"]).ok


def test_an_alarm_is_confirmed_and_a_changed_share_is_not(bundles, alarm):
    assert check(alarm, bundles["anomaly"]).ok
    alarm["phi"]["num"][0] += 1
    assert not check(alarm, bundles["anomaly"]).ok


CHANGES = {
    "a share": lambda r: r["phi"]["num"].__setitem__(2, r["phi"]["num"][2] + 1),
    "the base": lambda r: r["phi"].update(base_num=r["phi"]["base_num"] - 1),
    "the denominator": lambda r: r["phi"].update(den=1),
    "the step": lambda r: r["phi"].update(lsb=r["phi"]["lsb"] * 1.01),
    "the error": lambda r: r["phi"].update(err=1),
    "two names": lambda r: r["phi"]["names"].reverse(),
    "the forecast": lambda r: r.update(fc_off_mc=r["fc_off_mc"] + 1),
    "a reading": lambda r: r["in"].update(trend_mk=r["in"]["trend_mk"] + 500),
    "no step": lambda r: r["phi"].pop("lsb"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_change_to_a_record_shows(bundles, decision, name):
    record = copy.deepcopy(decision())
    CHANGES[name](record)
    result = check(record, bundles["cooling"])
    assert not result.ok
    assert "is right" in str(result)


def test_single_precision_of_the_step_is_no_difference(bundles, decision):
    record = decision()
    record["phi"]["lsb"] = float(np.float32(record["phi"]["lsb"]))
    assert check(record, bundles["cooling"]).ok


def test_what_cannot_be_recomputed_says_why(bundles, decision):
    with pytest.raises(RecordError, match="no feature values"):
        recompute(bundles["cooling"], {"t": "dec", "boot": 1, "seq": 2})
    with pytest.raises(RecordError, match="lacks the feature fan_rpm"):
        recompute(bundles["cooling"], {"in": {**READINGS["warming"], "fan_rpm": None}})
    with pytest.raises(RecordError, match="decision 1/2 carries no phi"):
        check({"t": "dec", "boot": 1, "seq": 2, "phi": None}, bundles["cooling"])
    other = decision()
    other["phi"]["bid"] = "cooling@999#b"
    with pytest.raises(WrongBundleError, match="cooling@999"):
        check(other, bundles["cooling"])
