"""A board at the end of a cable: the boot loader behind a pty, with a line that can be bad.

with RomBoard("esp32") as board:
    subprocess.run([... "--port", board.port ...])
"""

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
from types import TracebackType

from tests.devices.rom import slip
from tests.devices.rom.chips import CHIPS
from tests.devices.rom.loader import Loader


@dataclass
class Line:
    """What the cable does to the bytes. Rates are per byte, on the way to the chip and, with
    `answers`, on the way back; `unplug_at`: after so many bytes to the chip the port vanishes;
    `max_baud`: what is sent faster is lost.
    """

    drop_rate: float = 0.0
    garble_rate: float = 0.0
    answers: bool = True
    bytes_per_s: float = 0.0
    dead: bool = False
    unplug_at: int | None = None
    max_baud: int = 921600
    seed: int = 1


class RomBoard:
    """Waits in download mode. `reset()` is the EN button: then `run`, if there is one, gets the
    pty's master until the board is reset again or goes away.
    """

    def __init__(
        self,
        chip: str = "esp32",
        flash_kb: int = 4096,
        line: Line | None = None,
        run: Callable[[int, threading.Event], None] | None = None,
    ) -> None:
        self.loader = Loader(CHIPS[chip], flash_kb)
        self.line = line or Line()
        self.received = 0
        self._run = run
        self._random = random.Random(self.line.seed)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        # A name of its own: the next pty anybody opens may get the number of one that is gone.
        self._folder = tempfile.TemporaryDirectory(prefix="rom-")
        self.port = str(Path(self._folder.name, "board"))
        os.symlink(os.ttyname(self._slave), self.port)
        self._stopping = threading.Event()
        self._reset = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "RomBoard":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(10)
        self._unplug()

    def reset(self) -> None:
        """Press EN with BOOT released."""
        self._reset.set()

    def _serve(self) -> None:
        decoder = slip.Decoder()
        while not self._stopping.is_set():
            if self._reset.is_set() and self._run:
                self._reset.clear()
                self._run(self._master, self._stopping)
                return
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            try:
                data = os.read(self._master, 4096)
            except OSError:
                continue
            self.received += len(data)
            if self.line.unplug_at is not None and self.received > self.line.unplug_at:
                self._unplug()
                return
            if self.loader.baud > self.line.max_baud and self._host_is_slow():
                # The host has gone back to the start: where there are DTR and RTS, by a reset.
                self.loader.reset()
            if self.line.dead or self.loader.baud > self.line.max_baud:
                continue
            for packet in decoder.feed(self._through(data)):
                for answer in self.loader.packet(packet):
                    back = slip.encode(answer)
                    self._send(self._through(back) if self.line.answers else back)

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
            if luck < line.drop_rate:
                continue
            flip = 1 << self._random.randrange(8) if luck > 1 - line.garble_rate else 0
            out.append(byte ^ flip)
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
