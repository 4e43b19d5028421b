"""Shipped bundles, and records made as a board makes them."""

from pathlib import Path

import pytest

from explain.shapley import recompute
from tests.explain.readings import ALARM_READINGS, READINGS
from training.bundle import Bundle, load_bundle

SHIPPED = Path(__file__).resolve().parents[2] / "training" / "bundles"


@pytest.fixture(scope="session")
def bundles() -> dict[str, Bundle]:
    return {role: load_bundle(SHIPPED / role) for role in ("cooling", "anomaly")}


@pytest.fixture
def decision(bundles):
    """A decision record with its explanation."""

    def make(name="warming", seq=41):
        record = {"t": "dec", "boot": 7, "seq": seq, "ms": 1, "in": dict(READINGS[name])}
        right = recompute(bundles["cooling"], record)
        record.update(phi=right.phi, fc_off_mc=right.fc_off_mc, fc_on_mc=right.fc_on_mc)
        record["why"] = "Fan on because the case would reach 45.6 C in 60 s with it off"
        return record

    return make


@pytest.fixture
def alarm(bundles):
    """An anomaly alarm with its explanation and the features it was judged by."""
    record = {"t": "alarm", "kind": "anomaly", "boot": 7, "seq": 42, "in": dict(ALARM_READINGS)}
    record["phi"] = recompute(bundles["anomaly"], record).phi
    return record
