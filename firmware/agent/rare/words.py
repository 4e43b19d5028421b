"""Decisions and what they rest on, in plain ASCII words. Needed once per record."""

from agent.decision.policy import BOOT, OVERRIDE, OVERTEMP, SENSOR_LOSS, THERMOSTAT, Situation

# What the words call each feature.
WORDS = {
    "case_mc": "case temperature",
    "ambient_mc": "ambient",
    "rise_mk": "rise over ambient",
    "power_mw": "power",
    "power_avg_mw": "average power",
    "trend_mk": "trend",
    "fan_rpm": "fan speed",
    "fan_pm": "fan use",
    "residual_mk": "earlier misses",
}


def celsius(mc: int) -> str:
    """A temperature to a tenth of a degree, rounded half up: "45.4 C"."""
    tenths = (mc + 50) // 100
    return "%s%d.%d C" % ("-" if tenths < 0 else "", abs(tenths) // 10, abs(tenths) % 10)


def kelvin(mk: int) -> str:
    """A difference to a tenth of a kelvin, with its sign: "+0.9 K"."""
    tenths = (abs(mk) + 50) // 100
    return "%s%d.%d K" % ("-" if mk < 0 and tenths else "+", tenths // 10, tenths % 10)


def reason(s: Situation, ask: int, rule: str) -> str:
    """Why that is asked."""
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


def explained(frame, contributions):
    """What is added to a record's or an anomaly alarm's words once it is explained."""
    named = [(WORDS.get(name, name), value) for name, value in contributions]
    if frame["t"] == "alarm":
        return mostly_score(named)
    return mostly(named) if frame["rule"] == "forecast" else ""


def mostly(contributions):
    """The two largest contributions to a forecast, of (words, mK) pairs, that are worth a tenth of
    a kelvin.
    """
    largest = sorted(contributions, key=_size, reverse=True)[:2]
    named = ["%s %s" % (words, kelvin(mk)) for words, mk in largest if abs(mk) >= 50]
    return "; mostly " + ", ".join(named) if named else ""


def mostly_score(contributions):
    """The two features that contribute most to a score."""
    largest = sorted(contributions, key=_value, reverse=True)[:2]
    named = ["%s %d" % pair for pair in largest if pair[1] > 0]
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


def _value(contribution):
    return contribution[1]
