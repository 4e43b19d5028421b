"""Small combined images in Espressif's format, whole or with something wrong."""

import hashlib
import struct


def program(segments=(b"code",), chip=0, hashed=True, checksum=None) -> bytes:
    """A boot loader or an application: header, segments, checksum, SHA-256."""
    head = (0xE9, len(segments), 2, 0x20, 0x40080000, 0xEE, 0, 0, 0, chip, 0, 0, 0xFFFF)
    data = struct.pack("<4BI4BHBHH4xB", *head, int(hashed))
    found = 0xEF
    for segment in segments:
        data += struct.pack("<II", 0x3F400000, len(segment)) + segment
        for byte in segment:
            found ^= byte
    data += bytes(15 - len(data) % 16) + bytes([found if checksum is None else checksum])
    return data + (hashlib.sha256(data).digest() if hashed else b"")


def image(chip=0, offset=0x1000, version="1.25.0", boot=None, app=None, table=b"\xaa\x50") -> bytes:
    """A combined image as it lies in flash from `offset` on."""
    text = f"MPY version : v{version} on 2025-04-15".encode() if version else b""
    boot = boot if boot is not None else program(chip=chip)
    app = app if app is not None else program((b"\x00" * 700, text), chip=chip)
    data = boot.ljust(0x8000 - offset, b"\xff") + table
    return data.ljust(0x10000 - offset, b"\xff") + app
