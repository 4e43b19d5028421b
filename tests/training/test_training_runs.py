"""Simulated runs: sensors' resolution, branches, schedules behind the board's interlocks."""

import itertools

import numpy as np
import pytest

from host.simulation.plant import MACHINES, Machine
from training.runs import plant_run, varied_spec
from training.schedules import MIN_OFF_S, MIN_ON_S, RandomSchedule, Thermostat


def one(seconds=900, fault="", fault_at=-1, branch_every=0, schedule=None):
    schedule = schedule or Thermostat(43.0)
    return plant_run(
        "one",
        Machine(MACHINES[0], 7),
        schedule,
        seconds,
        branch_every=branch_every,
        fault=fault,
        fault_at=fault_at,
    )


def test_readings_have_the_sensors_resolution():
    run = one()
    assert set(np.unique(run.case_mc % 125)) <= {0, 62, 63}
    assert np.all(run.rpm % 30 == 0)
    assert np.abs(run.case_mc - run.true_mc).max() < 150


def test_the_same_name_and_seed_give_the_same_run():
    for name in ("case_mc", "power_mw", "fan", "true_mc"):
        np.testing.assert_array_equal(getattr(one(), name), getattr(one(), name))


def test_a_branch_is_what_happens_when_the_action_is_held():
    run = one(900, branch_every=50)
    checked = 0
    for at, later in zip(run.branch_at, run.branch_mc, strict=True):
        if at + 60 < len(run) and len(set(run.fan[at : at + 60])) == 1:
            assert abs(later[run.fan[at]] - run.true_mc[at + 60]) <= 1
            checked += 1
        assert later[1] <= later[0]
    assert checked > 3


@pytest.mark.parametrize("schedule", [Thermostat(42.0), RandomSchedule("x")])
def test_schedules_keep_the_relays_minimum_times(schedule):
    run = one(1800, schedule=schedule)
    edges = np.flatnonzero(np.diff(run.fan))
    assert len(edges) > 3
    for start, end in itertools.pairwise(edges):
        assert end - start >= (MIN_ON_S if run.fan[start + 1] else MIN_OFF_S)


def test_a_stuck_sensor_repeats_and_a_stuck_fan_does_not_turn():
    stuck = one(fault="sensor_stuck", fault_at=300)
    assert len(set(stuck.case_mc[300:])) == 1
    assert len(set(stuck.case_mc[:300])) > 10
    still = one(fault="fan_stuck", fault_at=0)
    assert still.fan.any()
    assert not still.rpm[40:].any()


def test_varied_machines_differ_and_stay_near():
    specs = [varied_spec(str(index)) for index in range(20)]
    assert len({spec.capacity_j_per_k for spec in specs}) == 20
    for spec in specs:
        nominal = next(m for m in MACHINES if m.name == spec.name)
        assert spec.capacity_j_per_k == pytest.approx(nominal.capacity_j_per_k, rel=0.1001)
