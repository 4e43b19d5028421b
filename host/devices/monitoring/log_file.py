"""The monitor's log: every byte, with the time it came, in a bounded amount of disk.

One line per read or write, and it is lossless: time (UTC), direction (`<` from the board, `>` to
it), and the bytes as a Python literal.

    2026-11-21T14:20:45.123456Z < b'#fw1 58 0afb7a2b {"t":"tel","boot":7}\\n'

At MAX_BYTES the file becomes FILE.1, and the FILE.1 there was is dropped: twice MAX_BYTES at most.
"""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from host.devices.errors import DeviceError

MAX_BYTES = 16_000_000
RECEIVED = "<"
SENT = ">"


class LogFile:
    """Appends to `path`. Raises DeviceError where it cannot be opened or written."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._open()

    def add(self, direction: str, data: bytes, at_s: float) -> None:
        time = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        try:
            self._file.write(f"{time} {direction} {data!r}\n".encode("ascii"))
            self._file.flush()
            if self._file.tell() >= self._max_bytes:
                self._file.close()
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                self._open()
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        self._file.close()

    def _open(self) -> None:
        try:
            self._file = self._path.open("ab")
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> DeviceError:
        return DeviceError(f"the log {self._path} cannot be written: {error.strerror}")


def read_log(path: Path) -> Iterator[tuple[float, str, bytes]]:
    """(seconds since 1970, direction, bytes) of each line. Raises DeviceError."""
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceError(f"{path} is no readable log: {error}") from error
    for number, line in enumerate(lines, 1):
        try:
            time, direction, literal = line.split(" ", 2)
            at_s = datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
            data = ast.literal_eval(literal)
            if direction not in (RECEIVED, SENT) or not isinstance(data, bytes):
                raise ValueError("not a line of a log")
        except (ValueError, SyntaxError) as error:
            raise DeviceError(f"{path}:{number}: is not a line of a monitor's log") from error
        yield at_s, direction, data
