"""The relay's interlocks: cases, and every sequence of requests."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.action.relay import Relay, pin_level


class Pin:
    level = None

    def value(self, level):
        self.level = level


def relay(min_on=30, min_off=20, max_run=0, contact="nc", active="high"):
    return Relay(Pin(), contact, active, min_on * 1000, min_off * 1000, max_run * 1000, 0)


@pytest.mark.parametrize(
    ("contact", "active", "on", "off"),
    [("nc", "high", 0, 1), ("nc", "low", 1, 0), ("no", "high", 1, 0), ("no", "low", 0, 1)],
)
def test_level_by_wiring(contact, active, on, off):
    assert (pin_level(True, contact, active), pin_level(False, contact, active)) == (on, off)
    one = relay(contact=contact, active=active)
    assert one._pin.level == on
    one.request(0, 30_000)
    assert one._pin.level == off


# steps: (second, "on"/"off"/"safe") -> (fan, held)
SEQUENCES = {
    "starts as just switched on": [
        (0, "off", 1, "min_on"),
        (29, "off", 1, "min_on"),
        (30, "off", 0, None),
    ],
    "off lasts": [(30, "off", 0, None), (49, "on", 0, "min_off"), (50, "on", 1, None)],
    "safe at once": [
        (30, "off", 0, None),
        (31, "safe", 1, None),
        (60, "off", 1, "min_on"),
        (61, "off", 0, None),
    ],
    "safe holds on": [(10, "safe", 1, None), (30, "safe", 1, None), (31, "off", 0, None)],
    "a wish withdrawn is not held": [(10, "off", 1, "min_on"), (11, "on", 1, None)],
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name):
    one = relay()
    for second, step, fan, held in SEQUENCES[name]:
        if step == "safe":
            one.safe(second * 1000)
        else:
            one.request(step == "on", second * 1000)
        assert (one.on, one.held) == (fan, held), (second, step)


def test_the_longest_run():
    one = relay(min_on=30, min_off=20, max_run=100)
    assert [one.request(1, s * 1000) for s in (99, 100, 119, 120)] == [1, 0, 0, 1]
    one.request(1, 100_000 + 120_000)
    assert (one.on, one.held) == (0, "max_run")


def test_the_safe_state_knows_no_longest_run():
    one = relay(max_run=100)
    assert [one.safe(s * 1000) for s in (99, 100, 5000)] == [1, 1, 1]


def test_waiting_time_is_told():
    one = relay()
    one.request(0, 12_000)
    assert one.wait_ms(12_000) == 18_000


@settings(max_examples=500)
@given(
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from([0, 25, 60]),
    st.lists(
        st.tuples(st.sampled_from(["on", "off", "safe"]), st.integers(0, 30_000)), max_size=60
    ),
)
def test_no_two_switches_are_closer_than_the_minimum_except_into_the_safe_state(
    min_on, min_off, max_run, steps
):
    one = relay(min_on, min_off, max_run)
    now = 0
    switched = 0
    for step, wait in steps:
        now += wait
        before = one.on
        if step == "safe":
            one.safe(now)
            assert one.on == 1
        else:
            one.request(step == "on", now)
        assert one._pin.level == (0 if one.on else 1)
        if one.on != before:
            if one.on:
                assert step == "safe" or now - switched >= min_off * 1000
            else:
                assert now - switched >= min_on * 1000
                assert step == "off" or now - switched >= max_run * 1000 > 0
            switched = now
        elif step != "safe" and one.on != (step == "on"):
            assert one.held is not None
