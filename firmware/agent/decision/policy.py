"""What to ask of the fan: pure functions of a Situation, in this order of precedence.

1. boot         no reading yet since the start: on
2. sensor_loss  the case temperature is not known: on
3. overtemp     case at or above the trip point, until one hysteresis below it: on
4. override     a command, until it expires
5. forecast     the cheapest action under which case and forecast stay below the limit; from on to
                off only if they stay one hysteresis below; the coldest where nothing does
6. thermostat   without a usable model, or without what it needs: on above the limit, off one
                hysteresis below it
"""

BOOT = "boot"
SENSOR_LOSS = "sensor_loss"
OVERTEMP = "overtemp"
OVERRIDE = "override"
FORECAST = "forecast"
THERMOSTAT = "thermostat"

# Rules under which the relay goes to its safe state at once, whatever the minimum times.
SAFE_RULES = (BOOT, SENSOR_LOSS, OVERTEMP)


class Situation:
    """What a decision is made from; the owner updates it in place each period.

    Temperatures in m°C, None where not known. `fan_on`: what the relay is set to. `rule`: the last
    decision's. `override`: 0, 1 or None. `no_model`: why there are no forecasts, in words.
    """

    def __init__(self, limit_mc, trip_mc, hysteresis_mk, anomaly_margin_mk, horizon_s=60):
        self.limit_mc = limit_mc
        self.trip_mc = trip_mc
        self.hysteresis_mk = hysteresis_mk
        self.anomaly_margin_mk = anomaly_margin_mk
        self.horizon_s = horizon_s
        self.case_mc = None
        self.case_reason = "it has not been read yet"
        self.started = False  # whether there ever was a reading, or time enough for one
        self.fc_off_mc = None
        self.fc_on_mc = None
        self.no_model = "no model"
        self.anomaly = False
        self.override = None
        self.override_left_s = 0
        self.fan_on = 1
        self.rule = BOOT

    def effective_limit_mc(self) -> int:
        """The limit, tightened while an anomaly alarm is active."""
        return self.limit_mc - (self.anomaly_margin_mk if self.anomaly else 0)


def decide(s: Situation) -> tuple:
    """(ask, rule): 1 for fan on."""
    if s.case_mc is None:
        return (1, SENSOR_LOSS) if s.started else (1, BOOT)
    if s.case_mc >= s.trip_mc - (s.hysteresis_mk if s.rule == OVERTEMP else 0):
        return 1, OVERTEMP
    if s.override is not None:
        return s.override, OVERRIDE
    limit_mc = s.effective_limit_mc()
    if s.fan_on:
        limit_mc -= s.hysteresis_mk
    if s.fc_off_mc is None or s.fc_on_mc is None:
        if s.fan_on:
            return (1 if s.case_mc >= limit_mc else 0), THERMOSTAT
        return (1 if s.case_mc > limit_mc else 0), THERMOSTAT
    if max(s.case_mc, s.fc_off_mc) < limit_mc:
        return 0, FORECAST
    if s.fc_on_mc < s.effective_limit_mc():
        return 1, FORECAST
    return (1 if s.fc_on_mc <= s.fc_off_mc else 0), FORECAST
