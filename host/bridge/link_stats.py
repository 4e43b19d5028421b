"""Counts of what came over one link, and which durable sequence numbers are still missing."""

from dataclasses import dataclass, field
from typing import Any

from agent.communication import frames

MAX_MISSING = 256
MAX_BOOTS = 16


@dataclass
class LinkStats:
    frames: int = 0
    durable: int = 0
    text_bytes: int = 0
    damaged: int = 0
    invalid: int = 0
    gaps: int = 0
    duplicates: int = 0
    volatile_lost: int = 0
    connects: int = 0
    writes_dropped: int = 0
    throttled: int = 0
    _durable: dict[int, "Sequence"] = field(default_factory=dict)
    _volatile: tuple[int, int] = (0, 0)

    def text(self, text: bytes) -> None:
        """Text outside frames; a marker in it was a frame once."""
        self.text_bytes += len(text)
        self.damaged += text.count(frames.MARKER)

    def saw_durable(self, boot: int, seq: int) -> None:
        self.durable += 1
        stream = self._durable.pop(boot, None) or Sequence()
        self._durable[boot] = stream
        if len(self._durable) > MAX_BOOTS:
            del self._durable[next(iter(self._durable))]
        gap, duplicate = stream.saw(seq)
        self.gaps += gap
        self.duplicates += duplicate

    def saw_volatile(self, boot: int, seq: int) -> None:
        last_boot, last_seq = self._volatile
        if boot == last_boot and seq <= last_seq:
            # From the board's ring: sent while nobody listened, and now once more.
            self.volatile_lost = max(0, self.volatile_lost - 1)
            return
        if boot == last_boot:
            self.volatile_lost += seq - last_seq - 1
        self._volatile = (boot, seq)

    @property
    def missing(self) -> int:
        """Durable frames skipped and not yet repeated by the board."""
        return sum(len(stream.missing) for stream in self._durable.values())

    def as_dict(self) -> dict[str, Any]:
        counts = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        return {**counts, "missing": self.missing}


@dataclass
class Sequence:
    """Durable frames of one boot: the newest number and the holes below it."""

    newest: int = 0
    missing: set[int] = field(default_factory=set)

    def saw(self, seq: int) -> tuple[bool, bool]:
        """(opened a gap, was a duplicate)"""
        if self.newest == 0:
            # What lies before the first frame seen was acknowledged in an earlier life of the link.
            self.newest = seq
            return False, False
        if seq > self.newest:
            hole = range(self.newest + 1, seq)
            self.missing.update(hole[: MAX_MISSING - len(self.missing)])
            self.newest = seq
            return len(hole) > 0, False
        if seq in self.missing:
            self.missing.discard(seq)
            return False, False
        return False, True
