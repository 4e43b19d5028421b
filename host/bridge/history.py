"""The newest readings of a board for its chart, packed: a fleet's must fit into a small machine.

A point is its time and the COLUMNS, eight bytes each; a list of Python's numbers takes five times
as much.
"""

import math
from array import array
from typing import Any

# Chart columns, in the order of a history point behind its time.
COLUMNS = ("case_mc", "ambient_mc", "fc_off_mc", "fc_on_mc", "fan", "score", "ms")
WIDTH = 1 + len(COLUMNS)
MOST = 900
# Shared by all boards: 25 MB. More than ALL_BOARDS / MOST boards get fewer points each.
ALL_BOARDS = 400_000


def share(boards: int) -> int:
    """Points each of so many boards may keep."""
    return min(MOST, ALL_BOARDS // max(1, boards))


def point(at: float, tel: dict[str, Any]) -> list[Any]:
    """One chart point: unix seconds, then the COLUMNS."""
    return [round(at, 1), *(tel.get(name) for name in COLUMNS)]


class History:
    """Points in order of their time."""

    def __init__(self) -> None:
        self._values = array("d")

    def __len__(self) -> int:
        return len(self._values) // WIDTH

    def add(self, at: float, tel: dict[str, Any], most: int) -> None:
        """Take a reading; of all, the `most` newest are kept."""
        values = self._values
        packed = array("d", (math.nan if v is None else v for v in point(at, tel)))
        where = len(values)
        while where and values[where - WIDTH] > packed[0]:
            where -= WIDTH
        values[where:where] = packed
        if len(values) > most * WIDTH:
            del values[: len(values) - most * WIDTH]

    def points(self) -> list[list[Any]]:
        values = self._values
        return [
            [_number(value) for value in values[start : start + WIDTH]]
            for start in range(0, len(values), WIDTH)
        ]


def _number(value: float) -> float | int | None:
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else value
