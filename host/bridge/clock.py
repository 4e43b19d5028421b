"""The machine's clock: whether it can be trusted with deleting by age, and what people read of it.

A clock that is years ahead, for a minute, must not empty the store: after a jump, or a start at a
time that does not follow the last one trusted, age counts only when the clock went well for a day.
"""

from datetime import datetime

JUMP_S = 3600.0
AWAY_S = 86400.0
TRUSTED_AFTER_S = 86400.0


class ClockWatch:
    def __init__(self, last_seen: float | None, now: float, monotonic: float) -> None:
        """last_seen: when it was last trusted, by the clock; None in a new store."""
        self._now, self._monotonic = now, monotonic
        follows = last_seen is None or 0 <= now - last_seen <= AWAY_S
        self._trusted_from = monotonic if follows else monotonic + TRUSTED_AFTER_S

    def trusted(self, now: float, monotonic: float) -> bool:
        """Asked every few minutes: `now` by the clock, and on one that does not jump."""
        went = (now - self._now) - (monotonic - self._monotonic)
        self._now, self._monotonic = now, monotonic
        if abs(went) > JUMP_S:
            self._trusted_from = monotonic + TRUSTED_AFTER_S
        return monotonic >= self._trusted_from


def wall_clock(at: float) -> str:
    """Hours, minutes and seconds here; with the offset where the wall shows a time twice."""
    here = datetime.fromtimestamp(at)
    twice = here.replace(fold=1 - here.fold).timestamp() != here.timestamp()
    return here.astimezone().strftime("%H:%M:%S" + " %z" * twice)
