"""A look at a board through its port, as gently as it goes.

1. Listen. A board that speaks is not disturbed by that.
2. Ask who it is, with a frame that anything but an agent takes for text.
3. Only if no frame came: a carriage return and Ctrl-B, which stop nothing; at a prompt they bring
   MicroPython's banner, and there the names in the root directory are asked for.
4. Only if a restart was asked for: by command, at the prompt, or by the reset line; then listen to
   how it starts. The USB of some chips goes away meanwhile, and is opened again.
"""

from __future__ import annotations

import ast
import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.communication import frames
from host.bridge.errors import LinkError
from host.bridge.serial_port import SerialPort
from host.bridge.validate import FROM_HOST
from host.devices.doctoring.agent import SETTLED_MS
from host.devices.monitoring.session import refused

LISTEN_S = 3.0
ANSWER_S = 3.0
# More of it where frames have come: an agent runs, and may have a lot to do.
AGENT_S = 10.0
PROMPT_S = 1.0
# What is wrong with its settings and models follows a hello.
TROUBLES_S = 0.3
START_S = 12.0
SETTLE_S = 8.0
RESET_S = 0.1
REOPEN_S = 0.25
KEPT_BYTES = 200_000
CALM = b"\r\x02"
LIST = b"import os;print('files:',os.listdir('/'))\r"
LISTED = re.compile(r"^files: (\[.*\])\s*$", re.MULTILINE)
RESTART = b"import machine;machine.reset()\r"
PROMPT = ">>>"


@dataclass
class Seen:
    """What came; `text` is all that was no frame, `gone` why the port went away, if it did."""

    text: str = ""
    frames: list[dict[str, Any]] = field(default_factory=list)
    hello_at_s: float | None = None
    files: list[str] | None = None
    listened_s: float = 0.0
    restarted: bool = False
    cannot_restart: str = ""
    gone: str = ""


def look(
    device: str,
    baud: int = 115200,
    listen_s: float = LISTEN_S,
    restart: bool = False,
) -> Seen:
    """Raises PortError or PortBusyError. A port that goes away meanwhile ends the look early."""
    return asyncio.run(_Look(device, baud).run(listen_s, restart))


class _Look:
    def __init__(self, device: str, baud: int) -> None:
        self._device = device
        self._baud = baud
        self._decoder = frames.Decoder()
        self._text = b""
        self._seen = Seen()
        self._port: SerialPort | None = None
        self._news = asyncio.Event()
        self._seq = self._answered = 0

    async def run(self, listen_s: float, restart: bool) -> Seen:
        try:
            self._open()
        except LinkError as error:
            raise refused(self._device, error) from error
        begun = time.monotonic()
        try:
            await self._until(lambda: False, listen_s)
            await self._ask()
            if restart:
                begun = time.monotonic()
                await self._restart()
        finally:
            if self._port:
                self._port.close()
        self._take(self._decoder.flush())
        self._seen.text = self._words()
        self._seen.listened_s = time.monotonic() - begun
        return self._seen

    def _open(self) -> None:
        self._port = SerialPort(self._device, self._baud, self._received, self._ended)
        self._seen.gone = ""

    async def _ask(self) -> None:
        self._send("rebirth")
        if await self._until(self._has_answered, ANSWER_S) or (
            self._seen.frames and await self._until(self._has_answered, AGENT_S)
        ):
            await self._until(lambda: False, TROUBLES_S)
            return
        self._write(CALM)
        if await self._until(self._at_prompt, PROMPT_S):
            self._seen.frames = []  # from before the program was stopped
            self._write(LIST)
            await self._until(lambda: LISTED.search(self._words()) is not None, PROMPT_S)
            self._seen.files = _names(self._words())

    async def _restart(self) -> None:
        runs, at_prompt = self._has_answered(), self._at_prompt()
        self._seen.frames, self._seen.hello_at_s, self._seen.files = [], None, None
        self._text = b""
        if runs:
            self._send("reboot")
        elif at_prompt:
            self._write(RESTART)
        elif port := self._port:
            try:
                port.hold_in_reset(True)
                await asyncio.sleep(RESET_S)
                port.hold_in_reset(False)
            except OSError:
                self._seen.cannot_restart = "the port has no reset line; press EN on the board"
        self._seen.restarted = not self._seen.cannot_restart
        if not await self._until(lambda: self._seen.hello_at_s is not None, START_S):
            await self._come_back()
        if self._seen.hello_at_s is not None:
            await self._until(self._settled, SETTLE_S)
        await self._ask()

    async def _come_back(self) -> None:
        end = time.monotonic() + START_S
        while self._port is None and time.monotonic() < end:
            await asyncio.sleep(REOPEN_S)
            try:
                self._open()
            except LinkError:
                continue
            await self._until(lambda: self._seen.hello_at_s is not None, START_S)

    def _write(self, data: bytes) -> None:
        if self._port:
            self._port.write(data)

    def _send(self, name: str) -> None:
        self._seq += 1
        head = {"t": "cmd", "boot": 0, "seq": self._seq, "ms": 0, "at": int(time.time())}
        self._write(frames.encode({**head, "id": self._id(), "name": name, "args": {}}))

    def _id(self) -> str:
        return f"doctor-{self._seq}"

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while not condition() and self._port:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass
        return condition()

    def _received(self, data: bytes) -> None:
        self._take(self._decoder.feed(data))
        self._news.set()

    def _take(self, events: list[Any]) -> None:
        for kind, *rest in events:
            if kind == frames.TEXT:
                self._text = (self._text + rest[0])[-KEPT_BYTES:]
            elif rest[0]["t"] not in FROM_HOST:
                self._seen.frames.append(rest[0])
                if rest[0]["t"] == "hello":
                    self._seen.hello_at_s = time.time()
                elif rest[0]["t"] == "rsp" and rest[0].get("id") == self._id():
                    self._answered = self._seq

    def _ended(self, reason: str) -> None:
        self._port = None
        self._seen.gone = reason
        self._news.set()

    def _has_answered(self) -> bool:
        return self._answered == self._seq

    def _words(self) -> str:
        return self._text.decode("utf-8", "replace")

    def _settled(self) -> bool:
        ms = self._seen.frames[-1].get("ms")
        return isinstance(ms, int) and ms > SETTLED_MS

    def _at_prompt(self) -> bool:
        return self._words().rstrip().endswith(PROMPT)


def _names(text: str) -> list[str] | None:
    found = LISTED.search(text)
    try:
        names = ast.literal_eval(found[1]) if found else None
    except (ValueError, SyntaxError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None
