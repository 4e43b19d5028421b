"""The plant: its equation, its fan, its determinism."""

import math

import pytest

from host.simulation.plant import MACHINES, Machine, make_machines


class Constant:
    """Stands in for load or ambient where a case needs it held."""

    def __init__(self, value):
        self.value = value

    def at(self, time_s):
        return self.value


def quiet_machine(watts=5.0, ambient_c=20.0, spec=MACHINES[0]):
    machine = Machine(spec, seed=3)
    machine._load, machine._ambient = Constant(watts), Constant(ambient_c)
    return machine


def run(machine, seconds, fan=None):
    for _ in range(seconds):
        if fan is not None:
            machine.fan_powered = fan
        machine.advance(1.0)
    return machine


def state(machine):
    return (machine.case_temp_c, machine.ambient_temp_c, machine.current_a, machine.fan_rpm)


def test_passive_machine_follows_the_first_order_solution():
    machine = quiet_machine()
    start = machine.case_temp_c
    run(machine, 900, fan=False)
    settled = 20.0 + machine.power_w / machine.spec.conductance_w_per_k
    decay = math.exp(-900 * machine.spec.conductance_w_per_k / machine.spec.capacity_j_per_k)
    assert machine.case_temp_c == pytest.approx(settled + (start - settled) * decay, abs=1e-6)


@pytest.mark.parametrize("chunks", [[1.0] * 120, [0.1] * 1200, [7.5] * 16, [120.0]])
def test_a_run_does_not_depend_on_how_time_is_cut(chunks):
    whole = Machine(seed=5)
    whole.fan_powered = True
    whole.advance(120.0)
    cut = Machine(seed=5)
    cut.fan_powered = True
    for chunk in chunks:
        cut.advance(chunk)
    assert state(cut) == state(whole)


def test_same_seed_same_run_other_seed_another():
    a, b, other = (run(Machine(seed=seed), 1800) for seed in (1, 1, 2))
    assert state(a) == state(b)
    assert state(a) != state(other)


def test_a_copy_lives_the_same_future_and_leaves_the_original_alone():
    machine = run(Machine(seed=4), 600)
    twin = machine.copy()
    before = state(machine)
    run(twin, 600)
    assert state(machine) == before
    assert state(run(machine, 600)) == state(twin)


@pytest.mark.parametrize("spec", MACHINES, ids=lambda spec: spec.name)
def test_the_fan_keeps_every_machine_under_its_limit_and_is_needed(spec):
    hot, cooled = (quiet_machine(0.9 * spec.load_max_w, spec.ambient_c, spec) for _ in range(2))
    assert run(hot, 3600, fan=False).case_temp_c > spec.limit_c
    assert run(cooled, 3600, fan=True).case_temp_c < spec.limit_c


def test_fan_spins_up_and_down():
    machine = run(quiet_machine(), 8, fan=True)
    assert machine.fan_rpm == pytest.approx(machine.spec.fan_rpm_max, rel=0.01)
    run(machine, 3, fan=False)
    assert 500 < machine.fan_rpm < 2500
    assert run(machine, 30, fan=False).fan_rpm == 0.0


@pytest.mark.parametrize("spec", MACHINES, ids=lambda spec: spec.name)
def test_readings_stay_within_the_sensors_range(spec):
    machine = Machine(spec, seed=9)
    machine.inject("overload")
    for _ in range(1800):
        machine.fan_powered = True
        machine.advance(1.0)
        assert 11.0 < machine.supply_v <= 12.0
        assert 0.0 <= machine.current_a <= 3.0
        assert 10.0 < machine.ambient_temp_c < 35.0
        assert machine.case_temp_c < 125.0


def test_fan_stuck_has_power_and_no_rotation():
    machine = run(quiet_machine(), 20, fan=True)
    machine.inject("fan_stuck")
    run(machine, 10, fan=True)
    assert machine.fan_powered
    assert machine.fan_rpm == 0.0
    machine.clear("fan_stuck")
    assert run(machine, 10, fan=True).fan_rpm > 2900


def test_a_clogged_filter_cools_less_and_the_fan_turns_a_little_faster():
    clean, clogged = quiet_machine(), quiet_machine()
    clogged.inject("filter_clog")
    run(clean, 1800, fan=True)
    run(clogged, 1800, fan=True)
    assert clogged.case_temp_c > clean.case_temp_c + 5.0
    assert clean.fan_rpm < clogged.fan_rpm < clean.fan_rpm * 1.1
    clogged.clear("filter_clog")
    assert clogged.clog == 0.0


def test_overload_draws_more_than_the_machine_ever_should():
    machine = run(quiet_machine(watts=3.0), 10)
    machine.inject("overload")
    assert run(machine, 10).power_w > machine.spec.load_max_w


@pytest.mark.parametrize("bad", [-1.0, float("nan"), 1e9])
def test_advance_refuses_times_that_make_no_sense(bad):
    with pytest.raises(ValueError, match="advance takes"):
        Machine().advance(bad)


def test_the_plant_names_its_faults():
    with pytest.raises(ValueError, match=r"no fault 'sensor_stuck'.*fan_stuck"):
        Machine().inject("sensor_stuck")


def test_machines_have_names_of_their_own():
    assert [m.name for m in make_machines(5)] == [f"esp32-{n}" for n in range(1, 6)]
