"""What flashing decides without a port: parts of images, esptool's words, why boards are silent."""

import os
import re
import select
import sys
import threading
import tty
from pathlib import Path

import pytest

from host.devices import errors, flash_restart
from host.devices.boards import load_board
from host.devices.errors import DeviceError, ImageError, Stopped, WrongChipError
from host.devices.esptool_program import ChipFound, Esptool, failure, read_chip
from host.devices.flash import require_fit
from host.devices.flash_layout import TABLE_SIZE, Layout, Part, take_apart, why_erase
from host.devices.repl_wait import Alive, diagnose
from tests.devices import boot_texts
from tests.devices.rom import image

IMAGE = image.merged()
BLANK = b"\xff" * TABLE_SIZE
ARDUINO = image.table(
    [(1, 2, 0x9000, 0x5000, b"nvs"), (0, 0x10, 0x10000, 0x140000, b"app0")]
).ljust(TABLE_SIZE, b"\xff")


def test_only_what_carries_something_is_written() -> None:
    layout = take_apart(IMAGE, 0x1000)
    named = {part.name: part for part in layout.parts}
    assert list(named) == ["boot loader", "partition table", "factory"]
    assert [part.offset for part in layout.parts] == [0x1000, 0x8000, 0x10000]
    assert layout.end == 4096 * 1024
    laid = bytearray(b"\xff") * (0x1000 + len(IMAGE))
    for part in layout.parts:
        laid[part.offset : part.offset + len(part.data)] = part.data
    assert laid[0x1000:] == IMAGE


def test_values_that_an_image_brings_along_are_written() -> None:
    filled = bytearray(IMAGE)
    filled[0x9000 - 0x1000] = 0
    names = [part.name for part in take_apart(bytes(filled), 0x1000).parts]
    assert names == ["boot loader", "partition table", "nvs", "factory"]


@pytest.mark.parametrize("content", [b"", b"\xe9", b"<html>" * 9000, IMAGE[:0x6000]])
def test_what_is_no_image_of_a_whole_flash(content: bytes) -> None:
    with pytest.raises(ImageError, match="no partition table"):
        take_apart(content, 0x1000)


def test_why_a_flash_is_erased() -> None:
    layout = take_apart(IMAGE, 0x1000)
    assert why_erase(layout.table, layout) is None
    assert "no partition table" in (why_erase(BLANK, layout) or "")
    assert "no partition table" in (why_erase(b"", layout) or "")
    assert "other firmware (nvs, app0)" in (why_erase(ARDUINO, layout) or "")


def found(chip: str, flash_kb: int) -> ChipFound:
    return ChipFound(chip, chip.upper(), "a4:cf:12:34:56:78", flash_kb, BLANK)


FITS = [
    # board, chip found, KB of flash, words of the refusal
    ("esp32", "esp32", 4096, None),
    ("esp32", "esp32", 16384, None),
    ("esp32", "esp32", 0, None),  # the flash does not tell its size
    ("esp32", "esp32", 2048, "2048 KB.*needs 4096 KB"),
    ("esp32", "esp32s3", 8192, "is an ESP32S3.*has an esp32; it could be: .*esp32-s3.*--board"),
    ("esp32-c3", "esp32", 4096, "could be: esp32,"),
    ("esp32", "esp32h2", 4096, "no file in boards/"),
]


@pytest.mark.parametrize(("board", "chip", "flash_kb", "words"), FITS)
def test_chip_and_flash_fit(board: str, chip: str, flash_kb: int, words: str | None) -> None:
    layout = Layout((), b"", 4096 * 1024)
    if words is None:
        require_fit(found(chip, flash_kb), load_board(board), layout)
        return
    with pytest.raises(WrongChipError, match=words):
        require_fit(found(chip, flash_kb), load_board(board), layout)


ERROR = "ERROR: A fatal error occurred: "
SAID = [
    # esptool's last words (5.6), kind, words of ours
    ("/usr/bin/python3: No module named esptool", "DeviceError", "./run installs"),
    (
        ERROR + "Could not open /dev/x, the port is busy or doesn't exist.\n([Errno 2] could not "
        "open port /dev/x: [Errno 2] No such file or directory: '/dev/x')\n\nHint: Check if ...",
        "PortError",
        "port is gone",
    ),
    (
        ERROR + "Could not open /dev/x, the port is busy or doesn't exist.\n([Errno 13] could not "
        "open port /dev/x: [Errno 13] Permission denied: '/dev/x')\n\nHint: Try to add ...",
        "PortBusyError",
        "no permission",
    ),
    (
        ERROR + "Could not open /dev/x, the port is busy or doesn't exist.\n([Errno 11] Could not "
        "exclusively lock port /dev/x: [Errno 11] Resource temporarily unavailable)\n",
        "PortBusyError",
        "another program",
    ),
    (
        ERROR + "Failed to connect to Espressif device: No serial data received.\nFor "
        "troubleshooting steps visit: https://docs.espressif.com/",
        "NoAnswerError",
        "hold BOOT",
    ),
    (ERROR + "Failed to connect to ESP32: Wrong boot mode detected (0x13)! ...", "NoAnswerError",
     "did not enter its loader; hold BOOT"),
    ("Connected to ESP32 on x:\n" + ERROR + "Packet content transfer stopped (received 8 bytes).",
     "NoAnswerError", "lower --baud"),
    ("Connected to ESP32 on x:\n" + ERROR + "Failed to write compressed data to flash after seq 3 "
     "(result was 0x0107: Invalid CRC)", "NoAnswerError", "lower --baud"),
    (ERROR + "MD5 of file does not match data in flash!", "VerifyError", "not what was written"),
    (ERROR + "Write failed, the written flash region is empty.", "VerifyError", "--erase"),
    (ERROR + "File 'x' (length 9) at offset 0x00010000 will not fit in 2097152 bytes of flash.",
     "WrongChipError", "larger than the flash"),
    (ERROR + "'0.bin' is not an ESP32-S3 image. Use --force to flash anyway.", "WrongChipError",
     "does not fit"),
    ("Connected to ESP32 on x:\nERROR: A serial exception error occurred: device reports readiness "
     "to read but returned no data (device disconnected or multiple access on port?)\nNote: This "
     "error originates from pySerial.", "NoAnswerError", "unplugged"),
    ("ERROR: A serial exception error occurred: write failed: [Errno 5] Input/output error",
     "NoAnswerError", "unplugged"),
    ("Connected to ESP32 on x:\n\nLost connection, retrying...\nWaiting ..\n" + ERROR + "Failed to "
     "connect to ESP32: No serial data received.", "NoAnswerError", "unplugged"),
    ("a message nobody knows", "DeviceError", "a message nobody knows"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "words"), SAID)
def test_esptools_words_become_our_errors(text: str, kind: str, words: str) -> None:
    error = failure(text, "/dev/x")
    assert type(error) is getattr(errors, kind)
    assert words in str(error)
    assert "\n" not in str(error)
    assert "https://" not in str(error)


def test_facts_from_what_esptool_prints() -> None:
    text = (Path(__file__).parent / "esptool_read_flash.txt").read_text()
    chip = read_chip(text, BLANK)
    assert chip == ChipFound(
        "esp32s3", "ESP32-S3 (QFN56) (revision v0.2)", "a4:cf:12:34:56:78", 8192, BLANK
    )
    with pytest.raises(DeviceError, match="does not name the chip; it said"):
        read_chip("something else", BLANK)


SILENT = [
    (b"rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT)\r\nwaiting for download\r\n", "press EN"),
    (b"rst:0x10 (RTCWDT_RTC_RESET)\r\ninvalid header: 0xffffffff\r\n", "no firmware"),
    (b"Brownout detector was triggered\r\n", "supply"),
    (b"Guru Meditation Error: Core  0 panic'ed", "crashes"),
    (b"rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n", "does not answer"),
    (b"\xfe\x80\x12", r"\\xfe"),
    (b"", "nothing comes"),
]


@pytest.mark.parametrize(("seen", "words"), SILENT)
def test_why_a_board_is_silent(seen: bytes, words: str) -> None:
    assert re.search(words, diagnose(seen))


def test_version_from_the_banner() -> None:
    banner = "MicroPython v1.25.0 on 2025-04-15; Generic ESP32 module with ESP32"
    assert (Alive(banner).version, Alive("").version) == ("1.25.0", "")


SAID = r"File at 0x00001000 already in flash\nWriting at 0x00008000 [==]\n"


def test_ctrl_c_knows_what_esptool_has_said_but_nobody_read_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, told = tmp_path / "python", []
    program.write_text(f"#!/bin/sh\nprintf '{SAID}'\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    def progress(so_far: int) -> None:
        told.append(so_far)
        if len(told) == 1:
            raise KeyboardInterrupt

    parts = [Part("a", 0x1000, b"aa"), Part("b", 0x8000, b"bb")]
    with pytest.raises(Stopped, match="in the middle: the board has no working firmware now"):
        Esptool("/dev/null").write(parts, False, 115200, progress)
    assert told == [2, 2]


SILENCE = ""
LOOKS = [
    # what the board says by itself, what it answers, what is found
    (boot_texts.RTC_WDT + boot_texts.EMPTY, b"", flash_restart.RESTARTED),
    (boot_texts.S3 + "rst:0x1 (POWERON),boot:0x8\r\n", b"", flash_restart.RESTARTED),
    (boot_texts.C3 + "rst:0xf (BROWNOUT_RST),boot:0xc\r\n", b"", flash_restart.BROWNED_OUT),
    (SILENCE, b"\xc0\x01\x08\x04\x00\x07\x07\x12\x20\0\0\0\0\xc0", flash_restart.RESTARTED),
    (SILENCE, b"\xc0\x01\x08\x04\x00\x12\x00\0\0\0\0\0\0\xc0", flash_restart.RESTARTED),
    # The stub, which has not restarted; MicroPython, which takes it for a line.
    (SILENCE, b"\xc0\x01\x08\x02\x00\0\0\0\0\0\0\xc0", ""),
    (SILENCE, flash_restart.SYNC, ""),
    (SILENCE, b"", ""),
]


@pytest.mark.parametrize(("said", "answer", "found"), LOOKS)
def test_what_became_of_a_board(
    said: str, answer: bytes, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only what is found ends them early.
    monkeypatch.setattr(flash_restart, "LISTEN_S", 0.5)
    monkeypatch.setattr(flash_restart, "ANSWER_S", 20.0 if found else 0.5)
    master, slave = os.openpty()
    tty.setraw(slave)
    stopping = threading.Event()

    def board() -> None:
        heard = b""
        while not stopping.wait(0.02):
            os.write(master, said.encode())
            while select.select([master], [], [], 0)[0]:
                heard += os.read(master, 4096)
                if heard.endswith(flash_restart.SYNC):
                    os.write(master, answer)

    thread = threading.Thread(target=board)
    thread.start()
    try:
        assert flash_restart.look(os.ttyname(slave)) == found
    finally:
        stopping.set()
        thread.join()
        os.close(master)
        os.close(slave)


def test_a_port_that_is_gone_tells_nothing(tmp_path: Path) -> None:
    assert flash_restart.look(str(tmp_path / "gone")) == ""
