"""Alarms: raised after a cause has held long enough, cleared after its absence has."""

from agent.plain import NOT_TO_BE_HAD, release

ANOMALY = "anomaly"
SENSOR = "sensor"
OVERTEMP = "overtemp"
FAN = "fan"
RESTART = "restart"


class Alarm:
    """One alarm with the same patience for raising and clearing.

    hold: periods in a row. `key` tells alarms of one kind apart (which sensor).
    """

    def __init__(self, kind: str, key: str, hold: int, hold_clear: int = 0):
        self.kind = kind
        self.key = key
        self.active = False
        self._hold = max(1, hold)
        self._hold_clear = hold_clear or self._hold
        self._count = 0

    def judge(self, cause):
        """Takes one period's verdict; True if the alarm has just been raised or cleared."""
        if bool(cause) == self.active:
            self._count = 0
            return False
        self._count += 1
        if self._count < (self._hold_clear if self.active else self._hold):
            return False
        self._count = 0
        self.active = not self.active
        return True


FAN_STILL_RPM = 200
FAN_PATIENCE_S = 8
# A fan that has lost its power coasts; only then can it be said not to obey.
FAN_COAST_S = 15


def fan_fault(fan_on, rpm):
    """What is wrong with the fan, or "": rpm None is the tachometer's matter, not the fan's."""
    if rpm is None:
        return ""
    if fan_on and rpm < FAN_STILL_RPM:
        return "the fan is on but turns at %d rpm" % rpm
    if not fan_on and rpm >= FAN_STILL_RPM:
        return "the fan is off but turns at %d rpm" % rpm
    return ""


SENSOR_PATIENCE_S = 5
FAN_CLEAR_S = 3
RESTART_CLEAR_MS = 60000


class Alarms:
    """All alarms of a board, judged once per period.

    tell: called as tell(kind, raised, why, value, of) when one is raised or cleared; `of` names the
    sensor of a sensor alarm, else None.
    """

    def __init__(self, tell, fitted, period_ms, anomaly_hold, restarted):
        self._tell = tell
        self._sensors = []
        for channel in fitted:
            hold = SENSOR_PATIENCE_S * 1000 // period_ms + 1
            self._sensors.append((channel, Alarm(SENSOR, channel.name, hold)))
        self._anomaly = Alarm(ANOMALY, "", anomaly_hold)
        self._overtemp = Alarm(OVERTEMP, "", 1)
        hold = FAN_PATIENCE_S * 1000 // period_ms + 1
        self._fan = Alarm(FAN, "", hold, max(1, FAN_CLEAR_S * 1000 // period_ms))
        self._fan_on_ms = 0
        self._restart = Alarm(RESTART, "", 1)
        self._restarted = restarted

    @property
    def anomaly(self) -> bool:
        """Whether the anomaly alarm is raised."""
        return self._anomaly.active

    def judge_anomaly(self, score, threshold):
        """Before the decision, which depends on it. A score that is not known says nothing."""
        if score is None:
            return
        above = score > threshold
        if self._anomaly.judge(above):
            self._say(self._anomaly, score, (score, threshold))

    def withdraw_anomaly(self, why):
        """Clears the anomaly alarm, if it is raised: there is no model any more to judge it by."""
        if self._anomaly.active:
            self._anomaly.active = False
            self._tell(ANOMALY, False, why, None, None)

    def judge(self, case_mc, trip_mc, fan_on, rpm, now_ms):
        """After the relay was set."""
        for channel, one in self._sensors:
            if one.judge(channel.value is None):
                bad_s = channel.bad_ms(now_ms) // 1000
                self._say(one, bad_s, (channel.name, channel.reason), channel.name)
        if case_mc is not None and self._overtemp.judge(case_mc >= trip_mc):
            self._say(self._overtemp, case_mc, (case_mc, trip_mc))
        if fan_on:
            self._fan_on_ms = now_ms
        if rpm is not None:
            coasting = not fan_on and now_ms - self._fan_on_ms < FAN_COAST_S * 1000
            fault = "" if coasting else fan_fault(fan_on, rpm)
            if self._fan.judge(fault):
                self._say(self._fan, rpm, (fault,))
        if self._restarted and self._restart.judge(now_ms < RESTART_CLEAR_MS):
            self._say(self._restart, now_ms, ())

    def _say(self, one, value, about, of=None):
        try:
            from agent.rare.alarm_words import KINDS

            why = KINDS[one.kind](one.active, *about)
        except NOT_TO_BE_HAD:
            why = "%s: %d" % (one.kind, value)
        finally:
            release()
        self._tell(one.kind, one.active, why, value, of)
