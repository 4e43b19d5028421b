"""Durable frames until the host has stored them: in flight, in a ring in RAM, on flash.

The window in flight is filled from the spool first, then from the ring. The ring goes to flash
where the host is silent and it has grown or waited long, and on an orderly restart. What the
spool's cap costs, or a full ring where flash fails, is counted in `dropped`.
"""

WINDOW = 4
REPEAT_MS = 3000
BUDGET = 8192
# With nobody listening this much is kept in RAM: flash is written in pieces of about a block.
SPILL_BYTES = 3072
SPILL_AGE_MS = 300000


class Entry:
    """One frame. `segment`: of the spool it came from, or None."""

    def __init__(self, boot, seq, line, segment, since_ms):
        self.boot = boot
        self.seq = seq
        self.line = line
        self.segment = segment
        self.since_ms = since_ms
        self.sent_ms = None


class Outbox:
    """`spilled`: frames written to flash since the start; `failed`: writes in a row that did not
    work.
    """

    def __init__(self, spool, budget=BUDGET):
        self._spool = spool
        self._budget = budget
        self._spill_bytes = min(SPILL_BYTES, budget // 2)
        self._window: list = []
        self._ring: list = []
        self._ring_bytes = 0
        self._dropped = 0
        self.spilled = 0
        self.failed = 0

    @property
    def queued(self) -> int:
        """Frames not acknowledged yet, wherever they are."""
        return len(self._window) + len(self._ring) + self._spool.waiting

    @property
    def dropped(self) -> int:
        """Frames lost since the start."""
        return self._dropped + self._spool.dropped

    def add(self, boot: int, seq: int, line: bytes, now_ms: int) -> None:
        """Takes one encoded frame."""
        self._ring.append(Entry(boot, seq, line, None, now_ms))
        self._ring_bytes += len(line)

    def tend(self, now_ms: int, connected: bool) -> None:
        """Housekeeping, once per period."""
        oldest = self._oldest_in_ram()
        if oldest is not None:
            size = self._bytes_in_ram()
            aged = now_ms - oldest.since_ms >= SPILL_AGE_MS
            if size > self._budget or (not connected and (aged or size > self._spill_bytes)):
                self.spill()
        while self._ring_bytes > self._budget:
            self._ring_bytes -= len(self._ring.pop(0).line)
            self._dropped += 1

    def _oldest_in_ram(self):
        for entry in self._window:
            if entry.segment is None:
                return entry
        return self._ring[0] if self._ring else None

    def _bytes_in_ram(self):
        size = self._ring_bytes
        for entry in self._window:
            if entry.segment is None:
                size += len(entry.line)
        return size

    def spill(self) -> None:
        """Writes to flash what is only in RAM."""
        entries = [entry for entry in self._window if entry.segment is None] + self._ring
        if not entries:
            return
        try:
            self._spool.append([entry.line for entry in entries])
        except OSError:
            self.failed += 1
            return
        self.failed = 0
        self.spilled += len(entries)
        self._window = [entry for entry in self._window if entry.segment is not None]
        self._ring = []
        self._ring_bytes = 0

    def due(self, now_ms: int, connected: bool) -> list:
        """Lines to send now: new ones once, and what a listening host did not acknowledge in time.

        To a silent host only new frames are sent, for whoever watches the line.
        """
        if connected and self._spool.waiting:
            self._step_back()
        while len(self._window) < WINDOW:
            entry = self._from_spool(now_ms) if connected else None
            if entry is None:
                if not self._ring:
                    break
                entry = self._ring.pop(0)
                self._ring_bytes -= len(entry.line)
            self._window.append(entry)
        lines = []
        for entry in self._window:
            if entry.sent_ms is None or (connected and now_ms - entry.sent_ms >= REPEAT_MS):
                entry.sent_ms = now_ms
                lines.append(entry.line)
        return lines

    def _step_back(self):
        # Older frames wait on flash: what was put in flight from RAM meanwhile goes behind them.
        newer = [entry for entry in self._window if entry.segment is None]
        for entry in newer:
            self._ring_bytes += len(entry.line)
        self._ring = newer + self._ring
        self._window = [entry for entry in self._window if entry.segment is not None]

    def _from_spool(self, now_ms):
        while True:
            found = self._spool.read()
            if found is None:
                return None
            obj, line, segment = found
            boot = obj.get("boot")
            seq = obj.get("seq")
            if isinstance(boot, int) and isinstance(seq, int):
                return Entry(boot, seq, line, segment, now_ms)
            self._spool.done(segment)

    def ack(self, pairs):
        """Forgets the frames named by [boot, seq] pairs, in any order; returns how many it knew.

        Anything else in `pairs` is ignored.
        """
        if not isinstance(pairs, list):
            return 0
        known = 0
        for pair in pairs:
            if isinstance(pair, list) and len(pair) == 2 and self._forget(pair[0], pair[1]):
                known += 1
        return known

    def _forget(self, boot, seq):
        for i in range(len(self._window)):
            entry = self._window[i]
            if entry.boot == boot and entry.seq == seq:
                self._window.pop(i)
                if entry.segment is not None:
                    self._spool.done(entry.segment)
                return True
        return False
