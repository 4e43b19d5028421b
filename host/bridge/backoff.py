"""How long to wait before trying again: doubling, with a ceiling, and jitter."""

import random
from collections.abc import Callable


class Backoff:
    """Delays in seconds: between half and the whole of first, 2 x first, ... most.

    The jitter keeps fifty links that lost the same hub from coming back in step.
    """

    def __init__(
        self, first_s: float, most_s: float, rand: Callable[[], float] = random.random
    ) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._rand = rand
        self._next_s = first_s

    def delay_s(self) -> float:
        whole = self._next_s
        self._next_s = min(self._most_s, whole * 2)
        return whole * (0.5 + 0.5 * self._rand())

    def reset(self) -> None:
        self._next_s = self._first_s
