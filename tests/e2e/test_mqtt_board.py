"""A board over Wi-Fi, a real mosquitto and the real bridge; broker, Wi-Fi, network and board fail.

One run; the board's firmware runs in the real VM, its sockets are real ones.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from host.simulation.fleet import PASSWORD, Fleet
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.mosquitto import Mosquitto, needs_mosquitto
from tests.bridge.proxy import Network, Proxy

pytestmark = [pytest.mark.e2e, pytest.mark.vm, pytest.mark.timeout(900), needs_mosquitto]

SPEED = 20.0
BOARD = "esp32-1"
PATIENCE_S = 240
"""Real seconds, for what takes two or three on a quiet machine."""


class House:
    """One board, its broker behind a network that can fail, a bridge, somebody who listens."""

    def __init__(self, folder: Path) -> None:
        for name in ("boards", "bridge"):
            (folder / name).mkdir()
        self.mosquitto = Mosquitto(folder)
        self.proxy = Proxy(self.mosquitto.port)
        broker = ("127.0.0.1", self.proxy.port)
        self.fleet = Fleet(folder / "boards", count=1, speed=SPEED, broker=broker)
        self.bridge = Bridge(folder / "bridge")
        self.config = folder / "bridge.toml"
        self.config.write_text(f"[mqtt_boards]\nurl = 'mqtt://127.0.0.1:{self.mosquitto.port}'\n")

    def start(self) -> None:
        self.bridge.start(f"--config={self.config}", f"--keepalive-s={10 / SPEED}")
        self.fleet.simulation.start()

    def stop(self) -> None:
        self.fleet.simulation.stop()
        if self.bridge.process and self.bridge.process.poll() is None:
            self.bridge.process.terminate()
            self.bridge.process.wait()
        self.proxy.close()
        self.mosquitto.kill()

    def pass_time(self, seconds: float) -> None:
        """Of the board's time."""
        clock = self.fleet.simulation.clock
        until_s = clock.now_s + seconds
        eventually(lambda: clock.now_s >= until_s, PATIENCE_S, "time passes")

    def online(self) -> None:
        eventually(lambda: self.bridge.status(BOARD) == "online", PATIENCE_S, "the board is online")

    def health(self) -> dict[str, Any]:
        return dict(self.bridge.board(BOARD)["health"])

    def told(self, what: str) -> None:
        """Wait for a health frame with this in its link."""
        eventually(lambda: what in str(self.health().get("link")), PATIENCE_S, what)

    def obeyed(self, name: str, **args: int) -> Any:
        """The board's answer to a command, given until it comes through."""

        def give() -> Any:
            status, answer = self.bridge.command(BOARD, name, **args)
            return answer if status == 200 else None

        return eventually(give, PATIENCE_S, name)

    def frames(self) -> list[dict[str, Any]]:
        """Everything durable in the store."""
        with sqlite3.connect(f"file:{self.bridge.store}?mode=ro", uri=True, timeout=60) as db:
            rows = db.execute("select boot, seq, body from records order by id")
            return [{**json.loads(body), "boot": boot, "seq": seq} for boot, seq, body in rows]

    def without_gaps(self) -> list[dict[str, Any]] | None:
        """What is stored, unless something is missing: on its way, or lost."""
        frames = self.frames()
        seqs = {frame["seq"] for frame in frames}
        return frames if seqs == set(range(1, len(seqs) + 1)) else None

    def broker_says(self, word: str) -> None:
        """Wait for the broker to keep that as the state of the board's link."""
        topic = f"fanwise/home/{BOARD}/link"
        eventually(lambda: self.retained(topic) == word, PATIENCE_S, f"link is {word}")

    def retained(self, topic: str) -> str:
        """What the broker keeps for a topic."""
        found: list[str] = []
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        client.on_message = lambda c, u, message: found.append(message.payload.decode())
        client.connect("127.0.0.1", self.mosquitto.port)
        client.subscribe(topic, 1)
        client.loop_start()
        try:
            return str(eventually(lambda: found, PATIENCE_S, topic)[0])
        finally:
            client.loop_stop()
            client.disconnect()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    house = House(tmp_path_factory.mktemp("house"))
    seen: dict[str, Any] = {"house": house}
    radio = house.fleet.boards[BOARD].radio
    try:
        house.start()
        house.online()
        eventually(lambda: any(f.get("phi") for f in house.frames()), PATIENCE_S, "an explanation")
        house.broker_says("online")
        seen["override"] = house.obeyed("override", fan=1, for_s=600)
        eventually(lambda: house.fleet.machines[BOARD].fan_powered, PATIENCE_S, "the fan is on")
        seen["explain"] = house.obeyed("explain")

        house.mosquitto.kill()
        eventually(lambda: house.bridge.status(BOARD) == "disconnected", PATIENCE_S, "no broker")
        house.pass_time(30)
        house.mosquitto.start()  # with nothing of what it knew
        house.online()
        seen["auto"] = house.obeyed("auto")

        before = radio.joins
        radio.down = True
        house.pass_time(60)
        radio.down = False
        eventually(lambda: radio.joins > before, PATIENCE_S, "the board joins again")
        house.online()
        house.pass_time(10)
        house.obeyed("ping")

        house.proxy.network = Network.SWALLOWS
        house.pass_time(40)
        house.proxy.network = Network.PASSES
        house.told("silent")
        house.online()
        eventually(
            lambda: house.health()["outbox"]["queued"] == 0, PATIENCE_S, "all is acknowledged"
        )
        house.pass_time(61)
        eventually(lambda: house.health()["link"]["broker"] == "up", PATIENCE_S, "the broker is up")
        seen["health"] = house.health()
        seen["frames"] = eventually(house.without_gaps, PATIENCE_S, "all records arrive")

        house.fleet.simulation.call(house.fleet.boards[BOARD].stop)
        eventually(
            lambda: house.bridge.status(BOARD) == "disconnected", PATIENCE_S, "the board is gone"
        )
        house.broker_says("lost")
        yield seen
    finally:
        house.stop()


def test_it_is_known_and_obeys(ran: dict[str, Any]) -> None:
    for command in ("override", "explain", "auto"):
        assert ran[command]["ok"] is True, command


def test_all_decisions_are_stored_once_whatever_failed(ran: dict[str, Any]) -> None:
    keys = [(frame["boot"], frame["seq"]) for frame in ran["frames"]]
    assert len(set(keys)) == len(keys)
    assert {boot for boot, _ in keys} == {keys[0][0]}
    decisions = [frame for frame in ran["frames"] if frame["t"] == "dec"]
    assert "override" in {frame["rule"] for frame in decisions}
    assert len(decisions) >= 6, "one a minute at least"
    assert all(frame["phi"]["err"] == 0 for frame in decisions if frame["phi"])


def test_the_loop_never_waited(ran: dict[str, Any]) -> None:
    health = ran["health"]
    assert (health["late"], health["err"], health["crashes"]) == (0, 0, 0), health
    assert health["outbox"]["dropped"] == 0
    assert ran["house"].fleet.boards[BOARD].crashes == 0


def test_what_it_tells_of_its_link(ran: dict[str, Any]) -> None:
    link = ran["health"]["link"]
    assert (link["wifi"], link["broker"]) == ("up", "up")
    assert link["up"] >= 4
    assert link["fail"] >= 3
    assert link["bad"] == 0


def test_no_password_is_told(ran: dict[str, Any]) -> None:
    house = ran["house"]
    everything = house.bridge.log.read_text() + house.bridge.out.read_text()
    everything += json.dumps(ran["frames"]) + json.dumps(house.bridge.get("/api/boards"))
    assert PASSWORD not in everything
