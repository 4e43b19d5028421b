"""From bytes of a serial line to frames and lines of text, and which of them are shown."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agent.communication import frames
from host.bridge.validate import DURABLE, FROM_HOST, VOLATILE

TEXT = "text"
# A line that is longer is cut, so that a board without line breaks fills no memory.
MAX_LINE = 4096
KINDS = (*VOLATILE, *DURABLE, *FROM_HOST, TEXT)


@dataclass(frozen=True)
class Frame:
    """`raw`: its JSON text as it came."""

    frame: dict[str, Any]
    raw: bytes

    @property
    def kind(self) -> str:
        return str(self.frame["t"])


@dataclass(frozen=True)
class Text:
    """A line that is no frame, without its line feed."""

    line: bytes
    kind: str = TEXT


class Stream:
    """Cuts what comes in. Nothing is lost: what is no frame comes out as text, in order."""

    def __init__(self) -> None:
        self._decoder = frames.Decoder()
        self._line = b""

    def feed(self, data: bytes) -> list[Frame | Text]:
        return self._cut(self._decoder.feed(data))

    def idle(self) -> list[Frame | Text]:
        """Nothing came for a while: an unfinished line, such as a prompt, is one, too."""
        found = self._cut(self._decoder.flush())
        return found + self._end_line()

    def _cut(self, events: list[Any]) -> list[Frame | Text]:
        found: list[Frame | Text] = []
        for kind, *rest in events:
            if kind == frames.TEXT:
                *lines, self._line = (self._line + rest[0]).split(b"\n")
                found += [Text(line) for line in lines]
                if len(self._line) > MAX_LINE:
                    found += self._end_line()
            else:
                found += self._end_line()
                found.append(Frame(rest[0], rest[1]))
        return found

    def _end_line(self) -> list[Frame | Text]:
        line, self._line = self._line, b""
        return [Text(line)] if line else []


@dataclass(frozen=True)
class Selection:
    """Which kinds are shown: those in `only` (empty: all) that are not in `without`."""

    only: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()

    def shows(self, kind: str) -> bool:
        return kind not in self.without and (not self.only or kind in self.only)


def kinds(words: Iterable[str]) -> frozenset[str]:
    """The kinds named in "dec,alarm" and the like. Raises ValueError for one there is not."""
    named = {name.strip() for word in words for name in word.split(",") if name.strip()}
    for name in sorted(named):
        if name not in KINDS:
            close = difflib.get_close_matches(name, KINDS, n=1)
            hint = f", did you mean {close[0]}?" if close else ""
            raise ValueError(f"there is no type {name!r}{hint}; there are: {', '.join(KINDS)}")
    return frozenset(named)
