"""A board's serial port: an outer pty for clients, an inner one for the VM, and the cable between
them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import termios
from collections.abc import Callable
from pathlib import Path

from host.simulation.errors import BoardError

CTRL_C = b"\x03"
CHUNK = 4096
TO_CLIENT_MAX = 16 * 1024  # what nobody reads is lost beyond this, as on a UART
TO_BOARD_MAX = 3800  # a terminal holds 4096 bytes that the board has not read yet


class Pty:
    """A pseudo terminal with both ends open, raw, non-blocking at the master."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)
        mode = termios.tcgetattr(self.slave)
        mode[0] = mode[1] = mode[3] = 0
        mode[6] = [b"\x00"] * len(mode[6])
        mode[6][termios.VMIN] = 1
        termios.tcsetattr(self.slave, termios.TCSANOW, mode)

    def signal_on_ctrl_c(self) -> None:
        """Turn Ctrl-C, and nothing else, into SIGINT, without losing what was typed before it."""
        mode = termios.tcgetattr(self.slave)
        mode[3] = termios.ISIG | termios.NOFLSH
        disabled = os.fpathconf(self.slave, "PC_VDISABLE").to_bytes(1, "little")
        mode[6] = [disabled] * len(mode[6])
        mode[6][termios.VINTR] = CTRL_C
        mode[6][termios.VMIN] = 1
        mode[6][termios.VTIME] = 0
        termios.tcsetattr(self.slave, termios.TCSANOW, mode)

    def unread(self) -> int:
        """Bytes written to the master that wait at the slave."""
        return struct.unpack("i", fcntl.ioctl(self.slave, termios.FIONREAD, b"\0" * 4))[0]

    def deliver(self) -> None:
        """Have what was written to the master at the slave now, not when the kernel has time."""
        # Looking whether a terminal can be read is what takes its waiting bytes in.
        select.select([self.slave], [], [], 0)

    def close(self) -> None:
        """Hang up."""
        os.close(self.master)
        os.close(self.slave)


class SerialPort:
    """The port under a stable name, `link`. `watch`/`unwatch` register a file descriptor with a
    callback; `on_input` is called after the board got bytes.
    """

    def __init__(
        self,
        link: Path | None,
        watch: Callable[[int, Callable[[], object]], None],
        unwatch: Callable[[int], None],
        on_input: Callable[[], None] = lambda: None,
    ) -> None:
        self._link = link
        self._watch = watch
        self._unwatch = unwatch
        self._on_input = on_input
        self._outer: Pty | None = None
        self._inner: Pty | None = None
        self._to_client = bytearray()
        self.dropped = 0

    @property
    def path(self) -> str | None:
        """What a client opens; None while unplugged."""
        if self._outer is None:
            return None
        return str(self._link) if self._link else self._outer.path

    def plug(self) -> None:
        """Make the port appear. Raises BoardError if its name is taken by something that is no
        link.
        """
        if self._outer is not None:
            return
        self._outer = Pty()
        self._watch(self._outer.master, self.from_client)
        if self._link is None:
            return
        try:
            self._link.parent.mkdir(parents=True, exist_ok=True)
            if self._link.is_symlink():
                self._link.unlink()
            self._link.symlink_to(self._outer.path)
        except OSError as error:
            self.unplug()
            raise BoardError(
                f"serial port {self._link}: {error.strerror}; choose another"
            ) from error

    def unplug(self) -> None:
        """Make it disappear; clients see a hang-up."""
        if self._outer is None:
            return
        self._unwatch(self._outer.master)
        if self._link is not None and self._link.is_symlink():
            with contextlib.suppress(OSError):
                if os.readlink(self._link) == self._outer.path:
                    self._link.unlink()
        self._outer.close()
        self._outer = None
        self._to_client.clear()

    def new_terminal(self) -> int:
        """A fresh inner terminal for the next run of the VM; returns the end it gets."""
        self.close_terminal()
        self._inner = Pty()
        self._inner.signal_on_ctrl_c()
        self._watch(self._inner.master, self.from_board)
        return self._inner.slave

    def close_terminal(self) -> None:
        """Take the inner terminal away, after what it still holds has been passed on."""
        if self._inner is not None:
            self.from_board()
            self._unwatch(self._inner.master)
            self._inner.close()
            self._inner = None

    def from_board(self) -> bool:
        """Pass on what the board sent; whether there was anything."""
        any_came = False
        while self._inner is not None:
            try:
                data = os.read(self._inner.master, CHUNK)
            except OSError:
                break
            if not data:
                break
            self.say(data)
            any_came = True
        return any_came

    def say(self, data: bytes) -> None:
        """Send bytes to the client, the oldest giving way when nobody reads them."""
        self._to_client += data
        self.flush()
        excess = len(self._to_client) - TO_CLIENT_MAX
        if excess > 0:
            del self._to_client[:excess]
            self.dropped += excess

    def flush(self) -> None:
        """Give the client what its terminal has room for."""
        while self._outer is not None and self._to_client:
            try:
                done = os.write(self._outer.master, self._to_client[:CHUNK])
            except OSError:
                return
            del self._to_client[:done]

    def from_client(self) -> None:
        """Pass on what the client wrote."""
        if self._outer is None:
            return
        try:
            data = os.read(self._outer.master, CHUNK)
        except OSError:
            return
        if self._inner is None:
            return
        room = TO_BOARD_MAX - self._inner.unread()
        if len(data) > room:
            # A UART overrun. The interrupt character is seen even then, so make room for it.
            lost = data[max(0, room) :]
            data = data[: max(0, room)]
            if CTRL_C in lost:
                termios.tcflush(self._inner.slave, termios.TCIFLUSH)
                data = lost[lost.index(CTRL_C) :][:TO_BOARD_MAX]
        try:
            os.write(self._inner.master, data)
        except OSError:
            return
        self._inner.deliver()
        self._on_input()
