"""A board with our own boot loader at the end of a cable.

with RomBoard("esp32") as board:
    subprocess.run([... "--port", board.port ...])
"""

import threading
from collections.abc import Callable

from tests.devices.rom import slip
from tests.devices.rom.cable import Cable, Line
from tests.devices.rom.chips import CHIPS
from tests.devices.rom.loader import Loader


class RomBoard(Cable):
    def __init__(
        self,
        chip: str = "esp32",
        flash_kb: int = 4096,
        line: Line | None = None,
        run: Callable[[int, threading.Event], None] | None = None,
    ) -> None:
        self.loader = Loader(CHIPS[chip], flash_kb)
        self._decoder = slip.Decoder()
        super().__init__(line, run)

    def put(self, offset: int, data: bytes) -> None:
        self.loader.flash[offset : offset + len(data)] = data

    def content(self, offset: int, size: int) -> bytes:
        return bytes(self.loader.flash[offset : offset + size])

    def _take(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            for answer in self.loader.packet(packet):
                self._answer(slip.encode(answer))

    def _chip_is_fast(self) -> bool:
        return self.loader.baud > self.line.max_baud

    def _chip_reset(self) -> None:
        self.loader.reset()
