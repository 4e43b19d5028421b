"""What is in an image, and what the lock of images holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_builder import image, program

from host.devices import image_lock
from host.devices.boards import load_board
from host.devices.console import Console
from host.devices.errors import ImageError
from host.devices.image_file import check, version_key
from host.devices.image_lock import Entry
from host.devices.images import resolve

ESP32 = load_board("esp32")
C3 = load_board("esp32-c3")
GOOD = image()


@pytest.mark.parametrize(
    ("board", "data", "version"),
    [
        (ESP32, GOOD, "1.25.0"),
        (C3, image(chip=5, offset=0), "1.25.0"),
        (ESP32, image(version=""), ""),
        (ESP32, image(version="1.26.0-preview.3"), "1.26.0-preview.3"),
        (ESP32, image(boot=program(hashed=False)), "1.25.0"),
    ],
)
def test_a_whole_image(board, data, version):
    assert check(data, board, "x.bin") == version


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin like an image"),
        (b"<html>", "does not begin like an image.*neither .uf2 nor .elf nor a web page"),
        (GOOD[:10], "cut off"),
        (image(chip=5, offset=0), "for the ESP32-C3, esp32 has an ESP32: take .* ESP32_GENERIC$"),
        (image(chip=99), "for the chip number 99"),
        (image(table=b"\xff\xff"), "no partition table.*'.app-bin'"),
        (GOOD[:0x7000], "no partition table"),
        (GOOD[:0xF000], "x.bin: application is missing or damaged"),
        (GOOD[:-1], "x.bin: application is cut off"),
        (GOOD[:-700], "x.bin: application is cut off"),
        (GOOD[:-40] + b"\x01" + GOOD[-39:], "x.bin: application is damaged, its checksum"),
        (image(boot=program(checksum=0)), "x.bin: boot loader is damaged"),
        (image(boot=program(hashed=False, checksum=0)), "x.bin: boot loader is damaged"),
        (image(app=b"\xe9\xff" + bytes(40)), "application is missing or damaged"),
        (image(version="1.23.0"), "is MicroPython 1.23.0, esp32 needs 1.24 or newer"),
        (GOOD + bytes(5 << 20), "the flash of esp32 has room for 4,190,208"),
    ],
)
def test_an_image_that_is_refused(data, words):
    with pytest.raises(ImageError, match=words):
        check(data, ESP32, "x.bin")


def test_a_board_that_is_not_flashed():
    simulated = load_board("simulated")
    with pytest.raises(ImageError, match="simulated board is not flashed"):
        check(GOOD, simulated, "x.bin")
    with pytest.raises(ImageError, match="simulated board is not flashed"):
        resolve(simulated, console=Console())


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=40), st.booleans())
def test_no_damage_raises_anything_else(at, junk, cut):
    data = GOOD[:at] + junk + (b"" if cut else GOOD[at + len(junk) :])
    try:
        check(data, ESP32, "x.bin")
    except ImageError:
        pass


@pytest.mark.parametrize(
    ("older", "newer"), [("1.9.4", "1.24"), ("1.24", "1.24.1"), ("1.25.0-preview.9", "1.26")]
)
def test_versions_are_numbers(older, newer):
    assert version_key(older) < version_key(newer)
    assert version_key("1.24") == version_key("1.24.0")


ENTRY = Entry("ESP32_GENERIC", "1.25.0", "https://micropython.org/x/a.bin", "0" * 64)


def test_the_lock_keeps_what_is_added(tmp_path):
    lock = tmp_path / "images.lock"
    other = Entry("ESP32_GENERIC-SPIRAM", "1.9", ENTRY.url, "1" * 64)
    older = Entry("ESP32_GENERIC", "1.24.1", ENTRY.url, "2" * 64)
    assert image_lock.read(lock) == []
    for entry in (other, ENTRY, older):
        image_lock.add(lock, entry)
    found = image_lock.read(lock)
    assert found == [older, ENTRY, other]
    assert image_lock.newest(found, "ESP32_GENERIC") == ENTRY
    assert image_lock.find(found, "ESP32_GENERIC", "1.25") == ENTRY
    assert image_lock.newest(found, "ESP32_GENERIC_C3") is None
    assert [path.name for path in tmp_path.iterdir()] == ["images.lock"]


def lock_text(**changes):
    return "[[image]]\n" + "\n".join(
        f'{key} = "{value}"' for key, value in ({**vars(ENTRY), **changes}).items()
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[image]", "cannot be read"),
        ("x = 1", r"only \[\[image\]\]"),
        ("image = 1", r"only \[\[image\]\]"),
        ("image = [1]", "image 1 is not usable"),
        (lock_text(name="../x"), "image 1 is not usable"),
        (lock_text(version="new"), "image 1 is not usable"),
        (lock_text(url="http://micropython.org/a.bin"), "image 1 is not usable"),
        (lock_text(sha256="ABC"), "image 1 is not usable"),
        (lock_text(extra="1"), "image 1 is not usable"),
        (lock_text() + "\n" + lock_text(version="1.25"), "ESP32_GENERIC 1.25 is there twice"),
    ],
)
def test_a_lock_that_is_refused(tmp_path, text, words):
    (tmp_path / "images.lock").write_text(text)
    with pytest.raises(ImageError, match=words):
        image_lock.read(tmp_path / "images.lock")
