"""mpremote's transport to a raw REPL, for boards that pour, restart, or take their time."""

from __future__ import annotations

import contextlib
import io
import time

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

BANNER = b"raw REPL; CTRL-B to exit\r\n"
REBOOTING = b"soft reboot\r\n"
# Waited for while anything may come; other waits are in vain once a board has started anew.
STARTING = (BANNER, REBOOTING)
STARTED = (b"rst:0x", b"#fw1 ")


class Transport(SerialTransport):  # type: ignore[misc]
    """answer_s: what a board has for each answer while it is given code; mpremote takes a late one
    for that of firmware without raw paste.
    """

    answer_s = 5.0

    def read_until(
        self,
        min_num_bytes: int,
        ending: bytes,
        timeout: float = 10,
        data_consumer: object = None,
        timeout_overall: float | None = None,
    ) -> bytes:
        """As mpremote's, but its time is up even while bytes pour in, as from a board that has
        started anew, and it waits for bytes instead of looking for them every 10 ms.
        """
        data, end = bytearray(), time.monotonic() + (timeout_overall or timeout)
        while not data.endswith(ending) and time.monotonic() < end:
            data += self.serial.read(1)
            if ending not in STARTING and data.endswith(STARTED):
                raise TransportError("the board has started anew")
        return bytes(data)

    def exec_raw_no_follow(self, command: str | bytes) -> None:
        """As mpremote's, but patient, and what it did not expect is not printed."""
        usual, self.serial.timeout = self.serial.timeout, self.answer_s
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                super().exec_raw_no_follow(command)
        finally:
            self.serial.timeout = usual
