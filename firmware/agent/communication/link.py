"""The serial line to the host: the console itself, stdin and stdout."""

import select
import sys

from .frames import FRAME, Decoder

# Longest JSON text a host may send; it bounds the memory a command can take.
MAX_COMMAND = 1024
# Bytes taken per look, so that a babbling line cannot keep the loop from its period.
MAX_BYTES = 256
HOST_SILENT_MS = 30000


class SerialLink:
    """`connected(now_ms)`: a host frame was seen within HOST_SILENT_MS."""

    def __init__(self, source=None, sink=None):
        self._in = source or sys.stdin.buffer
        self._out = sink or sys.stdout.buffer
        self._poll = select.poll()
        self._poll.register(source or sys.stdin, select.POLLIN)
        self._chunk = bytearray(MAX_BYTES)
        self._decoder = Decoder(MAX_COMMAND)
        self._heard_ms = None
        self.text_bytes = 0  # what came in and was no frame

    def read(self, now_ms: int) -> list:
        """The frames (objects) that have come in. Never waits."""
        chunk = self._chunk
        n = 0
        while n < MAX_BYTES and self._poll.poll(0):
            byte = self._in.read(1)
            if not byte:
                break
            chunk[n] = byte[0]
            n += 1
        if not n:
            return []
        frames = []
        for event in self._decoder.feed(bytes(chunk[:n])):
            if event[0] == FRAME:
                frames.append(event[1])
                self._heard_ms = now_ms
            else:
                self.text_bytes += len(event[1])
        return frames

    def write(self, line: bytes) -> None:
        self._out.write(line)

    def connected(self, now_ms: int) -> bool:
        return self._heard_ms is not None and now_ms - self._heard_ms < HOST_SILENT_MS
