"""Waiting for a board that was just flashed: MicroPython's prompt, or the agent's frames."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import serial

from agent.communication import frames
from host.devices.errors import NoAnswerError

BAUD = 115200
POKE_S = 1.0
BANNER_S = 10.0
KEPT_BYTES = 8192
BANNER = re.compile(rb"MicroPython v[^\r\n]+")
RAW_REPL = b"raw REPL; CTRL-B to exit"
RETURN, INTERRUPT, ENTER_RAW, LEAVE_RAW = b"\r", b"\x03", b"\x01", b"\x02"

# What a board that does not start tells, first match wins.
SYMPTOMS = [
    (rb"waiting for download", "it is still in its boot loader: press EN (or RST)"),
    (
        rb"invalid header|flash read err|No bootable app|Checksum failed|csum err|partition table",
        "it finds no firmware on its flash: flash once more, with --erase",
    ),
    (rb"Brownout", "its supply breaks down: another cable, or a socket that gives 500 mA"),
    (
        rb"Guru Meditation|abort\(\) was called",
        "its firmware crashes: flash once more, with --erase",
    ),
    (rb"rst:0x", "it starts, but MicroPython does not answer: flash once more, with --erase"),
]


@dataclass(frozen=True)
class Alive:
    """What answers. banner: MicroPython's, with its version; "" while an agent runs."""

    banner: str

    @property
    def version(self) -> str:
        """As "1.25.0"; "" if it did not tell."""
        match = re.match(r"MicroPython v(\S+)", self.banner)
        return match[1] if match else ""


def wait(port: str, timeout_s: float = 30) -> Alive:
    """Wait until MicroPython, or an agent that was there before, answers on `port`.

    The port may vanish and come back meanwhile, as the native USB of some chips does. Raises
    NoAnswerError with what the board said instead.
    """
    began = poked = time.monotonic()
    until = began + timeout_s
    seen = b""
    decoder = frames.Decoder()
    trouble = ""
    while time.monotonic() < until:
        try:
            with serial.serial_for_url(port, BAUD, timeout=0.1, write_timeout=1) as line:
                while time.monotonic() < until:
                    data = line.read(max(1, line.in_waiting))
                    seen = (seen + data)[-KEPT_BYTES:]
                    if seen.rstrip(b" ").endswith(b">>>"):
                        return Alive(_banner(line, seen))
                    if any(kind == frames.FRAME for kind, *_ in decoder.feed(data)):
                        return Alive("")
                    if time.monotonic() >= poked + POKE_S:
                        poked = time.monotonic()
                        # A first start makes the file system: nothing may interrupt that, so only
                        # a board that has been silent for long is interrupted.
                        late = time.monotonic() > began + timeout_s / 2
                        line.write(INTERRUPT if late else RETURN)
        except (OSError, serial.SerialException) as error:
            trouble = str(error)
            time.sleep(0.1)
    raise NoAnswerError(f"{port}: MicroPython does not answer; {diagnose(seen, trouble)}")


def diagnose(seen: bytes, trouble: str = "") -> str:
    """What is wrong with a board, by the text that came from it."""
    for pattern, meaning in SYMPTOMS:
        if re.search(pattern, seen):
            return meaning
    if seen.strip():
        return f"the last that came was {seen[-80:]!r}; press EN (or RST)"
    if trouble:
        return f"the port cannot be opened: {trouble}"
    return "nothing comes at all: press EN (or RST)"


def _banner(line: serial.SerialBase, seen: bytes) -> str:
    """The banner, that leaving the raw REPL shows once more. `line` ends at the prompt."""
    answer = b""
    line.timeout = BANNER_S
    for key, until in ((ENTER_RAW, RAW_REPL), (LEAVE_RAW, b">>> ")):
        line.write(key)
        answer += line.read_until(until)
    found = BANNER.search(answer) or BANNER.search(seen)
    return found[0].decode("utf-8", "replace") if found else "MicroPython"
