"""Virtual time: whole microseconds that pass only when the simulation says so, paced against real
time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

CATCH_UP_S = 0.5


class Clock:
    """`speed` is virtual seconds per real second: 1 as in life, 0 as fast as it goes."""

    def __init__(self, speed: float = 1.0, real: Callable[[], float] = time.monotonic) -> None:
        self.now_us = 0
        self._real = real
        self._speed = speed
        self._anchor()

    @property
    def now_s(self) -> float:
        """Virtual seconds since the simulation began."""
        return self.now_us / 1e6

    @property
    def speed(self) -> float:
        """The pace in force."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if speed < 0:
            raise ValueError(f"speed is {speed}; expected 0 (as fast as it goes) or more")
        if speed != self._speed:
            self._speed = speed
            self._anchor()

    def _anchor(self) -> None:
        self._anchor_us = self.now_us
        self._anchor_real = self._real()

    def resume(self) -> None:
        """Count real time from now on; what passed while nothing ran is not caught up with."""
        self._anchor()

    def delay_s(self, until_us: int) -> float:
        """Real seconds until the clock may show `until_us`; 0 if it may now."""
        if not self._speed:
            return 0.0
        due = self._anchor_real + (until_us - self._anchor_us) / 1e6 / self._speed
        delay = due - self._real()
        if delay < -CATCH_UP_S:
            # The host cannot keep up, or slept: let virtual time fall behind instead of racing
            # after it.
            self._anchor()
            return 0.0
        return max(0.0, delay)

    def advance_to(self, at_us: int) -> int:
        """Show `at_us`; returns the microseconds that passed."""
        passed = at_us - self.now_us
        self.now_us = at_us
        return passed
