"""The verb flash, with the real esptool, against a boot loader on a pty; then the real MicroPython.

The boot loader is our reading of its wire protocol (rom/); test_flash_on_rom.py has the chip's own.
"""

import io
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from host.devices import flash as verb
from host.devices.boards import Board, load_board
from host.devices.console import Console
from host.devices.errors import (
    DeviceError,
    ImageError,
    NoAnswerError,
    PortBusyError,
    PortError,
    UnknownBoardError,
    VerifyError,
    WrongChipError,
)
from host.devices.flash import Flashed, Options
from tests.devices.rom import image
from tests.devices.rom.board import Line, RomBoard

BOARDS = [load_board(name) for name in ("esp32", "esp32-s3", "esp32-c3")]
# Seeds of the bad line that are tried; more of them by hand.
LINES = int(os.environ.get("FANWISE_FLASH_LINES", "1"))
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


@pytest.fixture(autouse=True)
def short_of_patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """esptool gives up sooner, so that tests of its failures are quick."""
    config = tmp_path / "esptool.cfg"
    config.write_text("[esptool]\nconnect_attempts = 2\ntimeout = 1\n")
    monkeypatch.setenv("ESPTOOL_CFGFILE", str(config))


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "image.bin"
    path.write_bytes(image.merged())
    return path


class Voice(Console):
    """A console whose steps can be read, and that presses EN when told to."""

    def __init__(self, board: RomBoard | None = None) -> None:
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


def flash(
    board: RomBoard, binary: Path, kind: str = "esp32", **more: object
) -> tuple[Flashed, Voice]:
    console = Voice(board)
    settings = {"bare": True, "reset": False, "wait_s": 10, **more}
    options = Options(load_board(kind), port=board.port, image=binary, **settings)  # type: ignore[arg-type]
    return verb.flash(options, console), console


def on_flash(board: RomBoard, binary: Path, offset: int) -> bool:
    content = binary.read_bytes()
    return board.loader.flash[offset : offset + len(content)] == content


@pytest.mark.parametrize("kind", BOARDS, ids=lambda kind: kind.name)
def test_a_first_flash_erases(kind: Board, tmp_path: Path) -> None:
    assert kind.flash
    assert kind.chip_image_id is not None
    offset, flash_kb = kind.flash.offset, kind.flash.size_kb
    binary = tmp_path / "image.bin"
    binary.write_bytes(image.merged(kind.chip_image_id, offset))
    with RomBoard(kind.chip, flash_kb, run=repl) as board:
        board.loader.flash[0x300000:0x300004] = b"left"  # over from other firmware
        done, console = flash(board, binary, kind.name)
        assert on_flash(board, binary, offset)
        assert board.loader.flash[0x300000:0x300004] == b"\xff\xff\xff\xff"
    assert console.told("whole flash is erased: the board has no partition table")
    assert (done.chip.chip, done.chip.flash_kb, done.version) == (kind.chip, flash_kb, "1.25.0")
    assert done.chip.mac == "a4:cf:12:34:56:78"
    assert console.progressed[-1] == {
        "event": "progress", "what": "writing", "bytes": done.written, "of": done.written,
    }  # fmt: skip


@pytest.mark.parametrize(("size", "written"), [(60_000, 0), (61_000, 61_000)])
def test_later_only_what_is_new_is_written(size: int, written: int, tmp_path: Path) -> None:
    binary = tmp_path / "image.bin"
    binary.write_bytes(image.merged(size=size))
    with RomBoard("esp32", run=repl) as board:
        content, old = board.loader.flash, image.merged()
        content[0x1000 : 0x1000 + len(old)] = old
        content[0x9100:0x9104] = b"boot"  # MicroPython's own, in NVS and in its files
        content[0x300000:0x300004] = b"file"
        done, console = flash(board, binary)
        assert content[0x10000 : 0x10000 + size] == binary.read_bytes()[0xF000:][:size]
        assert (content[0x9100:0x9104], content[0x300000:0x300004]) == (b"boot", b"file")
    # The boot loader and the table are the same: only the application is written.
    assert written <= done.written <= written + 200
    assert done.written <= board.loader.written <= done.written + 4
    assert console.told("files and settings on the board are kept")
    assert console.told("exactly this image: nothing to write") is not bool(written)


@pytest.mark.parametrize("kind", BOARDS, ids=lambda kind: kind.name)
def test_the_rom_alone_takes_and_gives_back_every_byte(
    kind: Board, binary: Path, tmp_path: Path
) -> None:
    """Without the stub: commands that only the ROM has."""
    content, back = b"\xc0\xdb" * 2100 + bytes(range(256)), tmp_path / "back.bin"
    binary.write_bytes(content)
    with RomBoard(kind.chip) as board:
        common = [sys.executable, "-m", "esptool", "--no-stub", "--port", board.port]
        common += ["--before", "no-reset", "--after", "no-reset"]
        for words in (
            ["write-flash", "0x20000", str(binary)],
            ["read-flash", "0x20000", str(len(content)), str(back)],
        ):
            done = subprocess.run([*common, *words], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stdout
    assert back.read_bytes() == content
    assert board.loader.commands["read_slow"] > 0


def test_blocks_that_arrive_garbled_are_sent_again(binary: Path) -> None:
    with RomBoard("esp32", run=repl) as board:
        board.line = Line(garble_rate=3e-5, answers=False, bytes_per_s=2_000_000)
        flash(board, binary)
        assert board.loader.commands["refused"] > 0
        assert on_flash(board, binary, 0x1000)


def test_what_fails_fast_is_tried_slowly(binary: Path) -> None:
    """Whether a line bears a baud rate is only seen when it is used."""
    with RomBoard("esp32", line=Line(max_baud=115200), run=repl) as board:
        console = Voice()
        options = Options(load_board("esp32"), port=board.port, image=binary, wait_s=0.5)
        with pytest.raises(NoAnswerError, match="MicroPython does not answer"):
            verb.flash(options, console)  # a pty cannot reset the board, so it does not start
        assert on_flash(board, binary, 0x1000)
    assert console.told("at 460800 baud: ")
    assert console.told("once more at 115200 baud")


@pytest.mark.parametrize("seed", range(LINES))
def test_a_bad_line_never_passes_a_wrong_image_for_a_right_one(seed: int, binary: Path) -> None:
    line = Line(drop_rate=1e-5, garble_rate=1e-5, seed=seed)
    with RomBoard("esp32", line=line, run=repl) as board:
        try:
            flash(board, binary)
            told = ""
        except DeviceError as error:
            told = str(error)
        assert on_flash(board, binary, 0x1000) or told


def test_dry_run_changes_nothing(binary: Path) -> None:
    with RomBoard("esp32") as board:
        before = bytes(board.loader.flash)
        _, console = flash(board, binary, dry_run=True)
        assert board.loader.flash == before
        assert console.told("would be erased")
        assert console.told("factory: 60")


def unplug(board: RomBoard) -> None:
    board.line.unplug_at = 60_000


def worn(board: RomBoard) -> None:
    board.loader.bad_sector = 0x11000


def dead(board: RomBoard) -> None:
    board.line.dead = True


def breaks(board: RomBoard) -> None:
    board.line.drop_rate = 0.003


FAULTS: list[tuple[str, Callable[[RomBoard], None], dict[str, object], type[DeviceError], str]] = [
    ("esp32s3", lambda _: None, {}, WrongChipError, "ESP32-S3.*could be: .*esp32-s3"),
    ("esp32c3", lambda _: None, {}, WrongChipError, "ESP32-C3.*could be: .*esp32-c3"),
    ("esp32", lambda _: None, {"flash_kb": 2048}, WrongChipError, "has 2048 KB.* needs 4096 KB"),
    ("esp32", dead, {}, NoAnswerError, "no answer from a boot loader; hold BOOT"),
    ("esp32", breaks, {}, NoAnswerError, "."),
    ("esp32", worn, {}, VerifyError, "(?s)not what was written.*no working firmware now"),
    (
        "esp32",
        unplug,
        {},
        NoAnswerError,
        "(?s)unplugged.*no working firmware now; the same command",
    ),
]


@pytest.mark.parametrize(("chip", "fault", "more", "kind", "words"), FAULTS)
def test_faults(
    chip: str,
    fault: Callable[[RomBoard], None],
    more: dict[str, int],
    kind: type[DeviceError],
    words: str,
    binary: Path,
) -> None:
    with RomBoard(chip, **more) as board:
        fault(board)
        with pytest.raises(kind, match=words):
            flash(board, binary)
        if kind is WrongChipError:
            assert board.loader.written == 0


def test_errors_before_the_chip_is_touched(binary: Path, tmp_path: Path) -> None:
    with RomBoard("esp32") as board:
        cases: list[tuple[type[DeviceError], str, Path, str]] = [
            (PortError, "/dev/nowhere", binary, "esp32"),
            (ImageError, board.port, tmp_path / "missing.bin", "esp32"),
            (ImageError, board.port, binary, "esp32-s3"),
            (UnknownBoardError, board.port, binary, "simulated"),
        ]
        for kind, port, path, name in cases:
            with pytest.raises(kind):
                verb.flash(Options(load_board(name), port=port, image=path), Voice())
        hold = (
            "import serial, sys; p = serial.Serial(sys.argv[1], exclusive=True); print(); input()"
        )
        command = [sys.executable, "-c", hold, board.port]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe) as other:
            assert other.stdout
            other.stdout.readline()
            with pytest.raises(PortBusyError, match=f"process {other.pid}"):
                flash(board, binary)
            other.kill()
        assert board.received == 0
