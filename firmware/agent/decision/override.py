"""A person's wish, for a time. It lives in RAM: a restart forgets it."""

MAX_S = 86400


class Override:
    """`fan` is 0, 1 or None."""

    def __init__(self):
        self.fan = None
        self._until_ms = 0

    def set(self, fan: int, for_s: int, now_ms: int) -> None:
        self.fan = fan
        self._until_ms = now_ms + for_s * 1000

    def clear(self) -> None:
        self.fan = None

    def left_s(self, now_ms: int) -> int:
        """Seconds left, rounded up; 0 once it has expired, which this call notices."""
        if self.fan is None:
            return 0
        left_ms = self._until_ms - now_ms
        if left_ms <= 0:
            self.fan = None
            return 0
        return (left_ms + 999) // 1000
