"""esptool as a program: run, read, and its words turned into facts and errors.

Its licence (GPL) is not this project's, so it is only ever called, never imported.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host.devices import flash_restart
from host.devices.errors import (
    DeviceError,
    NoAnswerError,
    PortBusyError,
    PortError,
    Stopped,
    VerifyError,
    WrongChipError,
)
from host.devices.flash_layout import TABLE_OFFSET, TABLE_SIZE, Part

BAUD = 460800
SAFE_BAUD = 115200  # what every cable and bridge manages
# Longer than the longest it waits for a chip: 120 s, while a whole flash is erased.
SILENCE_S = 150

UNFINISHED = "the board has no working firmware now; the same command finishes it"
BROKE = "the chip answered, then the connection broke"
UNPLUGGED = "the board was unplugged, or its cable has a loose contact"
CABLE = "try another cable or USB socket, without a hub"
BOOT_BUTTON = "hold BOOT while you press and let go of EN (or RST), let go of BOOT, then try again"

# What esptool says when it fails, first match wins: pattern, kind, what to do.
FAILURES: list[tuple[str, type[DeviceError], str]] = [
    (r"No module named '?esptool", DeviceError, "esptool is not installed; ./run installs it"),
    (r"Errno 2\b|No such file or dir|FileNotFoundError", PortError, f"the port is gone; {CABLE}"),
    (r"Permission denied|Access is denied", PortBusyError, "no permission to open it"),
    (r"exclusively lock|Errno 16\b|the port is busy", PortBusyError, "another program has it open"),
    (
        r"Wrong boot mode detected",
        NoAnswerError,
        "the chip did not enter its loader; " + BOOT_BUTTON,
    ),
    (
        r"MD5 of file does not match|written flash region is empty|Verification failed",
        VerifyError,
        "what the flash holds is not what was written. Once more with --erase; if that fails too "
        "the flash chip or its supply is faulty",
    ),
    (
        r"device reports readiness|Input/output error|Errno 5\b|Device not configured|"
        r"ClearCommError|WriteFile failed|write failed|A serial exception",
        NoAnswerError,
        f"{UNPLUGGED}; {CABLE}",
    ),
    (r"will not fit in", WrongChipError, "the image is larger than the flash"),
    (r"is not an? \S+ image|requires chip revision", WrongChipError, "the image does not fit it"),
    (r"Unexpected chip|This chip is", WrongChipError, "the chip is none that esptool expects"),
    (
        r"No serial data received|Failed to connect|chip stopped responding|Packet content|"
        r"No more data to read|stream stopped|Invalid head of packet|Invalid SLIP|Guru Meditation|"
        r"Timed out|Failed to start stub|Response doesn't match|Failed to (enter|write|read|leave|"
        r"configure|erase|get|calculate)|Digest mismatch|Corrupt data",
        NoAnswerError,
        "",
    ),
]


@dataclass(frozen=True)
class ChipFound:
    """chip: as in boards/ ("esp32s3"). flash_kb: 0 if it does not tell. table: TABLE_SIZE bytes."""

    chip: str
    title: str
    mac: str
    flash_kb: int
    table: bytes


class Esptool:
    """esptool on one port. `reset`: the port can reset the board by DTR and RTS; where it cannot,
    somebody has put the chip into its loader, and it stays there when esptool ends. `mode`: options
    of write-flash for the header of the boot loader.
    """

    def __init__(self, port: str, reset: bool = True, mode: Sequence[str] = ()) -> None:
        self.port = port
        self.reset = reset
        self.mode = mode

    def find(self) -> ChipFound:
        """Look at chip and flash; changes nothing. Raises DeviceError."""
        with _scratch() as folder:
            table = folder / "table.bin"
            words = ["read-flash", "--flash-size", "detect", hex(TABLE_OFFSET), hex(TABLE_SIZE)]
            try:
                text = self._run([*words, str(table)])
            except NoAnswerError as error:
                # Nothing has been changed yet, so a line that broke deserves a second look.
                if BROKE not in str(error):
                    raise
                text = self._run([*words, str(table)])
            return read_chip(text, table.read_bytes())

    def write(
        self, parts: Sequence[Part], erase: bool, baud: int, progress: Callable[[int], None]
    ) -> int:
        """Write and verify what is not there already, then restart. Bytes that were there already.

        erase: the whole flash first. progress: of all bytes of `parts`, so many are done. Raises
        DeviceError, Stopped.
        """
        with _scratch() as folder:
            words = ["write-flash", *self.mode, "--erase-all" if erase else "--skip-flashed"]
            for number, part in enumerate(parts):
                file = folder / f"{number}.bin"
                file.write_bytes(part.data)
                words += [hex(part.offset), str(file)]
            watcher = _Watcher(parts, progress)
            try:
                self._run(words, ["--baud", str(baud)], watcher.line)
            except KeyboardInterrupt:
                if watcher.begun:
                    raise Stopped(f"stopped in the middle: {UNFINISHED}") from None
                raise
            except DeviceError as error:
                if not watcher.begun:
                    raise
                restarted = flash_restart.look(self.port) if type(error) is NoAnswerError else ""
                told = f"{self.port}: {restarted}" if restarted else str(error)
                raise type(error)(f"{told}\n{UNFINISHED}") from error
            return watcher.skipped

    def _run(
        self,
        words: Sequence[str],
        options: Sequence[str] = (),
        tell: Callable[[str], None] = lambda line: None,
    ) -> str:
        options = [*options, "--port", self.port]
        if not self.reset:
            # In the stub it stays ready for the next call; the ROM would have to be entered anew.
            options += ["--before", "no-reset", "--after", "no-reset-stub"]
        lines = []
        with _started([sys.executable, "-m", "esptool", *options, *words]) as process:
            output = _Output(process)
            try:
                for line in output:
                    lines.append(line)
                    tell(line)
            except KeyboardInterrupt:
                # How far it came is in what it has said already.
                process.kill()
                for line in output:
                    tell(line)
                raise
            code = process.wait()
        text = "\n".join(lines)
        if code:
            raise failure(text, self.port)
        return text


def read_chip(text: str, table: bytes) -> ChipFound:
    """Facts from what esptool printed. Raises NoAnswerError if it names no chip."""
    chip = re.search(r"^Connected to (\S+) on", text, re.MULTILINE)
    if not chip:
        raise NoAnswerError(f"esptool does not name the chip; it said:\n{text.strip()[-500:]}")
    title = re.search(r"^Chip type:\s+(.+)$", text, re.MULTILINE)
    mac = re.search(r"^MAC:\s+([0-9a-f:]{17})", text, re.MULTILINE)
    size = re.search(r"[Dd]etected flash size: (\d+)(KB|MB)", text)
    unit = {"KB": 1, "MB": 1024}
    return ChipFound(
        chip=chip[1].lower().replace("-", ""),
        title=title[1].strip() if title else chip[1],
        mac=mac[1] if mac else "",
        flash_kb=int(size[1]) * unit[size[2]] if size else 0,
        table=table,
    )


def failure(text: str, port: str) -> DeviceError:
    """The error that esptool's words stand for."""
    said = _last_words(text)
    for pattern, kind, remedy in FAILURES:
        if re.search(pattern, said, re.IGNORECASE):
            return kind(f"{port}: {remedy or _no_answer(text)} (esptool: {said})")
    return DeviceError(f"{port}: esptool failed: {said}")


def _no_answer(text: str) -> str:
    if "Lost connection" in text:
        return f"{UNPLUGGED}; {CABLE}"
    if "Connected to" in text:
        return f"{BROKE}; {CABLE}, or take a lower --baud"
    return f"no answer from a boot loader; {BOOT_BUTTON}"


def _last_words(text: str) -> str:
    """The error esptool ended with, on one line, without its addresses for further reading."""
    _, found, rest = text.rpartition("error occurred: ")
    if not found:
        rest = "\n".join(line for line in text.splitlines() if line.strip())[-300:]
    lines = [line.strip() for line in rest.splitlines()]
    kept = [
        line for line in lines if line and not line.startswith(("For troubl", "Note:", "Hint:"))
    ]
    return " ".join(kept)


class _Watcher:
    """Follows the lines of write-flash."""

    def __init__(self, parts: Sequence[Part], progress: Callable[[int], None]) -> None:
        self._parts = parts
        self._progress = progress
        self.skipped = 0
        self.begun = False

    def line(self, line: str) -> None:
        if line.startswith(("Erasing flash", "Flash will be erased", "Writing at")):
            self.begun = True
        if match := re.search(r"at (0x[0-9a-f]{8}) already in flash", line):
            self._done(int(match[1], 16), whole=True)
        elif match := re.match(r"Writing at (0x[0-9a-f]{8}) ", line):
            self._done(int(match[1], 16))

    def _done(self, address: int, whole: bool = False) -> None:
        so_far = 0
        for part in self._parts:
            if part.offset <= address <= part.offset + len(part.data) + 4:
                if whole:
                    self.skipped += len(part.data)
                    address = part.offset + len(part.data)
                self._progress(so_far + min(address - part.offset, len(part.data)))
                return
            so_far += len(part.data)


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fanwise-flash-") as name:
        yield Path(name)


@contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, with its output as text; ended, whatever happens.

    In a session of its own: Ctrl-C is for us, who know what to say about it.
    """
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1", "TERM": "dumb"}
    environment["PYTHONUNBUFFERED"] = "1"
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


class _Output:
    """The lines of a process as they come, each once, however often it is iterated over. Raises
    NoAnswerError when it says nothing for too long.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._stdout = process.stdout
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stdout:
            self._lines.put(line.rstrip())
        self._lines.put(None)

    def __iter__(self) -> Iterator[str]:
        while True:
            try:
                line = self._lines.get(timeout=SILENCE_S)
            except queue.Empty:
                raise NoAnswerError(f"esptool said nothing for {SILENCE_S} s; {CABLE}") from None
            if line is None:
                self._reader.join()
                return
            yield line
