"""One reading: its value, or why there is none."""


class Channel:
    """value: int or None.  reason: why it is None.  bad_ms: how long it has been.

    low, high: what the sensor can truly show.  max_step: the fastest true change per second; a
    jump beyond it is refused until it has persisted for SETTLE readings, for then it is the truth.
    """

    SETTLE = 3

    def __init__(self, name: str, low: int, high: int, max_step: int, now_ms: int = 0):
        self.name = name
        self.value: int | None = None
        self.reason = "it has not been read yet"
        self._low = low
        self._high = high
        self._max_step = max_step
        self._last: int | None = None
        self._last_ms = now_ms
        self._jumps = 0
        self._bad_since_ms = now_ms

    def accept(self, value: int, now_ms: int) -> None:
        """Takes what the driver read, if it can be."""
        if not self._low <= value <= self._high:
            self.refuse("%d is outside %d to %d" % (value, self._low, self._high), now_ms)
            return
        if self._last is not None:
            # A silence of any length allows no more than this: 10 s.
            seconds = min(10, max(1, (now_ms - self._last_ms + 500) // 1000))
            step = abs(value - self._last)
            if step > self._max_step * seconds and self._jumps < self.SETTLE - 1:
                self._jumps += 1
                self.refuse("it jumped by %d" % step, now_ms)
                return
        self._jumps = 0
        self.value = self._last = value
        self._last_ms = now_ms
        self.reason = ""

    def refuse(self, reason: str, now_ms: int) -> None:
        """There is no reading."""
        if self.value is not None:
            self._bad_since_ms = now_ms
        self.value = None
        self.reason = reason

    def bad_ms(self, now_ms: int) -> int:
        """For how long there has been no reading; 0 while there is one."""
        return 0 if self.value is not None else now_ms - self._bad_since_ms
