"""The verb flash in tests: the boards it is given, and what it says."""

import io
import os
import select
import threading
from pathlib import Path
from typing import Protocol

import pytest

from host.devices import flash as verb
from host.devices.boards import load_board
from host.devices.console import Console
from host.devices.flash import Flashed, Options
from tests.devices.rom import qemu
from tests.devices.rom.board import RomBoard
from tests.devices.rom.cable import Cable
from tests.devices.rom.qemu_rom import QemuRom

Rom = type[RomBoard] | type[QemuRom]
PROGRAM, MISSING = qemu.find()
# What every test on the emulated ROM needs.
REAL = [pytest.mark.skipif(bool(MISSING), reason=MISSING), pytest.mark.timeout(900)]
# And what those with an official image need.
IMAGE = os.environ.get("FANWISE_ESP32_IMAGE", "")
_NO_IMAGE = MISSING or ("" if IMAGE else "FANWISE_ESP32_IMAGE names no image for the ESP32")
WITH_IMAGE = pytest.mark.skipif(bool(_NO_IMAGE), reason=_NO_IMAGE)
BANNER = b"MicroPython v1.25.0 on 2025-04-15; Generic ESP32 module with ESP32\r\n"


def repl(master: int, stopping: threading.Event) -> None:
    """Answers as MicroPython's prompt does, for tests that are about what comes before it."""
    answers = {b"\r": b"\r\n>>> ", b"\x01": b"raw REPL; CTRL-B to exit\r\n>"}
    answers[b"\x02"] = b"\r\n" + BANNER + b">>> "
    os.write(master, b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET)\r\n>>> ")
    while not stopping.is_set():
        if select.select([master], [], [], 0.02)[0]:
            for byte in os.read(master, 64):
                os.write(master, answers.get(bytes([byte]), b""))


def patient(
    folder: Path, monkeypatch: pytest.MonkeyPatch, timeout_s: int = 30, attempts: int = 3
) -> None:
    """Let esptool wait longer: a busy computer emulates slowly. attempts: for each block."""
    limits = f"timeout = {timeout_s}\nwrite_block_attempts = {attempts}\n"
    _esptool(folder, monkeypatch, limits + "sync_timeout = 1\nmem_end_rom_timeout = 3\n")


def impatient(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it give up sooner, so that tests of what does not come are quick."""
    _esptool(folder, monkeypatch, "timeout = 1\nconnect_attempts = 2\n")


def _esptool(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: str) -> None:
    config = folder / "esptool.cfg"
    config.write_text(f"[esptool]\n{settings}")
    monkeypatch.setenv("ESPTOOL_CFGFILE", str(config))


class Board(Protocol):
    port: str

    def reset(self) -> None: ...


class Voice(Console):
    """A console whose steps can be read, and that presses EN when told to."""

    def __init__(self, board: Board | None = None) -> None:
        self.said: list[str] = []
        self.progressed: list[dict[str, int]] = []
        self._board = board
        super().__init__(as_json=True, out=io.StringIO(), err=io.StringIO())

    def step(self, text: str, **facts: object) -> None:
        self.said.append(text)
        if text == verb.PRESS_EN and self._board:
            self._board.reset()

    def _write(self, facts: dict[str, int]) -> None:
        self.progressed.append(facts)

    def told(self, words: str) -> bool:
        return any(words in text for text in self.said)


def flash(board: Board, binary: Path, kind: str = "esp32", **more: object) -> tuple[Flashed, Voice]:
    console = Voice(board)
    settings = {"bare": True, "reset": False, "wait_s": 60, **more}
    options = Options(load_board(kind), port=board.port, image=binary, **settings)  # type: ignore[arg-type]
    return verb.flash(options, console), console


def on_flash(board: Cable, binary: Path, offset: int) -> bool:
    content = binary.read_bytes()
    return board.content(offset, len(content)) == content
