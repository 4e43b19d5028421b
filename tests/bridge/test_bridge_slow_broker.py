"""Brokers that are slow, silent or deaf: nobody waits for them but the records meant for them."""

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import aiomqtt
import pytest

from host.bridge.hub import Hub
from host.bridge.records import Record
from host.gateways import mqtt_client
from host.gateways.delivery import AT_ONCE, Delivery
from host.gateways.mqtt_client import Client
from host.gateways.mqtt_settings import Broker
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import FakeBoard, decision
from tests.bridge.scripted_broker import ScriptedBroker

BOX = "fanwise/home/box-one"


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    made = ScriptedBroker()
    yield made
    made.close()


def start(bridge: Bridge, board: FakeBoard, broker: ScriptedBroker, scheme: str = "mqtt") -> None:
    url = f'url = "{scheme}://127.0.0.1:{broker.port}"\n'
    settings = bridge.folder / "bridge.toml"
    settings.write_text(f"ports = ['{board.path}']\n[mqtt]\n{url}[mqtt_boards]\n{url}")
    bridge.start("--config", str(settings))
    eventually(lambda: bridge.status("box-one") == "online")


def connected(bridge: Bridge) -> set[str]:
    """Gateways whose broker takes messages, by the metrics."""
    lines = bridge.get("/metrics").splitlines()
    up = [line for line in lines if line.startswith("fanwise_broker_connected")]
    return {line.split('"')[1] for line in up if line.endswith(" 1.0")}


def silent(broker: ScriptedBroker) -> None:
    broker.answers = False


def confirms_nothing(broker: ScriptedBroker) -> None:
    broker.confirms = False


def deaf(broker: ScriptedBroker) -> None:
    broker.reads.clear()


def well(broker: ScriptedBroker) -> None:
    broker.answers = broker.confirms = True
    broker.reads.set()
    broker.drop()


@pytest.mark.parametrize(
    ("trouble", "from_the_start"), [(silent, True), (confirms_nothing, False), (deaf, False)]
)
def test_records_wait_for_the_broker_and_nothing_else_does(
    bridge: Bridge,
    board: FakeBoard,
    broker: ScriptedBroker,
    trouble: Callable[[ScriptedBroker], None],
    from_the_start: bool,
) -> None:
    if from_the_start:
        trouble(broker)
    start(bridge, board, broker)
    if not from_the_start:
        eventually(lambda: connected(bridge) == {"mqtt", "mqtt_boards"})
        trouble(broker)
        broker.drop()
    for _ in range(50):
        board.decide()
    eventually(lambda: len(board.acked) == 50, what="acknowledged to the board")
    eventually(lambda: "mqtt" not in connected(bridge))
    assert bridge.log.read_text().count("fanwise.mqtt broker") <= 1, "said once"
    well(broker)
    numbers = range(1, 51)
    eventually(lambda: {*delivered(broker)} == {*numbers}, what="delivered")
    assert [*dict.fromkeys(delivered(broker))] == [*numbers], "in order, but for copies"
    eventually(lambda: at_the_newest(bridge), what="the cursor follows")
    eventually(lambda: connected(bridge) == {"mqtt", "mqtt_boards"})


def delivered(broker: ScriptedBroker) -> list[int]:
    return [json.loads(payload)["seq"] for payload in broker.on(f"{BOX}/event/decision")]


def at_the_newest(bridge: Bridge) -> bool:
    with sqlite3.connect(f"file:{bridge.store}?mode=ro", uri=True) as db:
        newest = db.execute("SELECT max(id) FROM records").fetchone()
        cursor = "SELECT record_id FROM cursors WHERE gateway='mqtt:home'"
        return bool(newest == db.execute(cursor).fetchone())


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])
def test_a_broker_that_reads_nothing_does_not_hold_up_the_end(
    bridge: Bridge, board: FakeBoard, broker: ScriptedBroker, scheme: str
) -> None:
    deaf(broker)
    start(bridge, board, broker, scheme)
    eventually(lambda: broker.connections >= 2)
    assert bridge.stop() < 8.0, "less than any limit towards a broker"


def test_states_do_not_pile_up_before_a_broker_that_confirms_nothing(
    bridge: Bridge, board: FakeBoard, broker: ScriptedBroker
) -> None:
    start(bridge, board, broker)
    board.tel()
    eventually(lambda: broker.on(f"{BOX}/state"))
    broker.confirms = False
    before = len(broker.on(f"{BOX}/state"))
    board.tel(case_mc=50000)
    eventually(lambda: len(broker.on(f"{BOX}/state")) == before + 1)
    board.tel(case_mc=60000)
    eventually(lambda: case_mc(bridge) == 60000)
    time.sleep(1.2)  # twice as long as a state rests
    assert len(broker.on(f"{BOX}/state")) == before + 1
    well(broker)
    eventually(lambda: json.loads(broker.on(f"{BOX}/state")[-1])["case_c"] == 60.0)


def case_mc(bridge: Bridge) -> int:
    board = bridge.board("box-one")
    return board["tel"]["case_mc"] if board else 0


# -- the connection by itself ---------------------------------------------------------------------


def client(broker: ScriptedBroker) -> Client:
    where = Broker(port=broker.port)
    return mqtt_client.connect(where, None, "a-bridge", max_incoming=1, max_calls=100)


def test_a_slow_broker_is_waited_for_and_one_that_confirms_nothing_is_left(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(mqtt_client, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(mqtt_client, "LOOK_S", 0.005)

    async def scenario() -> None:
        allowed = broker.allowed = threading.Semaphore(0)
        async with client(broker) as here:
            calls = [here.hand_over("a", b"%d" % n, 1) for n in range(6)]
            waiting = [asyncio.create_task(call) for call in calls]
            ended = asyncio.create_task(here.ended())
            for count in range(1, 5):
                await asyncio.sleep(0.05)
                clock.now += mqtt_client.PATIENCE_S - 1
                await asyncio.sleep(0.05)
                assert not ended.done(), "there was a confirmation meanwhile"
                allowed.release()
                while sum(each.done() for each in waiting) < count:
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
            clock.now += mqtt_client.PATIENCE_S + 1
            with pytest.raises(aiomqtt.MqttError, match="confirms nothing"):
                await ended
            for each in waiting:
                each.cancel()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_broker_that_never_answers_is_left_for_good(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a late answer would take the place of the next connection, which has the same name."""
    monkeypatch.setattr(mqtt_client, "TIMEOUT_S", 0.1)
    broker.answers = False

    async def scenario() -> None:
        with pytest.raises(aiomqtt.MqttError):
            async with client(broker):
                pass
        while not broker.ended:
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_leaving_a_broker_that_stopped_reading(broker: ScriptedBroker) -> None:
    async def scenario() -> float:
        async with client(broker) as here:
            broker.reads.clear()
            for _ in range(20):
                here._client.publish("a", bytes(1 << 20), 0)
            await asyncio.sleep(0.1)
            begun = time.monotonic()
        return time.monotonic() - begun

    assert asyncio.run(scenario()) < 5.0


# -- store and forward ----------------------------------------------------------------------------


@pytest.mark.parametrize("gets_through", [1, 3, AT_ONCE])
def test_where_few_get_through_at_a_time_those_few_do(gets_through: int) -> None:
    """Each connection takes so many records, and then ends in the middle of a batch."""
    records = [Record(n, "a", 1, n, "dec", 0, decision()) for n in range(1, 101)]
    store: Any = SimpleNamespace(at=0)
    store.cursor = lambda name: store.at
    store.after = lambda cursor, most: records[cursor : cursor + most]

    def set_cursor(name: str, cursor: int) -> None:
        store.at = cursor
        if cursor == len(records):
            raise EOFError

    store.set_cursor = set_cursor

    async def call(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    core: Any = SimpleNamespace(
        deliveries={}, hub=Hub(), store=store, writer=SimpleNamespace(call=call)
    )
    delivery = Delivery(core, "slow")
    taken: list[int] = []

    async def connection() -> int:
        left = gets_through

        async def send(batch: list[Record]) -> None:
            nonlocal left
            taken.extend(record.id for record in batch[:left])
            left -= len(batch)
            if left < 0:
                raise ConnectionError

        with pytest.raises((ConnectionError, EOFError)):
            await delivery.run(send)
        return store.at

    async def scenario() -> None:
        before = -1
        while before < len(records):
            after = await connection()
            assert after > before, "each connection brings it on"
            before = after

    asyncio.run(scenario())
    assert [*dict.fromkeys(taken)] == [*range(1, 101)]
