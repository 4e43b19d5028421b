"""Alarms: raised after a cause has held long enough, cleared after its absence has."""

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

    def judge(self, cause) -> bool:
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


def fan_fault(fan_on, rpm) -> str:
    """What is wrong with the fan, or "": rpm None is the tachometer's matter, not the fan's."""
    if rpm is None:
        return ""
    if fan_on and rpm < FAN_STILL_RPM:
        return "the fan is on but turns at %d rpm" % rpm
    if not fan_on and rpm >= FAN_STILL_RPM:
        return "the fan is off but turns at %d rpm" % rpm
    return ""
