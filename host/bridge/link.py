"""One board and what is said with it, whatever carries the bytes.

    waiting       what carries it is not there yet, or cannot be opened
    connecting    there, the board has not said who it is
    online        frames come from a known board
    sleeping      the board said it would be silent until a time
    lost          there, but silent for SILENT_S, or longer than it meant to sleep
    duplicate     another link already speaks for this board id
    disconnected  what carried it went away; taken up again after a pause

Durable frames go to the writer and are acknowledged when it says they are on disk. Until the board
is known they are held back, a few of them; the board repeats the rest. One board cannot slow
another: each has its share of the writer's queue, and telemetry beyond a rate is dropped, counted.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agent.communication import frames
from host.bridge import validate
from host.bridge.errors import InvalidFrame
from host.bridge.link_stats import LinkStats
from host.bridge.logs import event
from host.bridge.records import Incoming
from host.bridge.registry import Registry, Status
from host.bridge.writer import Writer

LOG = logging.getLogger("fanwise.link")

SILENT_S = 15.0
TICK_S = 1.0
CLOCK_S = 600.0
# Of the time it may be: thousands that came at once must not all be spoken to at once for ever.
PINGED_AT = (0.6, 1.0)
# A board that is just starting answers late; one that is running within a period.
REBIRTH_S = 3.0
DUPLICATE_RETRY_S = 10.0
GAP_S = 5.0
# A board's clock is no better than this over a sleep.
OVERSLEPT_S = 30.0
HELD_FRAMES = 32
# A board's receive buffer is a few hundred bytes: acknowledgements go in small frames.
ACKS_PER_FRAME = 8
TELEMETRY_PER_S = 100
TELEMETRY_BURST = 400


class State(StrEnum):
    WAITING = "waiting"
    CONNECTING = "connecting"
    ONLINE = "online"
    SLEEPING = "sleeping"
    LOST = "lost"
    DUPLICATE = "duplicate"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True)
class Intake:
    """Where links hand over what boards say."""

    writer: Writer
    registry: Registry
    answered: Callable[[str, dict[str, Any]], None]


STATUSES = (State.ONLINE, State.SLEEPING, State.LOST, State.DISCONNECTED)


class Link:
    """`device` is the board's id once known; `path` names the link to people."""

    def __init__(self, path: str, keepalive_s: float, intake: Intake) -> None:
        self.path = path
        self.state = State.WAITING
        self.detail = ""
        self.device: str | None = None
        self.stats = LinkStats()
        self._keepalive_s = self._quiet_s = keepalive_s
        self._intake = intake
        self._decoder = frames.Decoder()
        self._held: deque[dict[str, Any]] = deque(maxlen=HELD_FRAMES)
        self._seq = 0
        self._born = time.monotonic()
        self._heard = self._said = 0.0
        self._due = {"clock": 0.0, "rebirth": 0.0, "gap": 0.0}
        self._gaps_asked = 0
        self._boot = 0
        self._wakes: float | None = None
        self._credit, self._credited = float(TELEMETRY_BURST), 0.0

    def close(self) -> None:
        """Let go of what carries the bytes."""

    def write(self, data: bytes) -> bool:
        """Hand bytes to what carries them; False if it takes none."""
        raise NotImplementedError

    def check(self, frame: dict[str, Any]) -> None:
        """Refuse frames this kind of link must not carry. Raises InvalidFrame."""

    def send(self, obj: dict[str, Any]) -> bool:
        """Send one frame; False if there is nothing to send it over or the board does not read."""
        self._seq += 1
        now = time.monotonic()
        now_ms = int((now - self._born) * 1000)
        head = {"t": obj["t"], "boot": 0, "seq": self._seq, "ms": now_ms, "at": int(time.time())}
        sent = self.write(frames.encode({**head, **obj}))
        if sent:
            self._said = now
        self.stats.writes_dropped += not sent
        return sent

    # -- coming, going and keeping time --------------------------------------------------------

    def opened(self) -> None:
        """Bytes can be carried from now on."""
        self._decoder = frames.Decoder()
        self._held.clear()
        self.device, self._boot, self._wakes = None, 0, None
        self.stats.connects += 1
        self._heard = self._said = time.monotonic()
        self._due = {"clock": 0.0, "rebirth": 0.0, "gap": 0.0}
        self.enter(State.CONNECTING)

    def tick(self, now: float) -> None:
        """Called each second while bytes can be carried; `now` on the monotonic clock."""
        due = self._due
        if self.state is State.SLEEPING:
            if self._wakes is not None and now > self._wakes:
                self.enter(State.LOST, "slept longer than it said")
            return
        if now >= due["clock"]:
            due["clock"] = now + CLOCK_S * random.uniform(*PINGED_AT)
            self.send({"t": "clock"})
        if now >= due["rebirth"] and self.state in (State.CONNECTING, State.DUPLICATE):
            wait = DUPLICATE_RETRY_S if self.state is State.DUPLICATE else REBIRTH_S
            due["rebirth"] = now + wait
            self._ask_who()
        elif self.stats.missing and now >= due["gap"] and self.state is State.ONLINE:
            # The board repeats what is not acknowledged; a hole that stays is asked about.
            due["gap"] = now + GAP_S
            if self.stats.gaps > self._gaps_asked:
                self._gaps_asked = self.stats.gaps
                self._ask_who()
        elif now - self._said >= self._quiet_s:
            self._quiet_s = self._keepalive_s * random.uniform(*PINGED_AT)
            self.send({"t": "cmd", "id": f"ping-{self._seq}", "name": "ping", "args": {}})
        if now - self._heard > SILENT_S:
            for _, text in self._decoder.flush():
                self.stats.text(text)
            if self.state is State.ONLINE:
                self.enter(State.LOST, f"silent for {SILENT_S:.0f} s")

    def _ask_who(self) -> None:
        self.send({"t": "cmd", "id": f"who-{self._seq}", "name": "rebirth", "args": {}})

    def enter(self, state: State, detail: str = "") -> None:
        if (state, detail) == (self.state, self.detail):
            return
        self.state, self.detail = state, detail
        good = (State.CONNECTING, State.ONLINE, State.SLEEPING)
        level = logging.INFO if state in good else logging.WARNING
        fields = {"port": self.path, "device": self.device or "?"}
        event(LOG, level, f"{state}{': ' + detail if detail else ''}", **fields)
        if self.device and state in STATUSES:
            self._intake.registry.status(self.device, Status(state.value), self)

    # -- receiving -----------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Bytes from the board, in any pieces."""
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
            self.check(frame)
        except InvalidFrame as error:
            self._invalid(obj, str(error))
            return
        if kind == "hello":
            self._hello(frame)
        elif self.device is None:
            if kind in validate.DURABLE and self.state is State.CONNECTING:
                self._held.append(frame)
        elif self.state is not State.DUPLICATE:
            if not self._intake.registry.claim(self.device, self):
                self.enter(State.DUPLICATE, f"{self.device} speaks through another port now")
                return
            self.enter(State.ONLINE)
            if frame["boot"] > self._boot:
                # It restarted and its hello was lost on the way.
                self._boot = frame["boot"]
                self._ask_who()
            self._known(frame)

    def _hello(self, frame: dict[str, Any]) -> None:
        device = frame["dev"]
        if not self._intake.registry.claim(device, self):
            self.device = None
            self._held.clear()
            self.enter(State.DUPLICATE, f"{device} already speaks through another port")
            return
        if self.device not in (None, device):
            self._intake.registry.status(str(self.device), Status.DISCONNECTED, self)
        self.device = device
        self._boot = frame["boot"]
        self.stats.saw_volatile(frame["boot"], frame["seq"])
        self._intake.registry.hello(device, frame)
        boot, seq = frame["boot"], frame["seq"]
        self._intake.writer.add_hello(Incoming(device, boot, seq, frame, time.time()))
        self.enter(State.ONLINE)
        while self._held:
            self._known(self._held.popleft())

    def _known(self, frame: dict[str, Any]) -> None:
        """A checked frame of the board this link speaks for."""
        device = str(self.device)
        kind, boot, seq = frame["t"], frame["boot"], frame["seq"]
        if kind in validate.DURABLE:
            self.stats.saw_durable(boot, seq)
            incoming = Incoming(device, boot, seq, frame, time.time())
            self._intake.writer.add(incoming, self._acknowledge)
            return
        self.stats.saw_volatile(boot, seq)
        if kind == "tel":
            if not self._within_rate():
                self.stats.throttled += 1
                return
            at = self._intake.registry.telemetry(device, frame)
            self._intake.writer.add_telemetry(device, at, frame)
        elif kind == "rsp":
            self._intake.answered(device, frame)
        elif kind == "health":
            self._intake.registry.health(device, frame)
        elif kind == "log":
            event(LOG, logging.INFO, "board says", device=device, msg=frame["msg"])
        elif kind == "bye":
            self._wakes = time.monotonic() + frame["sleep_s"] + OVERSLEPT_S
            self.enter(State.SLEEPING, f"for {frame['sleep_s']} s")

    def _within_rate(self) -> bool:
        """A token bucket: TELEMETRY_PER_S in the long run."""
        since, self._credited = self._heard - self._credited, self._heard
        self._credit = min(TELEMETRY_BURST, self._credit + since * TELEMETRY_PER_S)
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

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
            self._intake.writer.add(incoming, self._acknowledge)

    def _acknowledge(self, keys: list[tuple[int, int]]) -> None:
        for at in range(0, len(keys), ACKS_PER_FRAME):
            self.send({"t": "ack", "acks": [list(key) for key in keys[at : at + ACKS_PER_FRAME]]})
