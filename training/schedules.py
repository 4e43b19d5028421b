"""Who switches the fan in a simulated run: chance, or the board's policy with or without model.

Policy, relay interlocks, windows and scaling are the board's own code, with the defaults of its
settings.
"""

import random

from agent.action.relay import Relay
from agent.cognition.features import FeatureWindow, quantise
from agent.decision.policy import Situation, decide
from training.cooling import FEATURES, HORIZON_S, CoolingModel
from training.runs import Reading
from training.scaling import ACTION_Q

MIN_ON_S = 30
MIN_OFF_S = 30
HYSTERESIS_MK = 1000
TRIP_ABOVE_LIMIT_MK = 15000


class _Coil:
    """Stands where the relay's pin would be."""

    def value(self, level: int) -> None:
        """The relay's state is read from the relay itself."""


class _Switched:
    """A schedule behind the board's relay interlocks."""

    def __init__(self) -> None:
        self._relay = Relay(_Coil(), "no", "high", MIN_ON_S * 1000, MIN_OFF_S * 1000, 0, -60_000)

    def __call__(self, second: int, reading: Reading) -> bool:
        wants = self.wants(second, reading, int(self._relay.on))
        return bool(self._relay.request(wants, second * 1000))

    def wants(self, second: int, reading: Reading, on: int) -> bool:
        raise NotImplementedError


class RandomSchedule(_Switched):
    """Fan states held for half a minute to seven minutes, whatever the temperature below 68 °C."""

    def __init__(self, seed: str):
        super().__init__()
        self._draw = random.Random(seed)
        self._on = self._draw.random() < 0.4
        self._until = self._draw.uniform(20, 300)

    def wants(self, second: int, reading: Reading, on: int) -> bool:
        if second >= self._until:
            self._on = not self._on
            self._until = second + self._draw.uniform(30, 240 if self._on else 420)
        return self._on or reading.case_mc > 68_000


class Thermostat(_Switched):
    """The board's policy without a model: on above the limit, off one hysteresis below it."""

    def __init__(self, limit_c: float, hysteresis_mk: int = HYSTERESIS_MK):
        super().__init__()
        limit_mc = round(limit_c * 1000)
        self._now = Situation(limit_mc, limit_mc + TRIP_ABOVE_LIMIT_MK, hysteresis_mk, 0, HORIZON_S)

    def wants(self, second: int, reading: Reading, on: int) -> bool:
        now = self._now
        now.case_mc, now.fan_on = reading.case_mc, on
        ask, now.rule = decide(now)
        return bool(ask)


class Forecast(Thermostat):
    """The board's policy with the cooling model: the cheapest action that keeps the limit."""

    def __init__(self, cooling: CoolingModel, limit_c: float):
        super().__init__(limit_c)
        self._cooling = cooling
        self._window = FeatureWindow(HORIZON_S)

    def wants(self, second: int, reading: Reading, on: int) -> bool:
        window = self._window
        window.push(*reading, on)
        row = [quantise(window.value(f.name), f.offset, f.mul, f.shift) for f in FEATURES]
        off_mk, on_mk = (self._cooling.one_change_mk([*row, q]) for q in ACTION_Q)
        self._now.fc_off_mc = reading.case_mc + off_mk
        self._now.fc_on_mc = reading.case_mc + on_mk
        return super().wants(second, reading, on)
