"""The verb flash against the ROM of a real ESP32, in an emulator, with an official image.

FANWISE_QEMU_XTENSA names the emulator (or it is on the PATH), FANWISE_QEMU_ROMS its folder of ROMs
where it needs one, FANWISE_ESP32_IMAGE the image. It takes two to three minutes: the emulated UART
is as slow as a real one.
"""

import os
from pathlib import Path

import pytest

from host.devices import flash as verb
from host.devices.boards import load_board
from host.devices.flash import Options
from host.devices.flash_layout import Part, take_apart
from tests.devices.flashing import MISSING, PROGRAM, Voice, patient
from tests.devices.rom import qemu

IMAGE = os.environ.get("FANWISE_ESP32_IMAGE", "")
if PROGRAM and not IMAGE:
    MISSING = "FANWISE_ESP32_IMAGE names no image for the ESP32"
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.mark.timeout(900)
def test_a_stock_image_is_flashed_and_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PROGRAM
    patient(tmp_path, monkeypatch)
    content = Path(IMAGE).read_bytes()
    with qemu.QemuBoard(PROGRAM) as board:
        console = Voice(board)
        options = Options(
            load_board("qemu-esp32"),
            port=board.port,
            image=Path(IMAGE),
            bare=True,
            reset=False,
            wait_s=180,
        )
        done = verb.flash(options, console)
        assert (done.chip.chip, done.chip.flash_kb) == ("esp32", 4096)
        assert console.told("erased: the board has no partition table")
        assert any(f"MicroPython v{done.version}" in text for text in console.said)
        assert f"v{done.version}".encode() in content
        assert done.written == sum(len(part.data) for part in parts(content))
        # Boot loader, table and program lie there as they were sent.
        flash = board.flash.read_bytes()
        for part in parts(content):
            assert flash[part.offset : part.offset + len(part.data)] == part.data

        # Once more: what MicroPython has written meanwhile is kept, nothing is written. No deploy:
        # the emulated flash is so slow that deploy's limits, made for boards, run out.
        board.download()
        console = Voice(board)
        again = verb.flash(options, console)
        assert again.written == 0
        assert console.told("files and settings on the board are kept")


def parts(content: bytes) -> tuple[Part, ...]:
    return take_apart(content, 0x1000).parts
