"""What every virtual device has: a fault that can be switched while it runs."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable


class Fault(enum.Enum):
    """What is wrong with a device, seen from its wires."""

    NONE = "none"
    UNPLUGGED = "unplugged"
    STUCK = "stuck"
    NOISY = "noisy"


class Device:
    """A device that measures `quantity()`; a stuck one goes on with the value it had when it got
    stuck.
    """

    NOISY_BITS = 0.02  # of the bits a noisy device sends are wrong

    def __init__(self, quantity: Callable[[], float], seed: int | str = 0) -> None:
        self._quantity = quantity
        self._fault = Fault.NONE
        self._stuck_at = 0.0
        self.noise = random.Random(seed)

    @property
    def fault(self) -> Fault:
        """The present fault; assigning takes effect at once."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        if fault is Fault.STUCK and self._fault is not Fault.STUCK:
            self._stuck_at = self._quantity()
        self._fault = fault

    def measure(self) -> float:
        """The physical quantity as the device's element sees it now."""
        return self._stuck_at if self._fault is Fault.STUCK else self._quantity()

    @property
    def connected(self) -> bool:
        """False when unplugged."""
        return self._fault is not Fault.UNPLUGGED

    def flips(self) -> bool:
        """Whether the next bit sent is to be wrong."""
        return self._fault is Fault.NOISY and self.noise.random() < self.NOISY_BITS

    def advance(self, now_us: int, dt_us: int) -> None:
        """Virtual time went on by `dt_us` to `now_us`."""

    def power_cycle(self) -> None:
        """The supply went away and came back: volatile registers are as after power-on."""
