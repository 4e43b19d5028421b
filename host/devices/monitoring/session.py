"""The line to one board: opened again whenever it goes away, and commands with their answers."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from typing import Any

from agent.communication import frames
from host.bridge.backoff import Backoff
from host.bridge.errors import LinkError
from host.bridge.serial_port import SerialPort
from host.devices import ports
from host.devices.boards import Board
from host.devices.errors import DeviceError, NoAnswerError, PortBusyError, PortError
from host.devices.monitoring.commands import Command

# An ESP32 keeps 260 bytes it has not read yet, and drops the rest.
MAX_FRAME_BYTES = 250
ANSWER_S = 10.0
IDLE_S = 0.5
RETRY_S = (0.25, 5.0)
SETTLED_S = 2.0


class Session:
    """`received(bytes)`, `idle()` and `noted(text)` are called as things happen.

    once: a port that cannot be opened, or goes away, is an error rather than waited for.
    It only listens unless `ask` is used; durable frames are left for the bridge to acknowledge.
    """

    def __init__(
        self,
        device: str,
        baud: int,
        received: Callable[[bytes], None],
        idle: Callable[[], None],
        noted: Callable[[str], None],
        sent: Callable[[bytes], None] = lambda data: None,
        once: bool = False,
    ) -> None:
        self.device = device
        self.opened = asyncio.Event()
        self._baud = baud
        self._received = received
        self._idle = idle
        self._noted = noted
        self._sent = sent
        self._once = once
        self._port: SerialPort | None = None
        self._born = time.monotonic()
        self._seq = 0
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def run(self) -> None:
        """Listen for ever. Raises what the callbacks raise; with `once`, PortError, PortBusyError
        or NoAnswerError.
        """
        backoff = Backoff(*RETRY_S)
        told = ""
        while True:
            # The port's callbacks only queue, so an error in ours ends this coroutine.
            events: asyncio.Queue[bytes | str] = asyncio.Queue()
            try:
                self._port = SerialPort(
                    self.device, self._baud, events.put_nowait, events.put_nowait
                )
            except LinkError as error:
                if self._once:
                    raise refused(self.device, error) from error
                if str(error) != told:
                    told = str(error)
                    self._noted(f"{self.device} {error}; waiting")
                await asyncio.sleep(backoff.delay_s())
                continue
            told, begun = "", time.monotonic()
            self._noted(f"{self.device} open")
            self.opened.set()
            try:
                reason = await self._listen(events)
            finally:
                self.opened.clear()
                self._port.close()
                self._port = None
            if self._once:
                raise NoAnswerError(f"{self.device}: {reason}")
            self._noted(f"{self.device}: {reason}; waiting for it to come back")
            if time.monotonic() - begun > SETTLED_S:
                backoff.reset()
            await asyncio.sleep(backoff.delay_s())

    async def _listen(self, events: asyncio.Queue[bytes | str]) -> str:
        """Until the port is gone; why."""
        silent = False
        while True:
            try:
                # Not wait_for: on Python 3.11 it can swallow a Ctrl-C that comes with an event.
                async with asyncio.timeout(None if silent else IDLE_S):
                    item = await events.get()
            except TimeoutError:
                if not events.empty():
                    continue  # it was this machine that stood still
                silent = True
                self._idle()
                continue
            if isinstance(item, str):
                self._idle()
                return item
            silent = False
            self._received(item)

    async def ask(self, command: Command, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """The board's `rsp` frame. Raises NoAnswerError."""
        txn = secrets.token_hex(4)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[txn] = future
        try:
            self._send({"t": "cmd", "id": txn, "name": command.name, "args": command.args})
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise NoAnswerError(
                f"{command.name}: no answer within {timeout_s:g} s; does the board run the agent? "
                "./run doctor looks"
            ) from None
        finally:
            del self._waiting[txn]

    def answered(self, frame: dict[str, Any]) -> bool:
        """A `rsp` frame came; whether it answers a command that was asked here."""
        future = self._waiting.get(str(frame.get("id")))
        if future is None or future.done():
            return False
        future.set_result(frame)
        return True

    def _send(self, frame: dict[str, Any]) -> None:
        self._seq += 1
        ms = int((time.monotonic() - self._born) * 1000)
        head = {"t": frame["t"], "boot": 0, "seq": self._seq, "ms": ms, "at": int(time.time())}
        data = frames.encode({**head, **frame})
        if len(data) >= MAX_FRAME_BYTES:
            raise DeviceError(f"a command of {len(data)} bytes is too long for a board")
        if self._port is None or not self._port.write(data):
            why = "is not open" if self._port is None else "does not take any more"
            raise NoAnswerError(f"{self.device} {why}; nothing was sent")
        self._sent(data)


def choose_port(named: str | None, board: Board | None) -> str:
    """As ports.choose; where the bridge holds the port named, with what that means."""
    for holder in ports.holders(named) if named and os.path.exists(named) else []:
        if "host.bridge" in holder.command:
            raise PortBusyError(
                f"{named} is held by the bridge, {holder}; its page shows the board and takes "
                "commands, or stop it, then try again"
            )
    return ports.choose(named, board)


def refused(device: str, error: LinkError) -> DeviceError:
    """The same reason as the tree of device errors has it."""
    kind = PortError if "not there" in str(error) or "not a serial" in str(error) else PortBusyError
    return kind(f"{device} {error}")
