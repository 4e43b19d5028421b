"""Durable frames on flash: segments of an append-only spool, in the form in which they are sent.

A segment is a file of frames, so its CRCs are those of the frames, and a decoder reads past
whatever a power cut or a worn block made of the rest. Appending opens and closes the file, which
on littlefs commits the whole append or nothing. A segment is deleted once all its frames are
acknowledged; nothing is ever rewritten. Where the cap would be exceeded the oldest segment is
dropped, and its frames are counted.
"""

import os

from .frames import FRAME, Decoder, pack

DIRECTORY = "/spool"
SEGMENT = 32768
CAP = 65536
CHUNK = 512


class Segment:
    """`unread`: frames not handed out; `in_flight`: handed out and not acknowledged."""

    def __init__(self, number):
        self.number = number
        self.size = 0
        self.unread = 0
        self.in_flight = 0
        self.exhausted = False


class Spool:
    """`dropped`: frames lost to the cap, or found unreadable, since the start."""

    def __init__(self, directory: str = DIRECTORY, segment: int = SEGMENT, cap: int = CAP):
        self._directory = directory
        self._segment_size = segment
        self._cap = cap
        self.dropped = 0
        self._segments: list = []  # oldest first
        self._file = None
        self._reading = None  # the segment `_file` belongs to
        self._decoder = Decoder()
        self._ready: list = []  # decoded, not handed out
        self._scan()

    @property
    def waiting(self) -> int:
        """Frames that have not been handed out."""
        total = 0
        for segment in self._segments:
            total += segment.unread
        return total

    def _path(self, segment):
        return "%s/%d.fw1" % (self._directory, segment.number)

    def _scan(self):
        try:
            names = os.listdir(self._directory)
        except OSError:
            try:
                os.mkdir(self._directory)
            except OSError:
                pass
            return
        numbers = [
            int(name[:-4]) for name in names if name.endswith(".fw1") and name[:-4].isdigit()
        ]
        for number in sorted(numbers):
            segment = Segment(number)
            try:
                segment.size = os.stat(self._path(segment))[6]
                self._count(segment)
            except OSError:
                continue
            self._segments.append(segment)

    def _count(self, segment):
        decoder = Decoder(parse=False)
        with open(self._path(segment), "rb") as file:
            while True:
                block = file.read(CHUNK)
                if not block:
                    return
                for event in decoder.feed(block):
                    if event[0] == FRAME:
                        segment.unread += 1

    def append(self, lines: list) -> None:
        """Writes whole frames, in order, in one go. Raises OSError, and has then written none of
        them or a part, which reading finds or skips.
        """
        size = 1
        for line in lines:
            size += len(line)
        self._make_room(size)
        newest = self._segments[-1] if self._segments else None
        if (
            newest is None
            or newest.exhausted
            or newest is self._reading
            or newest.size + size > self._segment_size
        ):
            newest = Segment(newest.number + 1 if newest else 1)
            self._segments.append(newest)
        newest.size += size
        with open(self._path(newest), "ab") as file:
            # Ends a line that a power cut may have torn before.
            file.write(b"\n")
            for line in lines:
                file.write(line)
        newest.unread += len(lines)

    def _make_room(self, size):
        total = size
        for segment in self._segments:
            total += segment.size
        while total > self._cap and self._segments:
            oldest = self._segments[0]
            total -= oldest.size
            self.dropped += oldest.unread
            self._remove(oldest)

    def _remove(self, segment):
        if segment is self._reading:
            self._close()
        self._segments.remove(segment)
        try:
            os.remove(self._path(segment))
        except OSError:
            pass

    def _close(self):
        if self._file is not None:
            self._file.close()
        self._file = self._reading = None
        self._decoder.flush()
        self._ready = []

    def read(self):
        """The next frame as (object, line, segment number), or None where all were read.

        The segment is deleted once done() was called for each of its frames. A MemoryError costs no
        frame.
        """
        for segment in list(self._segments):
            if segment.exhausted:
                continue
            if self._more(segment):
                event = self._ready[0]
                found = event[1], pack(event[2]), segment.number
                self._ready.pop(0)
                segment.unread = max(0, segment.unread - 1)
                segment.in_flight += 1
                return found
            # Frames that were counted and do not come: unreadable flash.
            self.dropped += segment.unread
            segment.unread = 0
            segment.exhausted = True
            self._close()
            if not segment.in_flight:
                self._remove(segment)
        return None

    def _more(self, segment):
        # Whether there is a decoded frame of this segment, reading on as needed.
        try:
            if self._reading is not segment:
                self._close()
                self._file = open(self._path(segment), "rb")  # type: ignore[assignment]
                self._reading = segment
            file = self._file
            while not self._ready:
                at = file.tell()  # type: ignore[attr-defined]
                try:
                    block = file.read(CHUNK)  # type: ignore[attr-defined]
                    events = self._decoder.feed(block)
                except MemoryError:
                    file.seek(at)  # type: ignore[attr-defined]
                    raise
                if not block:
                    return False
                self._ready = [event for event in events if event[0] == FRAME]
        except OSError:
            return False
        return True

    def done(self, number: int) -> None:
        """A frame of that segment is acknowledged, or of no use."""
        for segment in self._segments:
            if segment.number == number:
                segment.in_flight -= 1
                if segment.exhausted and segment.in_flight <= 0:
                    self._remove(segment)
                return
