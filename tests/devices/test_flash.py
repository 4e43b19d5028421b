"""The verb flash, with the real esptool, against a boot loader on a pty; then the real MicroPython.

The boot loader is our reading of its wire protocol (rom/), and where an emulator is named (see
test_flash_on_rom.py) the ROM of a real ESP32 and the stub that esptool loads into it, too.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

from host.devices import flash as verb
from host.devices.boards import Board, load_board
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
from host.devices.flash import Options
from tests.devices import boot_texts
from tests.devices.flashing import REAL, Rom, Voice, flash, impatient, on_flash, patient, repl
from tests.devices.rom import image
from tests.devices.rom.board import RomBoard
from tests.devices.rom.cable import Cable, Line
from tests.devices.rom.qemu_rom import QemuRom

ROMS: list[Rom] = [RomBoard, QemuRom]
BOARDS = [load_board(name) for name in ("esp32", "esp32-s3", "esp32-c3")]
# Seeds of the bad line that are tried; more of them by hand.
LINES = int(os.environ.get("FANWISE_FLASH_LINES", "1"))


def on(rom: Rom, *more: object) -> ParameterSet:
    """A case on this kind of board."""
    return pytest.param(rom, *more, marks=REAL if rom is QemuRom else [])


both = pytest.mark.parametrize("rom", [on(rom) for rom in ROMS])


@pytest.fixture(autouse=True)
def time_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient(tmp_path, monkeypatch)


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "image.bin"
    path.write_bytes(image.merged())
    return path


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


@both
@pytest.mark.parametrize(("size", "written"), [(60_000, 0), (61_000, 61_000)])
def test_later_only_what_is_new_is_written(
    size: int, written: int, rom: Rom, tmp_path: Path
) -> None:
    binary = tmp_path / "image.bin"
    binary.write_bytes(image.merged(size=size))
    with rom(run=repl) as board:
        # MicroPython's own lies in NVS and in its files.
        for offset, data in ((0x1000, image.merged()), (0x9100, b"boot"), (0x300000, b"file")):
            board.put(offset, data)
        done, console = flash(board, binary)
        assert board.content(0x10000, size) == binary.read_bytes()[0xF000:][:size]
        assert (board.content(0x9100, 4), board.content(0x300000, 4)) == (b"boot", b"file")
    # The boot loader and the table are the same: only the application is written.
    assert written <= done.written <= written + 200
    if isinstance(board, RomBoard):
        assert done.written <= board.loader.written <= done.written + 4
    assert console.told("files and settings on the board are kept")
    assert console.told("exactly this image: nothing to write") is not bool(written)


@pytest.mark.parametrize("kind", BOARDS, ids=lambda kind: kind.name)
def test_the_rom_alone_takes_and_gives_back_every_byte(
    kind: Board, binary: Path, tmp_path: Path
) -> None:
    """Without the stub: commands that only the ROM has. Not in QEMU, whose SPI controller loses the
    first 63 bytes of what the ROM itself writes, and gives it zeros to read.
    """
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


@both
def test_blocks_that_arrive_garbled_are_sent_again(rom: Rom, binary: Path) -> None:
    with rom(run=repl) as board:
        board.line = Line(garble_rate=3e-5, answers=False, bytes_per_s=2_000_000)
        flash(board, binary)
        assert board.damaged
        if isinstance(board, RomBoard):
            assert board.loader.commands["refused"] > 0
        assert on_flash(board, binary, 0x1000)


@both
def test_what_fails_fast_is_tried_slowly(rom: Rom, binary: Path) -> None:
    """Whether a line bears a baud rate is only seen when it is used."""
    with rom(line=Line(max_baud=115200), run=repl) as board:
        console = Voice()
        options = Options(load_board("esp32"), port=board.port, image=binary, wait_s=0.5)
        with pytest.raises(NoAnswerError, match="MicroPython does not answer"):
            verb.flash(options, console)  # a pty cannot reset the board, so it does not start
        assert on_flash(board, binary, 0x1000)
    assert console.told("at 460800 baud: ")
    assert console.told("once more at 115200 baud")


@both
@pytest.mark.parametrize("seed", range(LINES))
def test_a_bad_line_never_passes_a_wrong_image_for_a_right_one(
    seed: int, rom: Rom, binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rom is RomBoard:
        impatient(tmp_path, monkeypatch)
    line = Line(drop_rate=1e-5, garble_rate=1e-5, seed=seed)
    with rom(line=line, run=repl) as board:
        try:
            flash(board, binary)
            told = ""
        except DeviceError as error:
            told = str(error)
        assert on_flash(board, binary, 0x1000) or told


@both
def test_dry_run_changes_nothing(rom: Rom, binary: Path) -> None:
    with rom() as board:
        before = board.content(0, 4 << 20)
        _, console = flash(board, binary, dry_run=True)
        assert board.content(0, 4 << 20) == before
        for words in ("would be erased", "factory: 60", "nothing was written", "Not checked: "):
            assert console.told(words)


@both
def test_unplugged_in_the_middle_and_the_same_once_more(rom: Rom, binary: Path) -> None:
    with rom(run=repl) as board:
        board.line.unplug_at = 60_000
        with pytest.raises(NoAnswerError, match=r"(?s)unplugged.*the same command finishes it"):
            flash(board, binary)
        assert not on_flash(board, binary, 0x1000)
        board.plug_in_again()
        flash(board, binary)
        assert on_flash(board, binary, 0x1000)


# What the board says then, and whether BOOT is held.
RESTARTS = [(boot_texts.RTC_WDT + boot_texts.EMPTY, False), ("", True)]


@pytest.mark.parametrize(
    ("rom", "said", "held"), [on(rom, *case) for rom in ROMS for case in RESTARTS]
)
def test_restarted_in_the_middle_and_the_same_once_more(
    rom: Rom,
    said: str,
    held: bool,
    binary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if rom is RomBoard:
        # Enough for what works; what does not is seen soon.
        patient(tmp_path, monkeypatch, timeout_s=5, attempts=1)
    runs = [boot_texts.again_and_again(said), repl]
    with rom(run=lambda *line: runs.pop(0)(*line)) as board:
        board.line.restart_at, board.held = 60_000, held
        words = r"restarted while .*: EN .*\n.*the same command finishes it"
        with pytest.raises(NoAnswerError, match=words):
            flash(board, binary)
        assert not on_flash(board, binary, 0x1000)
        board.plug_in_again()
        patient(tmp_path, monkeypatch)
        runs[:-1] = []
        flash(board, binary)
        assert on_flash(board, binary, 0x1000)


def good(board: Cable) -> None:
    pass


def worn(board: Cable) -> None:
    assert isinstance(board, RomBoard)
    board.loader.bad_sector = 0x11000


def dead(board: Cable) -> None:
    board.line.dead = True


def breaks(board: Cable) -> None:
    board.line.drop_rate = 0.003


# The chip, the board it is taken for, ...
FAULTS: list[tuple[str, str, dict[str, Any], Callable[[Cable], None], type[DeviceError], str]] = [
    ("esp32s3", "esp32", {}, good, WrongChipError, "ESP32-S3.*could be: .*esp32-s3"),
    ("esp32c3", "esp32", {}, good, WrongChipError, "ESP32-C3.*could be: .*esp32-c3"),
    ("esp32", "esp32-c3", {}, good, WrongChipError, "this is an ESP32.*could be: .*esp32"),
    ("esp32", "esp32", {"flash_kb": 2048}, good, WrongChipError, "has 2048 KB.* needs 4096 KB"),
    ("esp32", "esp32", {}, dead, NoAnswerError, "no answer from a boot loader; hold BOOT"),
    ("esp32", "esp32", {}, breaks, NoAnswerError, "."),
    ("esp32", "esp32", {}, worn, VerifyError, "(?s)not what was written.*no working firmware now"),
]


def playable(rom: Rom, fault: tuple[object, ...]) -> bool:
    return rom is RomBoard or (fault[0] == "esp32" and fault[3] is not worn)


@pytest.mark.parametrize(
    ("rom", "chip", "kind", "more", "fault", "error", "words"),
    [on(rom, *fault) for rom in ROMS for fault in FAULTS if playable(rom, fault)],
)
def test_faults(
    rom: Rom,
    chip: str,
    kind: str,
    more: dict[str, Any],
    fault: Callable[[Cable], None],
    error: type[DeviceError],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if rom is RomBoard and error is NoAnswerError:
        impatient(tmp_path, monkeypatch)
    board_file = load_board(kind)
    assert board_file.flash
    binary = tmp_path / "image.bin"
    binary.write_bytes(image.merged(board_file.chip_image_id or 0, board_file.flash.offset))
    with rom(chip, **more) as board:
        fault(board)
        before = board.content(0, 1 << 20)
        with pytest.raises(error, match=words):
            flash(board, binary, kind)
        if error is WrongChipError:
            assert board.content(0, 1 << 20) == before


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
