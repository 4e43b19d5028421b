"""Boards that speak over a broker instead of a serial line: the same frames, as MQTT payloads.

    fanwise/<site>/<device>/up     from the board: one or more whole frames, as on a serial line
    fanwise/<site>/<device>/down   to the board: likewise
    fanwise/<site>/<device>/link   retained, and the board's last will: online, offline or lost

A board speaks only for the device its topic names, so the broker's ACL decides who is who. One
connection carries all boards; each is a link of its own, with its own state and limits.
"""

import asyncio
import itertools
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from host.bridge.core import Core
from host.bridge.errors import InvalidFrame
from host.bridge.gateways import Common
from host.bridge.link import SILENT_S, TICK_S, Intake, Link, State
from host.bridge.registry import MAX_DEVICES, Status
from host.bridge.toml_table import Table
from host.bridge.validate import DEVICE
from host.gateways.mqtt_client import QOS, Client, connect, keep_connected, tls_context
from host.gateways.mqtt_settings import Broker, broker

LOG = logging.getLogger("fanwise.mqtt_boards")

THERE = b"online"
GONE = (b"lost", b"offline")
MAX_OUTGOING = 4096
MAX_PAYLOAD_BYTES = 16384
PUBLISHED_AT_ONCE = 256
TURNS = 20


@dataclass(frozen=True)
class MqttBoardsConfig:
    broker: Broker


def configure(table: Table, flags: dict[str, Any], common: Common) -> MqttBoardsConfig | None:
    found = broker(table, None)
    if found is None and not table.has("url"):
        table.problem("url: expected the broker the boards speak to, as in mqtt://127.0.0.1:1883")
    return None if found is None else MqttBoardsConfig(found)


def make(core: Core, settings: MqttBoardsConfig) -> "MqttBoards":
    return MqttBoards(core, settings)


Outgoing = asyncio.Queue[tuple[str, bytes]]


class MqttLink(Link):
    """One board behind the broker."""

    def __init__(
        self, device: str, site: str, keepalive_s: float, intake: Intake, outgoing: Outgoing
    ) -> None:
        super().__init__(f"mqtt:{device}", keepalive_s, intake)
        self.name = device
        self._down = f"fanwise/{site}/{device}/down"
        self._outgoing = outgoing

    def write(self, data: bytes) -> bool:
        if not self.carried:
            return False
        try:
            self._outgoing.put_nowait((self._down, data))
        except asyncio.QueueFull:
            return False
        return True

    def check(self, frame: dict[str, Any]) -> None:
        if frame["t"] == "hello" and frame["dev"] != self.name:
            raise InvalidFrame(f"dev: the topic is {self.name}'s")

    @property
    def carried(self) -> bool:
        """Whether the board is behind the broker, as far as anybody knows."""
        return self.state not in (State.WAITING, State.DISCONNECTED)

    def announced(self) -> None:
        """The broker says the board is there; its hello may be long past, so it is asked again."""
        if not self.carried:
            self.opened()

    def said(self, payload: bytes) -> None:
        """What came on the board's topic."""
        self.announced()
        self.received(payload)

    def tick(self, now: float) -> None:
        super().tick(now)
        if self.state is State.CONNECTING and now - self._heard > SILENT_S:
            # A broker that was killed may remember a board that went away meanwhile.
            self.enter(State.WAITING, "the broker says online, but the board says nothing")


class MqttBoards:
    name = "mqtt_boards"

    def __init__(self, core: Core, config: MqttBoardsConfig) -> None:
        self._core = core
        self._broker = config.broker
        self._tls = tls_context(config.broker)
        self._prefix = f"fanwise/{core.site}/"
        self._topic = re.compile(re.escape(self._prefix) + f"({DEVICE.pattern})/(up|link)")
        self._outgoing: Outgoing = asyncio.Queue(MAX_OUTGOING)
        self._links: dict[str, MqttLink] = {}

    async def start(self) -> None:
        self._core.brokers[self.name] = False

    async def stop(self) -> None:
        self._core.brokers.pop(self.name, None)
        for link in self._links.values():
            self._core.links.remove(link)
            # Or its board would be taken, for good, for one that speaks over this link.
            self._core.registry.status(link.name, Status.DISCONNECTED, link)
        self._links.clear()

    async def run(self) -> None:
        await keep_connected(LOG, self._broker, self._connect, self._session, works=self._works)

    def _connect(self) -> Client:
        return connect(
            self._broker,
            self._tls,
            f"fanwise-{self._core.site}-boards",
            max_incoming=1,
            max_calls=2 * PUBLISHED_AT_ONCE,
        )

    async def _session(self, client: Client, settled: Callable[[], None]) -> None:
        client.handle = self._message
        # Boards repeat what is not acknowledged, so nothing is lost without the broker's help.
        await client.subscribe([(f"{self._prefix}+/up", 0), (f"{self._prefix}+/link", QOS)])
        settled()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())
            for _ in range(4):
                tasks.create_task(self._send(client))

    def _message(self, topic: str, payload: bytes, retained: bool) -> None:
        found = self._topic.fullmatch(topic)
        if not found or len(payload) > MAX_PAYLOAD_BYTES:
            return
        device, kind = found.groups()
        link = self._link(device)
        if link is None:
            return
        if kind == "up" and not retained:
            link.said(payload)
        elif kind == "link" and payload == THERE:
            link.announced()
        elif kind == "link" and payload in GONE and link.state is not State.WAITING:
            link.enter(State.DISCONNECTED, f"the broker says {payload.decode()}")

    async def _tick(self) -> None:
        """Each link once a second; thousands in turns, or messages would wait for all of them."""
        while True:
            for turn in range(TURNS):
                await asyncio.sleep(min(TICK_S, self._core.keepalive_s) / TURNS)
                now = time.monotonic()
                for link in itertools.islice(self._links.values(), turn, None, TURNS):
                    if link.carried:
                        link.tick(now)

    async def _send(self, client: Client) -> None:
        """At most once: boards repeat what is not acknowledged, and commands time out."""
        while True:
            topic, data = await self._outgoing.get()
            await client.hand_over(topic, data, 0)

    def _link(self, device: str) -> MqttLink | None:
        link = self._links.get(device)
        if link is None and len(self._links) < MAX_DEVICES:
            core = self._core
            link = MqttLink(device, core.site, core.keepalive_s, core.intake, self._outgoing)
            self._links[device] = link
            core.links.append(link)
        return link

    def _works(self, works: bool) -> None:
        if self.name in self._core.brokers:
            self._core.brokers[self.name] = works
        if works:
            return
        while not self._outgoing.empty():
            self._outgoing.get_nowait()
        for link in self._links.values():
            if link.carried:
                link.enter(State.DISCONNECTED, "the broker is not reachable")
