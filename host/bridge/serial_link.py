"""A board on a serial port: opened, served, and opened again for ever."""

import asyncio
import time

from host.bridge.backoff import Backoff
from host.bridge.errors import LinkError
from host.bridge.link import TICK_S, Intake, Link, State
from host.bridge.serial_port import SerialPort


class SerialLink(Link):
    """Runs until cancelled."""

    def __init__(self, path: str, baud: int, keepalive_s: float, intake: Intake) -> None:
        super().__init__(path, keepalive_s, intake)
        self._baud = baud
        self._port: SerialPort | None = None
        self._closed = asyncio.Event()

    async def run(self) -> None:
        """Open, serve, and open again, for ever."""
        backoff = Backoff(0.25, 5.0)
        try:
            while True:
                if self._open():
                    opened = time.monotonic()
                    await self._serve()
                    # A port that opens and dies at once must not spin.
                    if time.monotonic() - opened > 2.0:
                        backoff.reset()
                await asyncio.sleep(backoff.delay_s())
        finally:
            self.close()

    def close(self) -> None:
        if self._port:
            self._port.close()
            self._port = None

    def write(self, data: bytes) -> bool:
        return self._port is not None and self._port.write(data)

    def _open(self) -> bool:
        self._closed.clear()
        try:
            self._port = SerialPort(self.path, self._baud, self.received, self._gone)
        except LinkError as error:
            self.enter(State.WAITING, str(error))
            return False
        self.opened()
        return True

    async def _serve(self) -> None:
        while not self._closed.is_set():
            self.tick(time.monotonic())
            try:
                # Not wait_for: on Python 3.11 it can swallow a cancellation that comes with it.
                async with asyncio.timeout(min(TICK_S, self._keepalive_s)):
                    await self._closed.wait()
            except TimeoutError:
                pass

    def tick(self, now: float) -> None:
        if self._port is None:
            return
        if self.state is not State.ONLINE and self._port.replaced():
            self.close()
            self._gone("replaced by another device")
            return
        super().tick(now)

    def _gone(self, reason: str) -> None:
        self._port = None
        self.enter(State.DISCONNECTED, reason)
        self._closed.set()
