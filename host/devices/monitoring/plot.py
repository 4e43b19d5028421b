"""A small live chart in text: temperatures with the limit in braille, other members as bars."""

from __future__ import annotations

from collections import deque
from typing import Any

ROWS = 4
MAX_SAMPLES = 1000
LABEL = 8  # columns left of the chart
LIMIT = "limit"
# A braille cell is two dots wide and four high: bit of the dot at (column, row).
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
BARS = "▁▂▃▄▅▆▇█"
COLOURS = (36, 33, 35, 32)
LIMIT_COLOUR = 31
FAN = "fan"
# What can be plotted: the numbers of telemetry (docs/frames.md).
FIELDS = (
    "case_mc", "ambient_mc", "fc_off_mc", "fc_on_mc", "supply_mv", "current_ma", "power_mw",
    "fan_rpm", "fan", "score", "anom", "ov", "drop",
)  # fmt: skip


class Plot:
    """The fan's state is always there; `limit_mc` is drawn once a frame has told it."""

    def __init__(self, fields: list[str]) -> None:
        """Raises ValueError for a field there is not."""
        unknown = [name for name in fields if name not in FIELDS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} cannot be plotted; there are: {', '.join(FIELDS)}")
        self._temperatures = [name for name in fields if name.endswith("_mc")]
        others = [name for name in fields if name not in self._temperatures and name != FAN]
        self._others = [*others, FAN]
        self._samples: deque[dict[str, Any]] = deque(maxlen=MAX_SAMPLES)
        self._limit_mc: float | None = None

    def add(self, frame: dict[str, Any]) -> None:
        """A frame of any type; telemetry is plotted, and a limit is taken from those that say."""
        if _number(frame.get("limit_mc")) is not None:
            self._limit_mc = frame["limit_mc"]
        if frame.get("t") == "tel":
            self._samples.append({name: _number(frame.get(name)) for name in FIELDS})

    def lines(self, width: int, coloured: bool) -> list[str]:
        """The chart for a terminal `width` columns wide; none before there is something to plot."""
        columns = width - LABEL - 2
        if not self._samples or columns < 10:
            return []
        drawn = self._chart(columns, coloured) if self._temperatures else []
        for name in self._others:
            drawn.append(self._bars(name, columns, coloured))
        return drawn

    def _chart(self, columns: int, coloured: bool) -> list[str]:
        samples = list(self._samples)[-2 * columns :]
        series = [[sample[name] for sample in samples] for name in self._temperatures]
        known = [value for values in series for value in values if value is not None]
        if self._limit_mc is not None:
            known.append(self._limit_mc)
        if not known:
            return []
        low, high = min(known), max(known)
        middle, half = (low + high) / 2, max(high - low, 1000) / 2
        low, high = middle - half, middle + half

        def dot(value: float) -> int:
            return round((high - value) / (high - low) * (4 * ROWS - 1))

        cells: dict[tuple[int, int], list[int]] = {}  # (row, column): [dots, colour]

        def put(x: int, y: int, colour: int) -> None:
            cell = cells.setdefault((y // 4, x // 2), [0, colour])
            cell[0] |= DOTS[x % 2][y % 4]

        first = 2 * columns - len(samples)
        for values, colour in zip(series, COLOURS * len(series), strict=False):
            for x, value in enumerate(values, first):
                if value is not None:
                    put(x, dot(value), colour)
        if self._limit_mc is not None:
            for x in range(0, 2 * columns, 3):
                put(x, dot(self._limit_mc), LIMIT_COLOUR)
        labels = {0: f"{high / 1000:.1f} C", ROWS - 1: f"{low / 1000:.1f} C"}
        rows = []
        for row in range(ROWS):
            text = f"{labels.get(row, '')[:LABEL]:>{LABEL}} "
            for column in range(columns):
                dots, colour = cells.get((row, column), (0, 0))
                char = chr(0x2800 + dots)
                text += f"\x1b[{colour}m{char}\x1b[0m" if coloured and dots else char
            rows.append(text)
        return [self._legend(columns, coloured), *rows]

    def _legend(self, columns: int, coloured: bool) -> str:
        newest = self._samples[-1]
        named = [
            (f"{name.removesuffix('_mc')} {_celsius(newest[name])}", colour)
            for name, colour in zip(self._temperatures, COLOURS * 4, strict=False)
        ]
        if self._limit_mc is not None:
            named.append((f"{LIMIT} {_celsius(self._limit_mc)}", LIMIT_COLOUR))
        text = " " * (LABEL + 1)
        for word, colour in named:
            if len(word) + 2 > columns:
                break
            columns -= len(word) + 2
            text += (f"\x1b[{colour}m{word}\x1b[0m" if coloured else word) + "  "
        return text

    def _bars(self, name: str, columns: int, coloured: bool) -> str:
        # Two samples a column, as in the chart: the larger one, so that nothing short is lost.
        values = [sample[name] for sample in self._samples][-2 * columns :]
        values = [None] * (len(values) % 2) + values
        known = [value for value in values if value is not None]
        top = 1 if name == FAN else max([*known, 1])
        low = min([*known, 0])
        text = ""
        for pair in zip(values[::2], values[1::2], strict=True):
            there = [value for value in pair if value is not None]
            step = (max(there) - low) / (top - low) * (len(BARS) - 1) if there else 0
            text += BARS[min(len(BARS) - 1, max(0, round(step)))] if there else " "
        text = f"{text:>{columns}}"
        return f"{name[:LABEL]:>{LABEL}} " + (f"\x1b[90m{text}\x1b[0m" if coloured else text)


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _celsius(value: float | None) -> str:
    return "-" if value is None else f"{value / 1000:.1f} C"
