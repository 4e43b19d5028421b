"""An ESP32 in QEMU: the chip's own ROM in download mode, then whatever was put on its flash.

Needs Espressif's QEMU (or a fork of it) with its machine "esp32", and a folder with the ROMs.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

FLASH_KB = 4096
MISSING = "FANWISE_QEMU_XTENSA names no emulator of the chips"
# Instructions set the pace, 8 ns each, and one thread runs both cores: two threads wait for each
# other at every access to the flash, which on a busy computer costs two turns of its scheduler.
PACE = ["-icount", "shift=3,align=off,sleep=on"]
# Level of the strapping pins at reset, as the ROM reads it: GPIO0 low means download.
DOWNLOAD, RUN = 0x0F, 0x12


def find() -> tuple[str | None, str]:
    """QEMU for Xtensa, or None and what is missing."""
    program = os.environ.get("FANWISE_QEMU_XTENSA") or shutil.which("qemu-system-xtensa")
    if not program:
        return None, MISSING
    words = [program, "-machine", "help"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if not re.search(r"^esp32\s", done.stdout, re.MULTILINE):
        return None, MISSING
    return program, ""


class QemuBoard:
    """`port` is a link: it names the pty of the QEMU that runs at the moment. `line` is that pty,
    opened.
    """

    def __init__(self, program: str, flash_kb: int = FLASH_KB) -> None:
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="qemu-esp32-")
        folder = Path(self._folder.name)
        self.flash = folder / "flash.bin"
        self.flash.write_bytes(b"\xff" * (flash_kb * 1024))
        self.port = str(folder / "board")
        self._debugger = str(folder / "debugger")
        self._said = folder / "said"
        self._process: subprocess.Popen[bytes] | None = None
        self.line = -1

    def __enter__(self) -> Self:
        self.start(DOWNLOAD)
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        self._folder.cleanup()

    def reset(self) -> None:
        """Press EN with BOOT let go."""
        self.stop()
        self.start(RUN)

    def download(self) -> None:
        """Press EN with BOOT held."""
        self.stop()
        self.start(DOWNLOAD)

    def peek(self, address: int) -> int:
        """A register's 32 bits, read past the program that runs, by the debugger's protocol."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(60)
            until = time.monotonic() + 30
            while not os.path.exists(self._debugger):
                assert time.monotonic() < until
                time.sleep(0.05)
            line.connect(self._debugger)
            word = _ask(line, b"m%x,4" % address)
            _ask(line, b"D")  # Which lets the chip go on.
        return int.from_bytes(bytes.fromhex(word.decode()), "little")

    def start(self, straps: int) -> None:
        words = [self._program, "-machine", "esp32", "-display", "none", "-monitor", "none"]
        words += [*PACE, "-gdb", f"unix:{self._debugger},server=on,wait=off"]
        if roms := os.environ.get("FANWISE_QEMU_ROMS"):
            words += ["-L", roms]
        words += ["-serial", "pty", "-nic", "none"]
        words += ["-drive", f"file={self.flash},if=mtd,format=raw,cache=unsafe"]
        for name, value in (
            ("timer.esp32.timg,property=wdt_disable", "true"),
            ("esp32.gpio,property=strap_mode", hex(straps)),
        ):
            words += ["-global", f"driver={name},value={value}"]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + 30
        while not (found := re.search(r"redirected to (\S+)", self._said.read_text())):
            assert self._process.poll() is None, self._said.read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        # Held open: QEMU takes about a second to see that a pty is in use again, and drops what
        # comes until then.
        self.line = os.open(found[1], os.O_RDWR | os.O_NOCTTY)
        os.symlink(found[1], self.port)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
            os.unlink(self.port)
            Path(self._debugger).unlink(missing_ok=True)
            os.close(self.line)
            self._process = None


def _ask(line: socket.socket, packet: bytes) -> bytes:
    line.sendall(b"$%b#%02x" % (packet, sum(packet) & 0xFF))
    said = b""
    while not (found := re.search(rb"\$([^#]*)#..", said)):
        data = line.recv(4096)
        assert data, said
        said += data
    line.sendall(b"+")
    return found[1]
