"""The physical side that devices measure and act on."""

from __future__ import annotations

from typing import Protocol


class Machine(Protocol):
    """A machine that gets hot and has a fan. Temperatures in degrees Celsius, volts, amperes,
    rev/min.
    """

    fan_powered: bool

    @property
    def case_temp_c(self) -> float: ...

    @property
    def ambient_temp_c(self) -> float: ...

    @property
    def supply_v(self) -> float: ...

    @property
    def current_a(self) -> float: ...

    @property
    def fan_rpm(self) -> float: ...

    def advance(self, dt_s: float) -> None:
        """Let `dt_s` seconds pass."""
