"""Fan tachometer: open collector, a number of pulses per revolution, counted by interrupt."""

from .errors import SensorError

try:
    from time import ticks_diff, ticks_ms  # type: ignore[attr-defined]
except ImportError:
    from agent.clock import ticks_diff, ticks_ms

# A wire that picks up noise could interrupt without end. 20,000 rpm at 4 pulses are 1,334 a second.
MAX_PULSES_PER_S = 3000


def rpm(pulses: int, pulses_per_rev: int, ms: int) -> int:
    """Revolutions per minute from pulses counted in `ms`, rounded to the nearest."""
    per = pulses_per_rev * ms
    return (pulses * 60000 + per // 2) // per


class Tachometer:
    """`read(now_ms)` gives the rpm since the last reading, or raises SensorError."""

    def __init__(self, pin: int, pulses_per_rev: int = 2):
        from machine import Pin  # type: ignore[import-not-found]

        self._per_rev = pulses_per_rev
        self._count = 0
        self._most = MAX_PULSES_PER_S
        self._flooded = False
        self._isr = self._pulse
        self._trigger = Pin.IRQ_FALLING
        self._pin = Pin(pin, Pin.IN, Pin.PULL_UP)
        self._since = ticks_ms()
        self._first = True
        self._pin.irq(handler=self._isr, trigger=self._trigger)

    def _pulse(self, pin):
        self._count += 1
        if self._count > self._most:
            self._flooded = True
            pin.irq(handler=None)

    def read(self, now_ms: int) -> int:
        now = ticks_ms()
        ms = ticks_diff(now, self._since)
        count = self._count
        if self._flooded:
            self._restart(now)
            self._flooded = False
            self._pin.irq(handler=self._isr, trigger=self._trigger)
            raise SensorError("more pulses than a fan can give: check the wiring")
        if ms < 100:
            raise SensorError("too soon after the start")
        self._restart(now)
        # For the next reading: what a fan can give until then, with room for a late one.
        self._most = MAX_PULSES_PER_S * max(2, ms // 500)
        return rpm(count, self._per_rev, ms)

    def _restart(self, now):
        self._count = 0
        self._since = now
