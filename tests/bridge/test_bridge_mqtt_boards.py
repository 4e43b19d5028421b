"""Boards that speak over a real mosquitto: the same frames, the same promises as on a line."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.communication import frames
from host.bridge import link as link_module
from host.bridge.hub import Hub
from host.bridge.link import OVERSLEPT_S, SILENT_S, TELEMETRY_BURST, Intake, Link, State
from host.bridge.registry import Registry
from host.bridge.store import Store
from host.bridge.store_settings import StoreConfig
from host.bridge.writer import Writer
from host.gateways.mqtt_boards import MqttLink, Outgoing
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import decision
from tests.bridge.mosquitto import Mosquitto, needs_mosquitto


class MqttBoard:
    """A scripted board behind a broker; repeats what is not acknowledged when asked to."""

    def __init__(self, port: int, device: str, says: str | None = None) -> None:
        self.device, self.says = device, says or device
        self.acked: set[tuple[int, int]] = set()
        self.received: list[dict[str, Any]] = []
        self.queue: list[dict[str, Any]] = []
        self._seq = 0
        self._decoder = frames.Decoder()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.will_set(f"fanwise/home/{device}/link", "lost", 1, True)
        self._client.on_message = self._message
        self._client.on_connect = self._connected
        self.acknowledged_by_broker = 0
        self._client.on_publish = self._published
        self._client.reconnect_delay_set(1, 1)
        eventually(lambda: self._try(port))
        self._client.loop_start()

    def _try(self, port: int) -> bool:
        try:
            self._client.connect("127.0.0.1", port, keepalive=60)
        except OSError:
            return False
        return True

    def _connected(self, client: paho.Client, *_: object) -> None:
        client.subscribe(f"fanwise/home/{self.device}/down", 1)
        client.publish(f"fanwise/home/{self.device}/link", "online", 1, True)
        self.hello()

    def hello(self) -> None:
        self.send("hello", dev=self.says, fw="0.1.0", board="mqtt", models={}, feat=[])

    def _published(self, *_: object) -> None:
        self.acknowledged_by_broker += 1

    def _message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        for kind, *rest in self._decoder.feed(message.payload):
            if kind == frames.TEXT:
                continue
            self.received.append(rest[0])
            if rest[0]["t"] == "ack":
                self.acked |= {tuple(key) for key in rest[0]["acks"]}
            elif rest[0]["t"] == "cmd":
                if rest[0]["name"] == "rebirth":
                    self.hello()
                self.send("rsp", id=rest[0]["id"], ok=True)

    def send(self, kind: str, /, **members: Any) -> dict[str, Any]:
        self._seq += 1
        frame = {"t": kind, "boot": 4, "seq": self._seq, "ms": self._seq, **members}
        self._publish(frame)
        return frame

    def decide(self, seq: int) -> None:
        frame = {"t": "dec", "boot": 4, "seq": seq, "ms": seq, **decision()}
        self.queue.append(frame)
        self._publish(frame)

    def repeat(self) -> bool:
        """Send again what is not acknowledged; True when there is nothing."""
        self.queue = [f for f in self.queue if (f["boot"], f["seq"]) not in self.acked]
        for frame in self.queue:
            self._publish(frame)
        time.sleep(0.1)
        return not self.queue

    def _publish(self, frame: dict[str, Any]) -> None:
        self._client.publish(f"fanwise/home/{self.device}/up", frames.encode(frame), 1)

    def vanish(self) -> None:
        """Without a goodbye: the broker sends the last will."""
        self._client.loop_stop()
        sock = self._client.socket()
        if sock:
            sock.close()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def start_over_mqtt(bridge: Bridge, mosquitto: Mosquitto) -> Bridge:
    file = bridge.folder / "bridge.toml"
    file.write_text(f"[mqtt_boards]\nurl = 'mqtt://127.0.0.1:{mosquitto.port}'\n")
    return bridge.start("--config", str(file))


@pytest.fixture
def over_mqtt(bridge: Bridge, mosquitto: Mosquitto) -> Bridge:
    return start_over_mqtt(bridge, mosquitto)


@pytest.fixture
def first(over_mqtt: Bridge, mosquitto: Mosquitto) -> Iterator[MqttBoard]:
    board = MqttBoard(mosquitto.port, "cellar-1")
    yield board
    board.close()


@needs_mosquitto
def test_records_commands_and_a_broker_that_dies(
    over_mqtt: Bridge, first: MqttBoard, mosquitto: Mosquitto
) -> None:
    eventually(lambda: over_mqtt.status("cellar-1") == "online")
    for seq in range(1, 21):
        first.decide(seq)
    eventually(first.repeat)
    status, answer = over_mqtt.command("cellar-1", "auto")
    assert (status, answer["ok"]) == (200, True)
    mosquitto.kill()
    eventually(lambda: over_mqtt.status("cellar-1") == "disconnected")
    for seq in range(21, 31):
        first.decide(seq)
    mosquitto.start()
    eventually(lambda: over_mqtt.status("cellar-1") == "online")
    eventually(first.repeat)
    assert over_mqtt.keys("cellar-1") == [(4, n) for n in range(1, 31)]


@needs_mosquitto
def test_a_bridge_that_comes_later_asks_who_is_there(bridge: Bridge, mosquitto: Mosquitto) -> None:
    board = MqttBoard(mosquitto.port, "cellar-1")
    try:
        eventually(lambda: board.acknowledged_by_broker >= 2, what="said hello to nobody")
        start_over_mqtt(bridge, mosquitto)
        eventually(lambda: bridge.status("cellar-1") == "online")
    finally:
        board.close()


@needs_mosquitto
def test_a_board_speaks_only_for_its_topic(over_mqtt: Bridge, mosquitto: Mosquitto) -> None:
    liar = MqttBoard(mosquitto.port, "cellar-2", says="cellar-1")
    try:
        liar.decide(1)
        eventually(lambda: any(each["stats"]["invalid"] for each in links(over_mqtt)))
        assert over_mqtt.board("cellar-1") is None
        assert over_mqtt.keys("cellar-1") == []
    finally:
        liar.close()


@needs_mosquitto
def test_another_address_of_the_broker(
    over_mqtt: Bridge, first: MqttBoard, mosquitto: Mosquitto
) -> None:
    """What a link of before spoke for is free for the one that comes after it."""
    eventually(lambda: over_mqtt.status("cellar-1") == "online")
    settings = over_mqtt.folder / "bridge.toml"
    settings.write_text(f"[mqtt_boards]\nurl = 'mqtt://localhost:{mosquitto.port}'\n")
    assert over_mqtt.process
    os.kill(over_mqtt.process.pid, signal.SIGHUP)
    eventually(lambda: "settings reloaded" in over_mqtt.log.read_text())
    eventually(lambda: over_mqtt.status("cellar-1") == "online")
    assert over_mqtt.command("cellar-1", "auto")[0] == 200


@needs_mosquitto
def test_the_last_will_of_a_board(over_mqtt: Bridge, first: MqttBoard) -> None:
    eventually(lambda: over_mqtt.status("cellar-1") == "online")
    first.vanish()
    eventually(lambda: over_mqtt.status("cellar-1") == "disconnected")


def links(bridge: Bridge) -> list[dict[str, Any]]:
    return bridge.get("/api/boards")["links"]


class Clock:
    """What links take for the time."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(link_module, "time", made)
    return made


def test_sleep_and_silence_by_the_clock(tmp_path: Path, clock: Clock) -> None:
    class Wire(Link):
        def write(self, data: bytes) -> bool:
            return True

    registry = Registry(Hub())
    store = Store(tmp_path / "s.db")
    writer = Writer(store, StoreConfig(), registry.stored)
    link = Wire("wire", 10.0, Intake(writer, registry, lambda *_: None))
    head = {"boot": 1, "ms": 1}
    link.opened()
    link.received(frames.encode({"t": "hello", **head, "seq": 1, "dev": "a"}))
    assert link.state is State.ONLINE
    now = clock.now_s
    link.tick(now + SILENT_S + 1)
    assert link.state is State.LOST
    link.received(frames.encode({"t": "bye", **head, "seq": 2, "sleep_s": 100}))
    link.tick(now + 100 + OVERSLEPT_S - 1)
    assert link.state is State.SLEEPING
    link.tick(now + 100 + OVERSLEPT_S + 1)
    assert link.state is State.LOST
    seen: list[bytes] = []
    link.write = lambda data: not seen.append(data)  # type: ignore[method-assign, func-returns-value]
    link.received(frames.encode({"t": "dec", **head, "seq": 1, **decision()}))
    link.received(frames.encode({"t": "dec", **head, "seq": 3, **decision()}))
    link.tick(now + 200)
    assert sum(b"rebirth" in data for data in seen) == 1, "a gap is asked about, once"
    link.tick(now + 210)
    assert sum(b"rebirth" in data for data in seen) == 1
    for n in range(1000):
        link.received(frames.encode({"t": "tel", **head, "seq": 3 + n, "fan": 1}))
    assert link.stats.throttled == 1000 - TELEMETRY_BURST, "a flood is cut to its rate"
    store.close()


def test_a_board_the_broker_only_remembers(tmp_path: Path, clock: Clock) -> None:
    registry = Registry(Hub())
    store = Store(tmp_path / "s.db")
    writer = Writer(store, StoreConfig(), registry.stored)
    sent: Outgoing = asyncio.Queue()
    link = MqttLink("a", "home", 10.0, Intake(writer, registry, lambda *_: None), sent)
    link.announced()
    now = clock.now_s
    link.tick(now)
    asked = [sent.get_nowait()[1] for _ in range(sent.qsize())]
    assert any(b"rebirth" in data for data in asked)
    link.tick(now + SILENT_S - 1)
    assert link.state is State.CONNECTING
    link.tick(now + SILENT_S + 1)
    assert link.state is State.WAITING, "nobody answered: a killed broker's memory"
    link.said(frames.encode({"t": "hello", "boot": 1, "seq": 1, "ms": 1, "dev": "a"}))
    assert link.state is State.ONLINE
    store.close()
