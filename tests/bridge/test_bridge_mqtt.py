"""The MQTT gateway against a real mosquitto and the embedded broker."""

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from host.bridge.hub import Hub
from host.bridge.records import Record
from host.bridge.registry import Registry
from host.gateways import embedded_broker, payloads
from host.gateways.home_assistant import discovery
from host.gateways.topics import Topics
from tests.bridge.conftest import Bridge, eventually, free_port
from tests.bridge.fake_board import FakeBoard, decision
from tests.bridge.mosquitto import Mosquitto, needs_mosquitto
from tests.bridge.proxy import Network, Proxy
from tests.bridge.receivers import Listener


@pytest.fixture
def proxy(mosquitto: Mosquitto) -> Iterator[Proxy]:
    made = Proxy(mosquitto.port)
    yield made
    made.close()


BOX = "fanwise/home/box-one"
RETAINED = {
    "fanwise/home/bridge/status",
    f"{BOX}/status",
    f"{BOX}/birth",
    f"{BOX}/state",
    f"{BOX}/explanation",
    "homeassistant/device/fanwise_home_box-one/config",
}


MISSED = set(range(2, 32))


def start(bridge: Bridge, board: FakeBoard, broker: Mosquitto | Proxy) -> None:
    bridge.start("--port", str(board.path), "--broker", f"mqtt://127.0.0.1:{broker.port}")
    eventually(lambda: bridge.status("box-one") == "online")


@needs_mosquitto
def test_topics_and_goodbye(
    bridge: Bridge, board: FakeBoard, mosquitto: Mosquitto, listen: Callable[[int], Listener]
) -> None:
    early = listen(mosquitto.port)
    start(bridge, board, mosquitto)
    board.tel()
    made = board.decide()
    board.durable("alarm", kind="fan", on=1, why="Fan stands still", val=0)
    eventually(lambda: early.of(f"{BOX}/event/alarm") and early.of(f"{BOX}/event/decision"))
    assert early.of(f"{BOX}/event/decision") == [{**made, "dev": "box-one"}]
    eventually(lambda: {topic for topic, _ in list(early.all)} >= RETAINED)
    late = listen(mosquitto.port)
    eventually(lambda: set(late.retained) == RETAINED)
    state = json.loads(late.retained[f"{BOX}/state"])
    assert (state["case_c"], state["power_w"], state["fan"]) == (44.31, 5.12, "OFF")
    explained = json.loads(late.retained[f"{BOX}/explanation"])
    assert explained["top"][0] == "power_mw +0.82 K"
    assert explained["phi"] == made["phi"]
    assert late.retained[f"{BOX}/status"] == "online"
    bridge.stop()
    eventually(lambda: early.last("fanwise/home/bridge/status") in ("offline", "lost"))
    while early.last("fanwise/home/bridge/status") == "lost":
        # A broker that stands still for as long as a goodbye may take gets none: once more.
        start(bridge, board, mosquitto)
        eventually(lambda: early.last(f"{BOX}/status") == "online")
        bridge.stop()
        eventually(lambda: early.last("fanwise/home/bridge/status") != "online")
    assert early.last(f"{BOX}/status") == "offline"


@needs_mosquitto
def test_last_will(
    bridge: Bridge, board: FakeBoard, mosquitto: Mosquitto, listen: Callable[[int], Listener]
) -> None:
    listener = listen(mosquitto.port)
    start(bridge, board, mosquitto)
    eventually(lambda: listener.last("fanwise/home/bridge/status") == "online")
    bridge.kill()
    eventually(lambda: listener.last("fanwise/home/bridge/status") == "lost")


@needs_mosquitto
def test_broker_restarted_empty(
    bridge: Bridge,
    board: FakeBoard,
    mosquitto: Mosquitto,
    proxy: Proxy,
    listen: Callable[[int], Listener],
) -> None:
    """Retained messages come back by themselves, and no decision is missed."""
    start(bridge, board, proxy)
    board.tel()
    listener = listen(mosquitto.port)
    board.decide()
    eventually(lambda: len(listener.of(f"{BOX}/event/decision")) == 1)
    eventually(lambda: bridge.delivered("mqtt:home"))
    proxy.network = Network.REFUSES
    mosquitto.kill()
    for _ in range(30):
        board.decide()
    eventually(lambda: len(board.acked) == 31)
    # Who is late for the delivery misses it: the empty broker keeps no events for them.
    mosquitto.start()
    back = listen(mosquitto.port)
    proxy.network = Network.PASSES
    eventually(lambda: {e["seq"] for e in back.of(f"{BOX}/event/decision")} == MISSED)
    eventually(lambda: {topic for topic, _ in back.all} >= RETAINED)
    again = listen(mosquitto.port)
    eventually(lambda: set(again.retained) == RETAINED)


@needs_mosquitto
def test_records_stored_while_the_gateway_was_off_are_delivered(
    bridge: Bridge, board: FakeBoard, mosquitto: Mosquitto, listen: Callable[[int], Listener]
) -> None:
    bridge.start("--port", str(board.path))
    for _ in range(5):
        board.decide()
    eventually(lambda: len(board.acked) == 5)
    bridge.stop()
    listener = listen(mosquitto.port)
    start(bridge, board, mosquitto)
    eventually(lambda: len(listener.of(f"{BOX}/event/decision")) == 5)
    # Stopped before it has noted the last one it would send it again, as it may.
    eventually(lambda: bridge.delivered("mqtt:home"))
    bridge.stop()
    start(bridge, board, mosquitto)
    board.decide()
    eventually(lambda: len(listener.of(f"{BOX}/event/decision")) == 6)
    time.sleep(0.3)
    assert [each["seq"] for each in listener.of(f"{BOX}/event/decision")][-1] == 6
    assert len(listener.of(f"{BOX}/event/decision")) == 6


@needs_mosquitto
def test_home_assistant_birth_brings_everything_again(
    bridge: Bridge, board: FakeBoard, mosquitto: Mosquitto, listen: Callable[[int], Listener]
) -> None:
    listener = listen(mosquitto.port)
    start(bridge, board, mosquitto)
    board.tel()
    config = "homeassistant/device/fanwise_home_box-one/config"
    eventually(lambda: listener.of(config))
    eventually(lambda: listener.of(f"{BOX}/state"))
    before = len(listener.of(config)), len(listener.of(f"{BOX}/state"))
    listener.publish("homeassistant/status", "online")
    eventually(lambda: len(listener.of(config)) > before[0])
    eventually(lambda: len(listener.of(f"{BOX}/state")) > before[1])


COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ('{"id":"a1","name":"auto","args":{}}', {"id": "a1", "ok": True}),
    ('{"id":"a2","name":"auto"}', {"id": "a2", "ok": True}),
    ('{"id":"a3","name":"sing"}', {"id": "a3", "ok": False}),
    ('{"id":"a4","name":"override","args":{"fan":1}}', {"id": "a4", "ok": False}),
    ('{"id":"a5","name":"set_limit","args":{"limit_mc":1e99}}', {"id": "a5", "ok": False}),
    ('{"id":"' + "x" * 33 + '","name":"auto"}', {"id": "", "ok": False}),
    ("[" * 2000, {"id": None, "ok": False}),
    ('{"id":' * 9, {"id": None, "ok": False}),
    ("\x00\x01", {"id": None, "ok": False}),
]


@needs_mosquitto
def test_commands(
    bridge: Bridge, board: FakeBoard, mosquitto: Mosquitto, listen: Callable[[int], Listener]
) -> None:
    listener = listen(mosquitto.port)
    # A request somebody left retained must not be carried out at every start.
    listener.publish(f"{BOX}/cmd", '{"id":"r","name":"reboot","args":{}}', retain=True)
    start(bridge, board, mosquitto)
    eventually(lambda: listener.last(f"{BOX}/status") == "online")
    for count, (payload, answer) in enumerate(COMMANDS, 1):
        listener.publish(f"{BOX}/cmd", payload)
        eventually(lambda count=count: len(listener.of(f"{BOX}/rsp")) == count, what=payload)
        assert listener.of(f"{BOX}/rsp")[-1].items() >= answer.items()
    # The same id again gets the first answer and does not act again.
    listener.publish(f"{BOX}/cmd", COMMANDS[0][0])
    eventually(lambda: len(listener.of(f"{BOX}/rsp")) == len(COMMANDS) + 1)
    assert len(board.commands("auto")) == 2
    assert board.commands("reboot") == []


def test_embedded_broker(
    bridge: Bridge, board: FakeBoard, listen: Callable[[int], Listener]
) -> None:
    port = free_port()
    bridge.start("--port", str(board.path), "--embedded-broker", "--embedded-port", str(port))
    eventually(lambda: bridge.status("box-one") == "online")
    board.tel()
    board.decide()
    listener = listen(port)
    eventually(lambda: {topic for topic, _ in list(listener.all)} >= RETAINED)
    late = listen(port)
    eventually(lambda: late.retained.keys() >= RETAINED)
    board.decide()
    eventually(lambda: {e["seq"] for e in listener.of(f"{BOX}/event/decision")} >= {2})
    listener.publish(f"{BOX}/cmd", '{"id":"e1","name":"ping"}')
    eventually(lambda: listener.of(f"{BOX}/rsp") == [{"id": "e1", "ok": True}])
    sockets = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, check=False).stdout
    if sockets:
        assert f"127.0.0.1:{port}" in sockets
        assert f"0.0.0.0:{port}" not in sockets
    bridge.stop()
    assert "amqtt" not in bridge.log.read_text()


def test_any_free_port_is_another_one_if_somebody_is_quicker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as quicker:
        looks = iter([quicker.dup()])
        look = embedded_broker.listen
        monkeypatch.setattr(
            embedded_broker, "listen", lambda *where: next(looks, None) or look(*where)
        )

        async def scenario() -> int:
            broker = embedded_broker.EmbeddedBroker(0)
            port = await broker.start()
            await broker.stop()
            return port

        assert asyncio.run(scenario()) != quicker.getsockname()[1]


def test_discovery_payload() -> None:
    registry = Registry(Hub())
    registry.claim("box-one", "link")
    registry.hello("box-one", {"dev": "box-one", "board": "esp32", "fw": "0.1.0", "boot": 1})
    tel = {"boot": 1, "seq": 1, "ms": 0, "case_mc": 44310, "fan": 1, "anom": 0, "power_mw": 5120}
    registry.telemetry("box-one", tel)
    registry.stored(Record(1, "box-one", 1, 1, "dec", 0, decision()))
    board = registry.boards["box-one"]
    payload = discovery(Topics("home"), board)
    assert payload["device"]["identifiers"] == ["fanwise_home_box-one"]
    assert payload["origin"]["name"]
    assert [a["topic"] for a in payload["availability"]] == [
        "fanwise/home/bridge/status", f"{BOX}/status",
    ]  # fmt: skip
    components = payload["components"]
    unique = [c["unique_id"] for c in components.values()]
    assert len(set(unique)) == len(unique)
    assert components["case"]["device_class"] == "temperature"
    assert components["case"]["unit_of_measurement"] == "°C"
    assert components["anomaly"]["device_class"] == "problem"
    assert {c["platform"] for c in components.values()} == {
        "sensor", "binary_sensor", "switch", "button",
    }  # fmt: skip
    for component in components.values():
        assert ("expire_after" in component) == component["platform"].endswith("sensor")
    state = payloads.state(board)
    for component in components.values():
        template = component.get("value_template", "")
        for word in template.replace("(", " ").replace("}", " ").split():
            if word.startswith("value_json."):
                assert word.removeprefix("value_json.").split(")")[0] in state
        for key in ("payload_press", "payload_on", "payload_off"):
            if key in component:
                assert json.loads(component[key])["name"] in ("override", "auto")
        if component["platform"] in ("button", "switch"):
            assert component["command_topic"] == f"{BOX}/cmd"
    assert len(json.dumps(payload)) < 8192
