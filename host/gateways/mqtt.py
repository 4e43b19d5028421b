"""The MQTT gateway: status and state retained, records from the store at least once, commands in.

Store and forward: a cursor in the store names the last record the broker confirmed (QoS 1). While
the broker is away records wait in the store, and are delivered from the cursor afterwards. Retained
messages are published anew after every connect, because a broker may have lost them.
"""

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import aiomqtt

from host.bridge.core import Core
from host.bridge.hub import BoardChanged, Reading, Resync, Stored, Subscription
from host.bridge.records import Record
from host.bridge.registry import Board
from host.bridge.users import Who
from host.gateways import payloads
from host.gateways.delivery import AT_ONCE, Delivery
from host.gateways.embedded_broker import EmbeddedBroker
from host.gateways.home_assistant import config_topic, discovery
from host.gateways.mqtt_client import QOS, Client, connect, keep_connected, tls_context
from host.gateways.mqtt_settings import MqttConfig, configure
from host.gateways.topics import HA_STATUS, Topics

__all__ = ["MqttGateway", "configure", "make"]
LOG = logging.getLogger("fanwise.mqtt")

MAX_COMMAND_BYTES = 2048
MAX_INCOMING = 100
# A board's state goes out at once, and no more often than this.
STATE_EVERY_S = 0.5
# What comes within it goes out together: a fleet's states then cost half as much.
GATHER_S = 0.003
BOARDS_AT_ONCE = 64
# States handed to the broker together: as many as it takes within about this time.
STATES_AT_FIRST = 8
CONFIRMED_S = 1.0
ANSWERS_AT_ONCE = 128
GOODBYE_S = 0.8
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class MqttGateway:
    name = "mqtt"

    def __init__(self, core: Core, config: MqttConfig) -> None:
        self._core = core
        self._config = config
        self._broker = config.broker
        self._topics = Topics(core.site)
        self._delivery = Delivery(core, f"mqtt:{core.site}")
        self._who = Who("mqtt", config.role, "mqtt")
        self._embedded = EmbeddedBroker(config.broker.port) if config.embedded else None
        self._tls = tls_context(config.broker)
        self._client: Client | None = None
        self._stopping = False
        # Boards with something new to say, oldest first.
        self._announce: dict[str, None] = {}
        self._dirty: dict[str, None] = {}
        self._news = asyncio.Event()
        # Boards whose state just went out, and whether there is a newer one.
        self._resting: dict[str, bool] = {}
        # What each retained topic says on this connection, as a hash.
        self._said: dict[str, int] = {}

    async def start(self) -> None:
        """Raises PortInUse, StartError."""
        self._core.brokers[self.name] = False
        if self._embedded:
            self._broker = replace(self._broker, port=await self._embedded.start())

    async def run(self) -> None:
        await keep_connected(
            LOG,
            self._broker,
            self._connect,
            self._session,
            works=self._works,
            quiet=lambda: self._stopping,
        )

    async def stop(self) -> None:
        """Say goodbye on a living connection: boards and bridge `offline`, retained."""
        self._stopping = True
        self._delivery.close()
        self._core.brokers.pop(self.name, None)
        client = self._client
        if client:
            try:
                async with asyncio.timeout(GOODBYE_S):
                    boards = list(self._core.registry.boards)
                    await _each(boards, lambda device: self._status(client, device, "offline"))
                    await self._publish(client, self._topics.bridge_status, "offline", True)
                    client.says_goodbye = True
            except (aiomqtt.MqttError, TimeoutError):
                pass  # the last will says `lost` instead
        if self._embedded:
            await asyncio.sleep(0.05)
            await self._embedded.stop()

    def _connect(self) -> Client:
        return connect(
            self._broker,
            self._tls,
            f"fanwise-{self._core.site}-bridge",
            will=aiomqtt.Will(self._topics.bridge_status, "lost", QOS, True),
            max_incoming=MAX_INCOMING,
            max_calls=2 * (AT_ONCE + BOARDS_AT_ONCE),
        )

    def _works(self, works: bool) -> None:
        if self.name in self._core.brokers:
            self._core.brokers[self.name] = works

    async def _session(self, client: Client, settled: Callable[[], None]) -> None:
        """Everything on one connection, until it ends."""
        with self._core.hub.subscribe() as subscription:
            self._say_all_again()
            await client.subscribe(self._topics.commands, QOS)
            await client.subscribe(HA_STATUS, QOS)
            if self._stopping:
                return  # or the bridge would say that it is online as it goes
            self._client = client
            client.says_goodbye = False
            try:
                await self._publish(client, self._topics.bridge_status, "online", True)
                settled()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._watch(subscription))
                    tasks.create_task(self._retained(client))
                    tasks.create_task(self._delivery.run(partial(self._send, client)))
                    tasks.create_task(self._listen(client, tasks))
            finally:
                self._client = None

    # -- retained ------------------------------------------------------------------------------

    def _say_all_again(self) -> None:
        """The broker may know nothing of what was said before."""
        self._said.clear()
        self._resting.clear()
        self._announce = dict.fromkeys(self._core.registry.boards)
        self._dirty = dict.fromkeys(self._core.registry.boards)
        self._news.set()

    async def _watch(self, subscription: Subscription) -> None:
        while True:
            for happened in await subscription.get_all():
                match happened:
                    case Reading(device):
                        self._changed(device)
                    case Stored(record):
                        self._changed(record.device)
                    case BoardChanged(device):
                        self._announce[device] = None
                    case Resync():
                        for device in self._core.registry.boards:
                            self._changed(device)
            self._news.set()

    def _changed(self, device: str) -> None:
        if device in self._resting:
            self._resting[device] = True
        else:
            self._dirty[device] = None

    def _rested(self, device: str) -> None:
        if self._resting.pop(device, False):
            self._dirty[device] = None
            self._news.set()

    async def _retained(self, client: Client) -> None:
        """What is now, however slow the broker is: the latest wins."""
        boards, loop = self._core.registry.boards, asyncio.get_running_loop()
        at_once = STATES_AT_FIRST
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER_S)
            changed = _take(self._announce, BOARDS_AT_ONCE)
            await _each(changed, lambda device: self._announced(client, boards[device]))
            ready = _take(self._dirty, at_once)
            for device in ready:
                self._resting[device] = False
                loop.call_later(STATE_EVERY_S, self._rested, device)
            begun = loop.time()
            await client.hand_over_latest(self._states(boards[device] for device in ready))
            # Confirmed, not written: what lies in the system's buffers is not what is now.
            quick = loop.time() - begun < CONFIRMED_S
            at_once = min(BOARDS_AT_ONCE, 2 * at_once) if quick else max(1, at_once // 2)
            if not self._announce and not self._dirty:
                self._news.clear()

    async def _announced(self, client: Client, board: Board) -> None:
        """Status, birth and discovery, each only if it changed on this connection."""
        if self._stopping:
            return
        await self._status(client, board.device, board.status.value)
        if not board.hello:
            return
        payload = discovery(self._topics, board)
        site, prefix = self._core.site, self._config.discovery_prefix
        await self._retain(client, self._topics.device(board.device, "birth"), board.hello)
        await self._retain(client, config_topic(prefix, site, board.device), payload)
        if board.decision and self._topics.device(board.device, "explanation") not in self._said:
            await self._explain(client, board.decision)

    async def _status(self, client: Client, device: str, status: str) -> None:
        await self._retain(client, self._topics.device(device, "status"), status)

    def _states(self, boards: Iterable[Board]) -> list[tuple[str, bytes]]:
        """Topics and payloads of the states that differ from what was said."""
        found = []
        for board in boards:
            topic = self._topics.device(board.device, "state")
            text = _json(payloads.state(board)) if board.tel else ""
            if text and self._said.get(topic) != hash(text):
                self._said[topic] = hash(text)
                found.append((topic, text.encode()))
        return found

    async def _explain(self, client: Client, record: Record) -> None:
        payload = payloads.explanation(record)
        if payload:
            await self._retain(client, self._topics.device(record.device, "explanation"), payload)

    async def _retain(self, client: Client, topic: str, payload: Any) -> None:
        text = payload if isinstance(payload, str) else _json(payload)
        said = hash(text)
        if self._said.get(topic) != said:
            self._said[topic] = said
            await self._publish(client, topic, text, True)

    async def _publish(self, client: Client, topic: str, text: str, retain: bool) -> None:
        """Returns once the broker confirmed it."""
        await client.hand_over(topic, text.encode(), QOS, retain)

    # -- from the store ---------------------------------------------------------------------

    async def _send(self, client: Client, batch: list[Record]) -> None:
        """Returns when the broker has the whole batch."""
        await asyncio.gather(*(self._event(client, record) for record in batch))
        newest = {r.device: r for r in batch if r.body.get("phi")}
        await asyncio.gather(*(self._explain(client, record) for record in newest.values()))

    async def _event(self, client: Client, record: Record) -> None:
        name = "event/decision" if record.kind == "dec" else "event/alarm"
        text = _json({**record.body, "dev": record.device})
        await self._publish(client, self._topics.device(record.device, name), text, False)

    # -- commands ------------------------------------------------------------------------------

    async def _listen(self, client: Client, tasks: asyncio.TaskGroup) -> None:
        room = asyncio.Semaphore(ANSWERS_AT_ONCE)
        async for message in client.messages:
            topic = message.topic.value
            payload = message.payload if isinstance(message.payload, bytes) else b""
            if topic == HA_STATUS:
                if payload == b"online" and not message.retain:
                    # Home Assistant started anew and asks for everything again.
                    self._say_all_again()
                continue
            device = self._topics.commanded(topic)
            # A retained request would be carried out again at every connect.
            if device in self._core.registry.boards and not message.retain:
                await room.acquire()
                answering = tasks.create_task(self._command(client, str(device), payload))
                answering.add_done_callback(lambda _: room.release())

    async def _command(self, client: Client, device: str, payload: bytes) -> None:
        answer: dict[str, Any]
        try:
            asked = json.loads(payload) if len(payload) <= MAX_COMMAND_BYTES else None
        except (ValueError, RecursionError):
            asked = None
        if isinstance(asked, dict):
            name, args, txn = asked.get("name"), asked.get("args"), asked.get("id")
            answer = await self._core.commands.request(device, name, args, self._who, txn)
        else:
            answer = {"id": None, "ok": False, "msg": 'expected {"id":..., "name":..., "args":{}}'}
        topic = self._topics.device(device, "rsp")
        await self._publish(client, topic, _json(answer), False)


def _take(waiting: dict[str, None], most: int) -> list[str]:
    """Take out the first."""
    taken = list(itertools.islice(waiting, most))
    for device in taken:
        del waiting[device]
    return taken


async def _each(devices: list[str], work: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    for start in range(0, len(devices), BOARDS_AT_ONCE):
        part = devices[start : start + BOARDS_AT_ONCE]
        await asyncio.gather(*(work(device) for device in part))


def make(core: Core, settings: MqttConfig) -> MqttGateway:
    return MqttGateway(core, settings)
