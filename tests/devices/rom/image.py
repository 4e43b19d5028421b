"""Small images with all that a loader and our checks look at: two programs and a partition table.

https://docs.espressif.com/projects/esptool/en/latest/esp32/advanced-topics/firmware-image-format.html
"""

import hashlib
import random
import struct

TABLE, APPLICATION = 0x8000, 0x10000
PARTITIONS = [
    # type, subtype, offset, size, name: as in MicroPython's 4 MB images
    (1, 2, 0x9000, 0x6000, b"nvs"),
    (1, 1, 0xF000, 0x1000, b"phy_init"),
    (0, 0, 0x10000, 0x1F0000, b"factory"),
    (1, 0x81, 0x200000, 0x200000, b"vfs"),
]


def program(chip_id: int, data: bytes) -> bytes:
    """A program of one segment, with checksum and SHA-256."""
    head = struct.pack("<BBBBIBBBBHBHH4sB", 0xE9, 1, 2, 0x20, 0x40080000, 0xEE, 0, 0, 0, chip_id,
                       0, 0, 0xFFFF, b"", 1)  # fmt: skip
    data += bytes(-len(data) % 4)
    body = head + struct.pack("<II", 0x3FFF0000, len(data)) + data
    body += bytes(15 - len(body) % 16)
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    body += bytes([checksum])
    return body + hashlib.sha256(body).digest()


def table(partitions: list[tuple[int, int, int, int, bytes]] = PARTITIONS) -> bytes:
    """A raw partition table, with its MD5 entry."""
    entries = b"".join(
        struct.pack("<HBBII16sI", 0x50AA, kind, subtype, offset, size, name, 0)
        for kind, subtype, offset, size, name in partitions
    )
    return entries + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(entries).digest()


def merged(
    chip_id: int = 0,
    offset: int = 0x1000,
    size: int = 60_000,
    version: str = "1.25.0",
    seed: int = 1,
    partitions: list[tuple[int, int, int, int, bytes]] = PARTITIONS,
) -> bytes:
    """A merged image for a flash, from `offset` on; `size` bytes of noise are its application."""
    noise = random.Random(seed)
    named = f"MPY version : v{version} on 2025-04-15\0".encode()
    image = bytearray(b"\xff") * (APPLICATION - offset)
    boot = program(chip_id, noise.randbytes(2000))
    image[: len(boot)] = boot
    entries = table(partitions)
    image[TABLE - offset : TABLE - offset + len(entries)] = entries
    return bytes(image) + program(chip_id, named + noise.randbytes(size))
