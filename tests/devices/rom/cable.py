"""A cable with a board at its end: a pty whose line can be bad, and that can be pulled."""

import contextlib
import os
import random
import select
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

NOISE = b"\xfe\x80"


@dataclass
class Line:
    """What the cable does to the bytes. Rates are per byte, on the way to the chip and, with
    `answers`, on the way back; `unplug_at`: after so many bytes to the chip the port vanishes;
    `restart_at`: then the board restarts; `max_baud`: what is sent faster is lost, noise
    comes back.
    """

    drop_rate: float = 0.0
    garble_rate: float = 0.0
    answers: bool = True
    bytes_per_s: float = 0.0
    dead: bool = False
    unplug_at: int | None = None
    restart_at: int | None = None
    max_baud: int = 921600
    seed: int = 1


class Cable:
    """The board waits in download mode. `reset()` is the EN button: then `run`, if there is one,
    gets the pty's master until the board is reset again or goes away. What a board does is up to
    its class.
    """

    def __init__(
        self,
        line: Line | None = None,
        run: Callable[[int, threading.Event], None] | None = None,
    ) -> None:
        self.line = line or Line()
        self.received = self.damaged = 0
        # Whether BOOT is, when the board restarts in the middle.
        self.held = False
        self._run = run
        self._random = random.Random(self.line.seed)
        self._stopping = threading.Event()
        self._reset = threading.Event()
        # Held while bytes move, so that nobody changes the board under them.
        self._moving = threading.Lock()

    def __enter__(self) -> Self:
        self._plug()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self._thread.join(10)
        self._unplug()

    def reset(self) -> None:
        """Press EN with BOOT released."""
        self._reset.set()

    def plug_in_again(self) -> None:
        """After it was unplugged, if not now: the cable is good then, BOOT is held."""
        self._stopping.set()
        self._thread.join()
        self._stopping.clear()
        self._unplug()
        self.line = Line()
        self._chip_reset()
        self._plug()

    # ---- the board

    def put(self, offset: int, data: bytes) -> None:
        """Write on the flash, past everybody."""
        raise NotImplementedError

    def content(self, offset: int, size: int) -> bytes:
        """What lies on the flash."""
        raise NotImplementedError

    def _take(self, data: bytes) -> None:
        """Bytes arrive at the board, as they left the cable."""
        raise NotImplementedError

    def _sources(self) -> list[int]:
        """File descriptors the board speaks through by itself."""
        return []

    def _chip_is_fast(self) -> bool:
        """Whether the chip was told to use more than the line's max_baud."""
        raise NotImplementedError

    def _chip_reset(self) -> None:
        """Into download mode once more; the flash stays."""
        raise NotImplementedError

    # ---- the cable

    def _plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        # A name of its own: the next pty anybody opens may get the number of one that is gone.
        self._folder = tempfile.TemporaryDirectory(prefix="rom-")
        self.port = str(Path(self._folder.name, "board"))
        os.symlink(os.ttyname(self._slave), self.port)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            if self._reset.is_set() and self._run:
                self._reset.clear()
                self._run(self._master, self._stopping)
                return
            with self._moving:
                for fd in select.select([self._master, *self._sources()], [], [], 0.02)[0]:
                    try:
                        data = os.read(fd, 4096)
                    except OSError:
                        continue
                    if fd != self._master:
                        self._answer(data)
                    elif not self._forward(data):
                        return

    def _forward(self, data: bytes) -> bool:
        """Bytes on their way to the board; whether the cable is still there afterwards."""
        self.received += len(data)
        if self.line.unplug_at is not None and self.received > self.line.unplug_at:
            self._unplug()
            return False
        if self.line.restart_at is not None and self.received > self.line.restart_at:
            self.line.restart_at = None
            if self._run and not self.held:
                self._reset.set()
            self._chip_reset()
            return True
        if self._chip_is_fast() and self._host_is_slow():
            # The host has gone back to the start: where there are DTR and RTS, by a reset.
            self._chip_reset()
        if self._chip_is_fast():
            self._answer(NOISE)
        elif not self.line.dead:
            self._take(self._through(data))
        return True

    def _answer(self, data: bytes) -> None:
        """Bytes on their way from the board."""
        if not self.line.dead:
            self._send(self._through(data) if self.line.answers else data)

    def _host_is_slow(self) -> bool:
        return termios.tcgetattr(self._slave)[5] == termios.B115200

    def _through(self, data: bytes) -> bytes:
        line = self.line
        if line.bytes_per_s:
            time.sleep(len(data) / line.bytes_per_s)
        if not (line.drop_rate or line.garble_rate):
            return data
        out = bytearray()
        for byte in data:
            luck = self._random.random()
            lost, garbled = luck < line.drop_rate, luck > 1 - line.garble_rate
            self.damaged += lost or garbled
            if not lost:
                out.append(byte ^ (1 << self._random.randrange(8) if garbled else 0))
        return bytes(out)

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            while data and not self._stopping.is_set():
                if select.select([], [self._master], [], 0.1)[1]:
                    data = data[os.write(self._master, data) :]

    def _unplug(self) -> None:
        self._folder.cleanup()
        for fd in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._master = self._slave = -1
