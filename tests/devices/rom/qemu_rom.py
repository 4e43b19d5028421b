"""A board with the ROM of a real ESP32 at the end of a cable."""

import os
import threading
from collections.abc import Callable
from typing import Self

from tests.devices.rom import qemu, slip
from tests.devices.rom.cable import Cable, Line
from tests.devices.rom.loader import CHANGE_BAUD, HEAD


class QemuRom(Cable):
    """As RomBoard. What follows a press of EN is `run` here too, not what the flash holds."""

    def __init__(
        self,
        chip: str = "esp32",
        flash_kb: int = qemu.FLASH_KB,
        line: Line | None = None,
        run: Callable[[int, threading.Event], None] | None = None,
    ) -> None:
        program, missing = qemu.find()
        assert program, missing
        assert chip == "esp32"
        self._machine = qemu.QemuBoard(program, flash_kb)
        # Only to see the baud rate change, which the emulator's line does not know.
        self._decoder = slip.Decoder()
        self._baud = 115200
        super().__init__(line, run)

    def __enter__(self) -> Self:
        self._machine.__enter__()
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._machine.__exit__(*exc)

    def put(self, offset: int, data: bytes) -> None:
        with self._moving:
            self._machine.stop()
            with self._machine.flash.open("r+b") as file:
                file.seek(offset)
                file.write(data)
            self._machine.start(qemu.DOWNLOAD)

    def content(self, offset: int, size: int) -> bytes:
        return self._machine.flash.read_bytes()[offset : offset + size]

    def _take(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            if packet[1:2] == bytes([CHANGE_BAUD]) and len(packet) >= HEAD.size + 4:
                self._baud = int.from_bytes(packet[HEAD.size :][:4], "little")
        while data:
            data = data[os.write(self._machine.line, data) :]

    def _sources(self) -> list[int]:
        return [self._machine.line]

    def _chip_is_fast(self) -> bool:
        return self._baud > self.line.max_baud

    def _chip_reset(self) -> None:
        self._baud = 115200
        self._machine.download()
