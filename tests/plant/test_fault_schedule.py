"""Faults as people write them, and as a schedule applies them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.simulation.faults import FAULTS, Fault, FaultError, FaultSchedule, parse_fault

WRITTEN = {
    "fan_stuck@120": Fault("fan_stuck", 120.0),
    "fan_stuck@120:esp32-2": Fault("fan_stuck", 120.0, None, "esp32-2"),
    "filter_clog@60+900:esp32-2": Fault("filter_clog", 60.0, 900.0, "esp32-2"),
    "sensor_unplugged@0": Fault("sensor_unplugged", 0.0),
    " overload@1.5+2 ": Fault("overload", 1.5, 2.0),
}
WRONG = [
    "",
    "fan_stuck",
    "fan_stuck@",
    "fan_stuck@-3",
    "fan_stuck@1e9",
    "fire@3",
    "fan_stuck@9:A B",
]
WRONG += ["fan_stuck@3+0", "fan_stuck@99999999", "fan_stuck@١٢"]


@pytest.mark.parametrize("text", WRITTEN)
def test_read(text):
    assert parse_fault(text) == WRITTEN[text]


@pytest.mark.parametrize("text", WRONG)
def test_refused_with_one_clear_line(text):
    with pytest.raises(FaultError) as error:
        parse_fault(text)
    assert str(error.value).startswith("fault ")
    assert "\n" not in str(error.value)


def test_an_unknown_kind_is_answered_with_the_known_ones():
    with pytest.raises(FaultError) as error:
        parse_fault("fan_stukc@120")
    assert all(name in str(error.value) for name in FAULTS)


@given(
    st.builds(
        Fault,
        st.sampled_from(sorted(FAULTS)),
        st.integers(0, 10**6).map(float),
        st.none() | st.integers(1, 10**6).map(float),
        st.none() | st.from_regex(r"[a-z0-9_-]{1,32}", fullmatch=True),
    )
)
def test_written_and_read_again(fault):
    text = str(fault)
    again = parse_fault(text)
    assert (again.kind, again.machine) == (fault.kind, fault.machine)
    assert again.at_s == fault.at_s
    assert again.for_s == fault.for_s


@given(st.text(max_size=80))
def test_any_text_is_a_fault_or_a_fault_error(text):
    try:
        parse_fault(text)
    except FaultError:
        pass


class Plant:
    def __init__(self):
        self.log = []

    def inject(self, fault):
        self.log.append(("on", fault))

    def clear(self, fault):
        self.log.append(("off", fault))


def test_a_schedule_switches_what_is_due_on_its_machine():
    faults = ["fan_stuck@10+5", "sensor_stuck@12:esp32-1", "overload@11:esp32-2"]
    schedule = FaultSchedule([parse_fault(text) for text in faults], "esp32-1")
    plant = Plant()
    changes = {}
    for second in range(20):
        for change in schedule.step(plant, float(second)):
            changes[second] = (change.fault.kind, change.on)
    assert plant.log == [("on", "fan_stuck"), ("off", "fan_stuck")]
    assert changes == {
        10: ("fan_stuck", True),
        12: ("sensor_stuck", True),
        15: ("fan_stuck", False),
    }


def test_overlapping_entries_of_one_kind_end_with_the_last():
    schedule = FaultSchedule([parse_fault("overload@1+10"), parse_fault("overload@5+20")], "m")
    plant = Plant()
    for second in range(40):
        schedule.step(plant, float(second))
        if second == 15:
            assert plant.log == [("on", "overload")]
    assert plant.log == [("on", "overload"), ("off", "overload")]
