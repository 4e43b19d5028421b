"""Whether a chip that stopped answering while it was written has restarted: it says so itself."""

from __future__ import annotations

import re
import struct
import time

import serial

# At which every ROM speaks.
BAUD = 115200
LISTEN_S = 1.5
ANSWER_S = 2.0
# What a ROM prints when it starts, and when it finds half an image, again and again.
STARTED = re.compile(
    rb"rst:0x|ets [A-Z][a-z]{2} |ESP-ROM:|waiting for download|invalid header|flash read err|"
    rb"csum err|No bootable app|Brownout"
)
SUPPLY = re.compile(rb"Brownout|BROWN_?OUT")
SYNC = b"\xc0" + struct.pack("<BBHI", 0, 8, 36, 0) + b"\x07\x07\x12\x20" + 32 * b"\x55" + b"\xc0"
# A ROM gives it a value, the stub that wrote the flash gives it zero.
ROM_ANSWER = re.compile(rb"\xc0\x01\x08..(?!\0\0\0\0)....", re.DOTALL)

RESTARTED = (
    "the board restarted while it was written: EN (or RST) was pressed, or its supply broke down "
    "for a moment"
)
BROWNED_OUT = (
    "the board restarted while it was written, because its supply broke down: another cable, or a "
    "socket that gives 500 mA"
)


def look(port: str) -> str:
    """What became of a board whose port is still there, in words; "" where nothing tells."""
    try:
        with serial.serial_for_url(port, BAUD, timeout=0.1, write_timeout=1) as line:
            # To the end: what is wrong with its supply comes last.
            seen = _read(line, LISTEN_S, SUPPLY)
            if not STARTED.search(seen):
                # BOOT was held, or low: its ROM says little, but answers.
                line.write(SYNC)
                seen += _read(line, ANSWER_S, ROM_ANSWER)
    except (OSError, serial.SerialException):
        return ""
    if SUPPLY.search(seen):
        return BROWNED_OUT
    return RESTARTED if STARTED.search(seen) or ROM_ANSWER.search(seen) else ""


def _read(line: serial.SerialBase, time_s: float, wanted: re.Pattern[bytes]) -> bytes:
    seen, until = b"", time.monotonic() + time_s
    while time.monotonic() < until and not wanted.search(seen):
        seen += line.read(max(1, line.in_waiting))
    return seen
