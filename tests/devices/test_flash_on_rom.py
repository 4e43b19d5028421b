"""The verb flash against the ROM of a real ESP32, in an emulator, with an official image.

FANWISE_QEMU_XTENSA names the emulator (or it is on the PATH), FANWISE_QEMU_ROMS its folder of ROMs
where it needs one, FANWISE_ESP32_IMAGE the image. It takes two to three minutes: the emulated UART
is as slow as a real one.
"""

from pathlib import Path

import pytest

from host.devices.flash_layout import Part, take_apart
from tests.devices.flashing import IMAGE, PROGRAM, WITH_IMAGE, flash, patient
from tests.devices.rom import qemu

pytestmark = WITH_IMAGE


@pytest.mark.timeout(900)
def test_a_stock_image_is_flashed_and_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PROGRAM
    patient(tmp_path, monkeypatch)
    content = Path(IMAGE).read_bytes()
    with qemu.QemuBoard(PROGRAM) as board:
        done, console = flash(board, Path(IMAGE), "qemu-esp32", wait_s=180)
        assert (done.chip.chip, done.chip.flash_kb) == ("esp32", 4096)
        assert console.told("erased: the board has no partition table")
        assert any(f"MicroPython v{done.version}" in text for text in console.said)
        assert f"v{done.version}".encode() in content
        assert done.written == sum(len(part.data) for part in parts(content))
        # Boot loader, table and program lie there as they were sent.
        written = board.flash.read_bytes()
        for part in parts(content):
            assert written[part.offset : part.offset + len(part.data)] == part.data

        # Once more: what MicroPython has written meanwhile is kept, nothing is written. No deploy:
        # the emulated flash is so slow that deploy's limits, made for boards, run out.
        board.download()
        again, console = flash(board, Path(IMAGE), "qemu-esp32", wait_s=180)
        assert again.written == 0
        assert console.told("files and settings on the board are kept")


def parts(content: bytes) -> tuple[Part, ...]:
    return take_apart(content, 0x1000).parts
