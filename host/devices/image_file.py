"""What is in a combined MicroPython image: for which chip, which version, whole or damaged.

A combined image holds boot loader, partition table and application as they lie in flash. Format of
the two programs: Espressif's "Firmware Image Format" (docs.espressif.com/projects/esptool).
"""

from __future__ import annotations

import hashlib
import re
import struct

from host.devices.boards import Board
from host.devices.errors import ImageError

MAGIC = 0xE9
PARTITIONS = 0x8000
PARTITIONS_MAGIC = b"\xaa\x50"
APPLICATION = 0x10000
_HEADER = 24
_MAX_SEGMENTS = 16
_CHIP_NAMES = {0: "ESP32", 2: "ESP32-S2", 5: "ESP32-C3", 9: "ESP32-S3", 12: "ESP32-C2"}
_CHIP_NAMES |= {13: "ESP32-C6", 16: "ESP32-H2", 18: "ESP32-P4", 23: "ESP32-C5"}
_VERSION = re.compile(rb"MPY version : v(\d+\.\d+(?:\.\d+)?[^ ]{0,40}) on ")


def check(data: bytes, board: Board, name: str) -> str:
    """The version of MicroPython in the image `data` ("" if it does not say). Raises ImageError.

    name: how messages call it. Anything but a whole combined image for the board's chip that fits
    its flash, no older than its `min_version`, is refused.
    """
    if board.flash is None or board.image is None:
        raise ImageError(f"a {board.name} board is not flashed")
    room = board.flash.size_kb * 1024 - board.flash.offset
    if len(data) > room:
        raise ImageError(
            f"{name} has {len(data):,} bytes, the flash of {board.name} has room for {room:,}:"
            f" take the image {board.image.stem}"
        )
    if data[:1] != bytes([MAGIC]):
        raise ImageError(
            f"{name} does not begin like an image (0x{MAGIC:02x}): take the .bin file,"
            " neither .uf2 nor .elf nor a web page"
        )
    _check_chip(data, board, name)
    partitions = PARTITIONS - board.flash.offset
    application = APPLICATION - board.flash.offset
    if data[partitions : partitions + 2] != PARTITIONS_MAGIC:
        raise ImageError(
            f"{name} has no partition table, so it is no combined image:"
            " take the .bin file that is named 'Firmware', not '.app-bin'"
        )
    _check_program(data, 0, f"{name}: boot loader")
    _check_program(data, application, f"{name}: application")
    found = _VERSION.search(data)
    version = found[1].decode("ascii", "replace") if found else ""
    if version and version_key(version) < version_key(board.image.min_version):
        raise ImageError(
            f"{name} is MicroPython {version}, {board.name} needs"
            f" {board.image.min_version} or newer"
        )
    return version


def version_key(version: str) -> tuple[int, ...]:
    """For comparing: (1, 25, 0) for "1.25" and "1.25.0-preview"."""
    numbers = [int(n) for n in re.findall(r"\d+", version.partition("-")[0])]
    return tuple([*numbers, 0, 0, 0][:3])


def _check_chip(data: bytes, board: Board, name: str) -> None:
    if len(data) < _HEADER:
        raise ImageError(f"{name} is cut off: load it again")
    chip = struct.unpack_from("<H", data, 12)[0]
    if chip != board.chip_image_id:
        known = _CHIP_NAMES.get(chip, f"chip number {chip}")
        raise ImageError(
            f"{name} is for the {known}, {board.name} has an {board.pins.chip}:"
            f" take the image {board.image.stem if board.image else ''}"
        )


def _check_program(data: bytes, start: int, name: str) -> None:
    # Segments, then a checksum that ends on 16 bytes, then a SHA-256 of all that.
    if len(data) < start + _HEADER or data[start] != MAGIC or data[start + 1] > _MAX_SEGMENTS:
        raise ImageError(f"{name} is missing or damaged: load it again")
    at = start + _HEADER
    checksum = 0xEF
    for _ in range(data[start + 1]):
        if at + 8 > len(data):
            raise ImageError(f"{name} is cut off: load it again")
        length = struct.unpack_from("<I", data, at + 4)[0]
        at += 8
        # XOR of all bytes: fold the bits of one big number, which is quicker than a loop.
        checksum ^= _xor(data[at : at + length])
        at += length
    end = start + (at - start) // 16 * 16 + 16
    hashed = data[start + 23] == 1
    if end + (32 if hashed else 0) > len(data):
        raise ImageError(f"{name} is cut off: load it again")
    whole = hashlib.sha256(data[start:end]).digest()
    if checksum != data[end - 1] or (hashed and whole != data[end : end + 32]):
        raise ImageError(f"{name} is damaged, its checksum is wrong: load it again")


def _xor(data: bytes) -> int:
    width = 1 << 12
    data += bytes(-len(data) % width)
    folded = 0
    for at in range(0, len(data), width):
        folded ^= int.from_bytes(data[at : at + width], "little")
    result = 0
    for byte in folded.to_bytes(width, "little"):
        result ^= byte
    return result
