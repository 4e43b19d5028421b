"""What a machine cannot choose: its heat load and the air it stands in, from time and seed."""

import math
import random

DAY_S = 5400.0
"""The slow swell a working day would give, shortened so that a demonstration sees it."""


class HeatLoad:
    """Watts over time: steps, ramps and pulse trains between two bounds, on a slow swell."""

    def __init__(self, min_w: float, max_w: float, seed: str):
        self._min_w = min_w
        self._span_w = max_w - min_w
        self._random = random.Random(seed)
        self._phase = self._random.random()
        self._from = self._to = self._random.uniform(0.35, 0.75)
        self._kind = "step"
        self._start_s = 0.0
        self._end_s = self._random.uniform(60.0, 240.0)
        self._period_s = 60.0

    def at(self, time_s: float) -> float:
        """Power in W at `time_s`; to be asked with times that never decrease."""
        while time_s >= self._end_s:
            self._next_segment()
        since = time_s - self._start_s
        if self._kind == "ramp":
            level = self._from + (self._to - self._from) * since / (self._end_s - self._start_s)
        elif self._kind == "pulses":
            level = self._to if since % self._period_s < self._period_s / 2 else self._from
        else:
            level = self._to
        level += 0.1 * math.sin(2.0 * math.pi * (time_s / DAY_S + self._phase))
        return self._min_w + self._span_w * min(1.0, max(0.0, level))

    def _next_segment(self) -> None:
        draw = self._random
        self._start_s = self._end_s
        self._from = self._to
        self._to = draw.random()
        self._kind = draw.choices(("step", "ramp", "pulses"), (5, 3, 2))[0]
        if self._kind == "pulses":
            self._to = min(1.0, max(0.0, self._from + draw.uniform(-0.35, 0.35)))
        low_s, high_s = {"step": (120, 600), "ramp": (60, 300), "pulses": (180, 480)}[self._kind]
        self._end_s = self._start_s + draw.uniform(low_s, high_s)
        self._period_s = draw.choice((40.0, 60.0, 90.0))


class AmbientDrift:
    """Inlet air in degrees Celsius: follows, with a lag of minutes, a target that wanders."""

    _LAG_S = 300.0

    def __init__(self, base_c: float, seed: str):
        self._base_c = base_c
        self._random = random.Random(seed)
        self.value_c = base_c + self._random.uniform(-2.0, 2.0)
        self._target_c = self.value_c
        self._until_s = 0.0
        self._last_s = 0.0

    def at(self, time_s: float) -> float:
        """Temperature at `time_s`; to be asked with times that never decrease."""
        if time_s >= self._until_s:
            self._target_c = self._base_c + self._random.uniform(-3.0, 3.0)
            self._until_s = time_s + self._random.uniform(300.0, 1200.0)
        step_s = time_s - self._last_s
        self._last_s = time_s
        self.value_c += (self._target_c - self.value_c) * (1.0 - math.exp(-step_s / self._LAG_S))
        return self.value_c
