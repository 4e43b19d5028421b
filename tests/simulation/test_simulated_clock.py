"""Pacing of virtual time, with a real clock that the test turns."""

import pytest

from host.simulation.clock import Clock


class Wall:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("speed", "passed_s", "until_s", "delay_s"),
    [
        (1.0, 0.0, 2.0, 2.0),
        (1.0, 0.5, 2.0, 1.5),
        (10.0, 0.0, 2.0, 0.2),
        (10.0, 0.3, 2.0, 0.0),
        (0.0, 0.0, 1e6, 0.0),
    ],
)
def test_delay(speed, passed_s, until_s, delay_s):
    wall = Wall()
    clock = Clock(speed, wall)
    wall.now += passed_s
    assert clock.delay_s(round(until_s * 1e6)) == pytest.approx(delay_s)


def test_a_host_that_slept_is_not_caught_up_with():
    wall = Wall()
    clock = Clock(1.0, wall)
    clock.advance_to(1_000_000)
    wall.now += 3600
    assert clock.delay_s(1_100_000) == 0
    assert clock.delay_s(1_100_000) == pytest.approx(0.1)


def test_a_new_speed_holds_from_now_on():
    wall = Wall()
    clock = Clock(0.0, wall)
    clock.advance_to(50_000_000)
    clock.speed = 2.0
    assert clock.delay_s(52_000_000) == pytest.approx(1.0)


def test_a_negative_speed_is_refused():
    with pytest.raises(ValueError, match="expected 0"):
        Clock().speed = -1
