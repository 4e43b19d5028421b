"""One serial port inside the event loop: pyserial opens it, the loop reads and writes.

Opening must not reset the board. The usual ESP32 board resets when exactly one of DTR and RTS is
asserted; the kernel raises both on open, so they are left both asserted, and HUPCL is cleared so
that closing leaves them alone too.
"""

import asyncio
import errno
import os
import stat
import termios
from collections.abc import Callable

import serial

from host.bridge.errors import LinkError

READ_BYTES = 4096
# A board that reads nothing must not make the bridge hoard; boards repeat, so a drop is harmless.
MAX_PENDING_BYTES = 16384


class SerialPort:
    """An open port. `received(bytes)` is called per read, `gone(reason)` once at its end."""

    def __init__(
        self,
        path: str,
        baud: int,
        received: Callable[[bytes], None],
        gone: Callable[[str], None],
    ) -> None:
        """Open `path` exclusively. Raises LinkError with reason and remedy."""
        self.path = path
        self._received = received
        self._gone = gone
        self._pending = bytearray()
        self._loop = asyncio.get_running_loop()
        self._serial = _open(path, baud)
        self._fd: int = self._serial.fileno()
        os.set_blocking(self._fd, False)
        self._loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> bool:
        """Queue `data`; False if the board does not read and `data` was dropped."""
        if self._fd < 0 or len(self._pending) + len(data) > MAX_PENDING_BYTES:
            return False
        idle = not self._pending
        self._pending += data
        if idle:
            self._writable()
        return True

    def replaced(self) -> bool:
        """Whether the path names another device by now, or none."""
        try:
            now = os.stat(self.path)
            return now.st_rdev != os.fstat(self._fd).st_rdev
        except OSError:
            return True

    def hold_in_reset(self, on: bool) -> None:
        """Pull EN of the usual ESP32 board low, or let it go: RTS asserted and DTR not, then both
        as before. Raises OSError where the port has no such lines, as a pty.
        """
        self._serial.dtr = not on

    def close(self) -> None:
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._fd = -1
        try:
            self._serial.close()
        except OSError:
            pass  # the device is gone: nothing left to close

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(os.strerror(error.errno or 0))
            return
        if data:
            self._received(data)
        else:
            self._end("hung up")

    def _writable(self) -> None:
        try:
            sent = os.write(self._fd, self._pending)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # Not from inside write(): its caller may be in the middle of a state change.
            self._pending.clear()
            self._loop.remove_writer(self._fd)
            self._loop.call_soon(self._end, os.strerror(error.errno or 0))
            return
        del self._pending[:sent]
        if self._pending:
            self._loop.add_writer(self._fd, self._writable)
        else:
            self._loop.remove_writer(self._fd)

    def _end(self, reason: str) -> None:
        if self._fd >= 0:
            self.close()
            self._gone(reason)


def _open(path: str, baud: int) -> serial.Serial:
    try:
        # Opening a plain file would work and then poll as ready for ever.
        if not stat.S_ISCHR(os.stat(path).st_mode):
            raise LinkError("is not a serial device")
        port = serial.Serial(path, baud, timeout=0, exclusive=True)
    except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError
        raise LinkError(_reason(error)) from error
    try:
        attributes = termios.tcgetattr(port.fileno())
        attributes[2] &= ~termios.HUPCL
        termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)
    except termios.error:
        pass  # a pty that has gone already; the first read says so
    return port


def _reason(error: Exception) -> str:
    code = getattr(error, "errno", None)
    if code in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY) or "exclusively lock" in str(error):
        return "is in use by another program; close the monitor or mpremote that holds it"
    if code == errno.EACCES:
        return "no permission; join the group that owns it (often: dialout)"
    if code == errno.ENOENT:
        return "is not there"
    return os.strerror(code) if code else str(error)
