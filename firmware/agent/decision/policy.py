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


def celsius(mc: int) -> str:
    """A temperature to a tenth of a degree, rounded half up: "45.4 C"."""
    tenths = (mc + 50) // 100
    return "%s%d.%d C" % ("-" if tenths < 0 else "", abs(tenths) // 10, abs(tenths) % 10)


def kelvin(mk: int) -> str:
    """A difference to a tenth of a kelvin, with its sign: "+0.9 K"."""
    tenths = (abs(mk) + 50) // 100
    return "%s%d.%d K" % ("-" if mk < 0 and tenths else "+", tenths // 10, tenths % 10)


def reason(s: Situation, ask: int, rule: str) -> str:
    """Why, in plain ASCII words."""
    if rule == BOOT:
        because = "the board has just started and has no reading yet"
    elif rule == SENSOR_LOSS:
        because = "the case temperature is not known: %s" % s.case_reason
    elif rule == OVERTEMP:
        because = _overtemp(s)
    elif rule == OVERRIDE:
        because = "a command says so for another %d s" % s.override_left_s
    elif rule == THERMOSTAT:
        because = _thermostat(s, ask)
    else:
        because = _forecast(s, ask)
    return "Fan %s because %s" % ("on" if ask else "off", because)


def mostly(contributions):
    """What is added to the reason once the forecast is explained: the two largest contributions,
    of (words, mK) pairs, that are worth a tenth of a kelvin.
    """
    largest = sorted(contributions, key=_size, reverse=True)[:2]
    named = ["%s %s" % (words, kelvin(mk)) for words, mk in largest if abs(mk) >= 50]
    return "; mostly " + ", ".join(named) if named else ""


def held_words(held: str, fan_on: int, wait_ms: int) -> str:
    """What is added to the reason while an interlock holds the fan."""
    name = {"min_on": "minimum on time", "min_off": "minimum off time", "max_run": "longest run"}
    return "; it stays %s %d s more for the %s" % (
        "on" if fan_on else "off",
        (wait_ms + 999) // 1000,
        name[held],
    )


def _limit_words(s):
    words = "limit %s" % celsius(s.effective_limit_mc())
    if s.anomaly:
        words += ", tightened by %s for an anomaly" % kelvin(s.anomaly_margin_mk)[1:]
    return words


def _overtemp(s):
    if s.case_mc >= s.trip_mc:
        return "the case is at %s, at or above the trip point %s" % (
            celsius(s.case_mc),
            celsius(s.trip_mc),
        )
    return "the case is at %s, not yet %s below the trip point %s" % (
        celsius(s.case_mc),
        kelvin(s.hysteresis_mk)[1:],
        celsius(s.trip_mc),
    )


def _thermostat(s, ask):
    limit_mc = s.effective_limit_mc()
    if ask:
        where = (
            "above" if s.case_mc > limit_mc else "not yet %s below" % kelvin(s.hysteresis_mk)[1:]
        )
    elif s.fan_on:
        where = "%s below" % kelvin(s.hysteresis_mk)[1:]
    else:
        where = "not above"
    return "the case is at %s, %s the %s (by thermostat: %s)" % (
        celsius(s.case_mc),
        where,
        _limit_words(s),
        s.no_model,
    )


def _forecast(s, ask):
    off = celsius(s.fc_off_mc)
    limit_mc = s.effective_limit_mc()
    ahead = "in %d s" % s.horizon_s
    if not ask:
        if max(s.case_mc, s.fc_off_mc) < limit_mc:
            return "the case would be at %s %s without it (%s)" % (off, ahead, _limit_words(s))
        return "the case would reach %s %s with it and %s without it (%s)" % (
            celsius(s.fc_on_mc),
            ahead,
            off,
            _limit_words(s),
        )
    if s.fc_on_mc >= limit_mc:
        return "the case would reach %s %s even with it, %s without it (%s)" % (
            celsius(s.fc_on_mc),
            ahead,
            off,
            _limit_words(s),
        )
    if s.fc_off_mc >= limit_mc:
        return "the case would reach %s %s with it off (%s)" % (off, ahead, _limit_words(s))
    if s.case_mc >= limit_mc:
        return "the case is at %s (%s)" % (celsius(s.case_mc), _limit_words(s))
    return "the case would come within %s of the limit, at %s %s with it off (%s)" % (
        kelvin(s.hysteresis_mk)[1:],
        celsius(max(s.case_mc, s.fc_off_mc)),
        ahead,
        _limit_words(s),
    )


def _size(contribution):
    return abs(contribution[1])
