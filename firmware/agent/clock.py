"""Time as the agent sees it: integer milliseconds since start that never wrap."""

try:
    from time import sleep_ms, ticks_diff, ticks_ms  # type: ignore[attr-defined]
except ImportError:  # CPython, where tests and training import the agent
    from time import monotonic, sleep

    def ticks_ms():
        return int(monotonic() * 1000) & 0x3FFFFFFF

    def ticks_diff(a, b):
        return ((a - b + 0x20000000) & 0x3FFFFFFF) - 0x20000000

    def sleep_ms(ms):
        sleep(ms / 1000)


class Uptime:
    """Milliseconds since it was made. The chip's ticks wrap after 12 days at most; this does not,
    as long as it is read once in six.
    """

    def __init__(self, ticks=ticks_ms):
        self._ticks = ticks
        self._last = ticks()
        self._ms = 0

    def ms(self) -> int:
        now = self._ticks()
        step = ticks_diff(now, self._last)
        if step > 0:
            self._ms += step
            self._last = now
        return self._ms


class WallClock:
    """Seconds since 1970 once the host has told them, else None."""

    # 2020 to 2100: what lies outside is a mistake, not a date.
    EARLIEST = 1577836800
    LATEST = 4102444800

    def __init__(self):
        self._at = None
        self._ms = 0

    def set(self, at: int, ms: int) -> bool:
        """Takes the time told at uptime `ms`; False if it cannot be one."""
        if not self.EARLIEST <= at <= self.LATEST:
            return False
        self._at = at
        self._ms = ms
        return True

    def at(self, ms):
        return None if self._at is None else self._at + (ms - self._ms) // 1000
