"""The features of both models: the one definition, for the board, training and the report.

    window = FeatureWindow()
    window.push(case_mc, ambient_mc, power_mw, fan_rpm, fan_on)     # once per control period
    q = quantise(window.value("rise_mk"), offset, mul, shift)
    window.expect(forecast_mc)      # the forecast for the action now set; only residual_mk needs it

docs/bundle.md defines each feature. Everything is an integer, divisions round down, and pushing a
sample allocates nothing. Values are clamped to what a 31-bit machine can add up.
"""

from array import array

MEAN = 60  # samples of power_avg_mw and fan_pm
TREND = 30
SPEED = 10
RESIDUAL = 10
_NONE = -(1 << 29)
_TOP = (1 << 23) - 1  # 60 of them stay below 2**29

UNITS = {
    "case_mc": "m°C",
    "ambient_mc": "m°C",
    "rise_mk": "mK",
    "power_mw": "mW",
    "power_avg_mw": "mW",
    "trend_mk": "mK",
    "fan_rpm": "rpm",
    "fan_pm": "‰",
    "residual_mk": "mK",
}


def quantise(value: int, offset: int, mul: int, shift: int) -> int:
    """The model's int8 input for a feature value (docs/bundle.md, "Features")."""
    d = value - offset
    if d > 262143:
        d = 262143
    elif d < -262143:
        d = -262143
    q = (d * mul + (1 << (shift - 1))) >> shift
    return -128 if q < -128 else 127 if q > 127 else q


def _clamp(value):
    return -_TOP if value < -_TOP else _TOP if value > _TOP else value


class FeatureWindow:
    """The last minute of samples. `count` is the number of samples pushed so far.

    horizon: samples between a forecast and the case temperature it is compared with.
    """

    def __init__(self, horizon: int = 60):
        self.count = 0
        self.case_mc = self.ambient_mc = self.power_mw = 0
        self._horizon = horizon
        self._case = array("i", [0] * TREND)
        self._power = array("i", [0] * MEAN)
        self._fan = array("b", [0] * MEAN)
        self._rpm = array("i", [0] * SPEED)
        self._forecast = array("i", [_NONE] * horizon)
        self._residual = array("i", [0] * RESIDUAL)
        self._power_sum = self._fan_sum = self._rpm_sum = self._residual_sum = 0
        self._residuals = 0  # in a row without a change of action
        self._steady = 0  # samples since the fan was switched
        self._was_on = -1
        self._trend = 0

    def push(self, case_mc, ambient_mc, power_mw, fan_rpm, fan_on):
        """One sample; `fan_on` is what the fan was set to since the last one."""
        case_mc = _clamp(case_mc)
        power_mw = _clamp(power_mw)
        fan_rpm = _clamp(fan_rpm)
        on = 1 if fan_on else 0
        n = self.count
        self.case_mc = case_mc
        self.ambient_mc = _clamp(ambient_mc)
        self.power_mw = power_mw

        ring = self._case
        if n >= TREND:
            self._trend = case_mc - ring[n % TREND]
        elif n:
            self._trend = (case_mc - ring[0]) * TREND // n
        ring[n % TREND] = case_mc

        at = n % MEAN
        # Slots not yet written hold 0, so the sums are right from the first sample on.
        self._power_sum += power_mw - self._power[at]
        self._power[at] = power_mw
        self._fan_sum += on - self._fan[at]
        self._fan[at] = on
        at = n % SPEED
        self._rpm_sum += fan_rpm - self._rpm[at]
        self._rpm[at] = fan_rpm

        if on == self._was_on:
            self._steady += 1
        else:
            self._steady = 1
            self._was_on = on
        self._judge_forecast(n % self._horizon, case_mc)
        self.count = n + 1

    def expect(self, forecast_mc: int) -> None:
        """The case temperature forecast at the last sample for the action set since then."""
        if self.count:
            self._forecast[(self.count - 1) % self._horizon] = _clamp(forecast_mc)

    def _judge_forecast(self, at, case_mc):
        forecast = self._forecast[at]
        self._forecast[at] = _NONE
        if forecast == _NONE or self._steady < self._horizon:
            self._residuals = self._residual_sum = 0
            return
        ring = self._residual
        slot = self._residuals % RESIDUAL
        if self._residuals >= RESIDUAL:
            self._residual_sum -= ring[slot]
        ring[slot] = case_mc - forecast
        self._residual_sum += ring[slot]
        self._residuals += 1

    def value(self, name: str) -> int:
        """A feature by its name, in the unit of its name. Raises KeyError."""
        n = self.count
        if name == "case_mc":
            return self.case_mc
        if name == "ambient_mc":
            return self.ambient_mc
        if name == "rise_mk":
            return self.case_mc - self.ambient_mc
        if name == "power_mw":
            return self.power_mw
        if name == "power_avg_mw":
            return self._power_sum // (n if n < MEAN else MEAN) if n else 0
        if name == "trend_mk":
            return self._trend
        if name == "fan_rpm":
            return self._rpm_sum // (n if n < SPEED else SPEED) if n else 0
        if name == "fan_pm":
            return self._fan_sum * 1000 // (n if n < MEAN else MEAN) if n else 0
        if name == "residual_mk":
            n = self._residuals
            return self._residual_sum // (n if n < RESIDUAL else RESIDUAL) if n else 0
        raise KeyError(name)

    @staticmethod
    def known(name: str) -> bool:
        """Whether there is a feature of that name."""
        return name in UNITS
