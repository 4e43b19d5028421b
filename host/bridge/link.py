"""One serial port and the board behind it.

    waiting       the path does not exist yet, or cannot be opened
    connecting    open, the board has not said who it is
    online        frames come from a known board
    lost          open, but silent for SILENT_S
    duplicate     another link already speaks for this board id
    disconnected  the port went away; opened again after a pause

Durable frames go to the writer and are acknowledged when it says they are on disk. Until the board
is known they are held back, a few of them; the board repeats the rest.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from agent.communication import frames
from host.bridge import validate
from host.bridge.backoff import Backoff
from host.bridge.errors import InvalidFrame, LinkError
from host.bridge.link_stats import LinkStats
from host.bridge.logs import event
from host.bridge.records import Incoming
from host.bridge.registry import Registry, Status
from host.bridge.serial_port import SerialPort
from host.bridge.writer import Writer

LOG = logging.getLogger("fanwise.link")

SILENT_S = 15.0
TICK_S = 1.0
CLOCK_S = 600.0
# A board that is just starting answers late; one that is running within a period.
REBIRTH_S = 3.0
DUPLICATE_RETRY_S = 10.0
HELD_FRAMES = 32
# A board's receive buffer is a few hundred bytes: acknowledgements go in small frames.
ACKS_PER_FRAME = 8


class State(StrEnum):
    WAITING = "waiting"
    CONNECTING = "connecting"
    ONLINE = "online"
    LOST = "lost"
    DUPLICATE = "duplicate"
    DISCONNECTED = "disconnected"


class Link:
    """Runs until cancelled. `device` is the board's id once known."""

    def __init__(
        self,
        path: str,
        baud: int,
        keepalive_s: float,
        writer: Writer,
        registry: Registry,
        on_response: Callable[[str, dict[str, Any]], None],
        on_hello: Callable[[str, int, dict[str, Any]], None],
    ) -> None:
        self.path = path
        self.state = State.WAITING
        self.detail = ""
        self.device: str | None = None
        self.stats = LinkStats()
        self._baud = baud
        self._keepalive_s = keepalive_s
        self._writer = writer
        self._registry = registry
        self._on_response = on_response
        self._on_hello = on_hello
        self._port: SerialPort | None = None
        self._decoder = frames.Decoder()
        self._held: deque[dict[str, Any]] = deque(maxlen=HELD_FRAMES)
        self._closed = asyncio.Event()
        self._seq = 0
        self._born = time.monotonic()
        self._heard = self._opened = 0.0
        self._boot = 0

    async def run(self) -> None:
        """Open, serve, and open again, for ever."""
        backoff = Backoff(0.25, 5.0)
        try:
            while True:
                if self._open():
                    await self._serve()
                    # A port that opens and dies at once must not spin.
                    if time.monotonic() - self._opened > 2.0:
                        backoff.reset()
                await asyncio.sleep(backoff.delay_s())
        finally:
            self.close()

    def close(self) -> None:
        if self._port:
            self._port.close()
            self._port = None

    def send(self, obj: dict[str, Any]) -> bool:
        """Send one frame; False if the port is closed or the board does not read."""
        if self._port is None:
            return False
        self._seq += 1
        now_ms = int((time.monotonic() - self._born) * 1000)
        head = {"t": obj["t"], "boot": 0, "seq": self._seq, "ms": now_ms, "at": int(time.time())}
        sent = self._port.write(frames.encode({**head, **obj}))
        self.stats.writes_dropped += not sent
        return sent

    # -- opening and keeping time --------------------------------------------------------------

    def _open(self) -> bool:
        self._closed.clear()
        try:
            self._port = SerialPort(self.path, self._baud, self._received, self._gone)
        except LinkError as error:
            self._enter(State.WAITING, str(error))
            return False
        self._decoder = frames.Decoder()
        self._held.clear()
        self.device, self._boot = None, 0
        self.stats.connects += 1
        self._heard = self._opened = time.monotonic()
        self._enter(State.CONNECTING)
        return True

    async def _serve(self) -> None:
        due = {"clock": 0.0, "ping": time.monotonic() + self._keepalive_s, "rebirth": 0.0}
        while not self._closed.is_set():
            self._tick(time.monotonic(), due)
            tick_s = min(TICK_S, self._keepalive_s)
            try:
                # Not wait_for: on Python 3.11 it can swallow a cancellation that comes with it.
                async with asyncio.timeout(tick_s):
                    await self._closed.wait()
            except TimeoutError:
                pass

    def _tick(self, now: float, due: dict[str, float]) -> None:
        if self._port is None:
            return
        if self.state is not State.ONLINE and self._port.replaced():
            self.close()
            self._gone("replaced by another device")
            return
        if now >= due["clock"]:
            due["clock"] = now + CLOCK_S
            self.send({"t": "clock"})
        if now >= due["rebirth"] and self.state in (State.CONNECTING, State.DUPLICATE):
            wait = DUPLICATE_RETRY_S if self.state is State.DUPLICATE else REBIRTH_S
            due["rebirth"] = now + wait
            self._ask_who()
        elif now >= due["ping"]:
            due["ping"] = now + self._keepalive_s
            self.send({"t": "cmd", "id": f"ping-{self._seq}", "name": "ping", "args": {}})
        if now - self._heard > SILENT_S:
            for _, text in self._decoder.flush():
                self.stats.text(text)
            if self.state is State.ONLINE:
                self._enter(State.LOST, f"silent for {SILENT_S:.0f} s")

    def _ask_who(self) -> None:
        self.send({"t": "cmd", "id": f"who-{self._seq}", "name": "rebirth", "args": {}})

    def _gone(self, reason: str) -> None:
        self._port = None
        self._enter(State.DISCONNECTED, reason)
        self._closed.set()

    def _enter(self, state: State, detail: str = "") -> None:
        if (state, detail) == (self.state, self.detail):
            return
        self.state, self.detail = state, detail
        level = logging.INFO if state in (State.CONNECTING, State.ONLINE) else logging.WARNING
        fields = {"port": self.path, "device": self.device or "?"}
        event(LOG, level, f"{state}{': ' + detail if detail else ''}", **fields)
        if self.device and state in (State.ONLINE, State.LOST, State.DISCONNECTED):
            self._registry.status(self.device, Status(state.value), self)

    # -- receiving -----------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        for kind, *rest in self._decoder.feed(data):
            if kind == frames.TEXT:
                self.stats.text(rest[0])
            else:
                self._frame(rest[0])

    def _frame(self, obj: dict[str, Any]) -> None:
        kind = obj["t"]
        if kind in validate.FROM_HOST:
            return  # the board's console echoes what it is sent
        self.stats.frames += 1
        self._heard = time.monotonic()
        try:
            frame = validate.frame(obj)
        except InvalidFrame as error:
            self._invalid(obj, str(error))
            return
        if kind == "hello":
            self._hello(frame)
        elif self.device is None:
            if kind in validate.DURABLE and self.state is State.CONNECTING:
                self._held.append(frame)
        elif self.state is not State.DUPLICATE:
            if not self._registry.claim(self.device, self):
                self._enter(State.DUPLICATE, f"{self.device} speaks through another port now")
                return
            self._enter(State.ONLINE)
            if frame["boot"] > self._boot:
                # It restarted and its hello was lost on the way.
                self._boot = frame["boot"]
                self._ask_who()
            self._known(frame)

    def _hello(self, frame: dict[str, Any]) -> None:
        device = frame["dev"]
        if not self._registry.claim(device, self):
            self.device = None
            self._held.clear()
            self._enter(State.DUPLICATE, f"{device} already speaks through another port")
            return
        if self.device not in (None, device):
            self._registry.status(str(self.device), Status.DISCONNECTED, self)
        self.device = device
        self._boot = frame["boot"]
        self.stats.saw_volatile(frame["boot"], frame["seq"])
        self._registry.hello(device, frame)
        self._on_hello(device, frame["boot"], frame)
        self._enter(State.ONLINE)
        while self._held:
            self._known(self._held.popleft())

    def _known(self, frame: dict[str, Any]) -> None:
        """A checked frame of the board this link speaks for."""
        device = str(self.device)
        kind, boot, seq = frame["t"], frame["boot"], frame["seq"]
        if kind in validate.DURABLE:
            self.stats.saw_durable(boot, seq)
            incoming = Incoming(device, boot, seq, frame, time.time())
            self._writer.add(incoming, self._acknowledge)
            return
        self.stats.saw_volatile(boot, seq)
        if kind == "tel":
            at = self._registry.telemetry(device, frame)
            self._writer.add_telemetry(device, at, frame)
        elif kind == "rsp":
            self._on_response(device, frame)
        elif kind == "health":
            self._registry.health(device, frame)
        elif kind == "log":
            event(LOG, logging.INFO, "board says", device=device, msg=frame["msg"])

    def _invalid(self, obj: dict[str, Any], reason: str) -> None:
        """Count it. A durable one is set aside and acknowledged: it would block those behind it."""
        self.stats.invalid += 1
        if self.stats.invalid & (self.stats.invalid - 1) == 0:  # 1st, 2nd, 4th, 8th ...
            fields = {"port": self.path, "type": str(obj["t"])[:16], "count": self.stats.invalid}
            event(LOG, logging.WARNING, f"invalid frame: {reason}", **fields)
        boot, seq = obj.get("boot"), obj.get("seq")
        if obj["t"] not in validate.DURABLE or not self.device or self.state is not State.ONLINE:
            return
        if all(type(n) is int and 0 <= n <= validate.INT_MAX for n in (boot, seq)):
            incoming = Incoming(self.device, boot, seq, obj, time.time(), reason)  # type: ignore[arg-type]
            self._writer.add(incoming, self._acknowledge)

    def _acknowledge(self, keys: list[tuple[int, int]]) -> None:
        for at in range(0, len(keys), ACKS_PER_FRAME):
            self.send({"t": "ack", "acks": [list(key) for key in keys[at : at + ACKS_PER_FRAME]]})
