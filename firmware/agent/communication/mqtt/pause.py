"""Pauses between tries that grow, and are never the same for two boards."""

import os


class Pause:
    """`first_ms` to `most_ms`, doubling, each shortened by up to a half at random: after a power
    cut fifty boards must not come all at once.
    """

    def __init__(self, first_ms=2000, most_ms=60000):
        self._first_ms = self._next_ms = first_ms
        self._most_ms = most_ms
        self._until_ms = 0

    def over(self, now_ms: int) -> bool:
        return now_ms >= self._until_ms

    def begin(self, now_ms: int) -> None:
        """After a try that failed."""
        length_ms = self._next_ms
        self._next_ms = min(2 * length_ms, self._most_ms)
        self._until_ms = now_ms + length_ms - (length_ms // 2) * os.urandom(1)[0] // 255

    def reset(self) -> None:
        """After one that did not."""
        self._next_ms = self._first_ms
