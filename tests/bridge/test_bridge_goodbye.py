"""How a bridge goes: whatever stands still meanwhile, nobody is left to think that it is there."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host.bridge import config, running_gateways
from host.bridge.gateways import GatewayPlan
from host.bridge.running_gateways import RunningGateways
from host.bridge.service import Service
from host.gateways.mqtt import MqttGateway
from host.gateways.mqtt_settings import MqttConfig
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import FakeBoard
from tests.bridge.mosquitto import Mosquitto, needs_mosquitto
from tests.bridge.receivers import Listener
from tests.bridge.waiting import PATIENCE_S

STATUS = "fanwise/home/bridge/status"


@needs_mosquitto
def test_a_broker_that_stood_still_as_the_bridge_went(
    bridge: Bridge, board: FakeBoard, mosquitto: Mosquitto, listen: Callable[[int], Listener]
) -> None:
    """Boards are said goodbye for before the bridge, which had no time left for its own."""
    listener = listen(mosquitto.port)
    bridge.start("--port", str(board.path), "--broker", f"mqtt://127.0.0.1:{mosquitto.port}")
    eventually(lambda: listener.last("fanwise/home/box-one/status") == "online")
    assert listener.last(STATUS) == "online"
    mosquitto.signal(signal.SIGSTOP)
    bridge.stop()
    mosquitto.signal(signal.SIGCONT)
    eventually(lambda: listener.last(STATUS) in ("lost", "offline"))


def test_a_bridge_that_goes_as_it_says_it_is_there(tmp_path: Path) -> None:
    flags = {"port": ["/dev/ptmx"], "store": str(tmp_path / "s.db"), "http": "off"}
    said: list[bytes] = []

    async def scenario() -> None:
        confirmed = asyncio.Event()

        class Slow:
            says_goodbye = True

            async def subscribe(self, *_: Any) -> None:
                pass

            async def hand_over(self, topic: str, payload: bytes, *_: Any) -> None:
                assert topic == STATUS
                said.append(payload)
                await confirmed.wait()

        gateway = MqttGateway(Service(config.load(None, flags)).core, MqttConfig())
        client: Any = Slow()
        session = asyncio.create_task(gateway._session(client, lambda: None))
        while not said:
            await asyncio.sleep(0)
        stopping = asyncio.create_task(gateway.stop())
        while not stopping.done() and len(said) < 2:
            await asyncio.sleep(0)
        assert not client.says_goodbye, "stopped by now it would be lost"
        confirmed.set()
        await stopping
        session.cancel()
        assert said == [b"online", b"offline"]
        assert client.says_goodbye
        said.clear()
        await gateway._session(client, lambda: None)
        assert said == [], "a connection that came too late says nothing"

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))


def test_a_gateway_that_does_not_stop_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_gateways, "STOP_S", 0.05)
    ended: list[str] = []

    class Gateway:
        def __init__(self, name: str, stops: bool) -> None:
            self.name, self._stops = name, stops

        async def start(self) -> None:
            pass

        async def run(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(f"{self.name} ran")

        async def stop(self) -> None:
            if not self._stops:
                await asyncio.Event().wait()
            ended.append(f"{self.name} stopped")

    class Plan(GatewayPlan):
        def make(self, core: Any) -> Any:
            return Gateway(self.name, bool(self.settings))

    async def scenario() -> None:
        core: Any = None
        running = RunningGateways(core)
        await running.start((Plan("good", "", True), Plan("bad", "", False)))
        await asyncio.sleep(0)
        await running.stop()

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))
    assert ended[0] == "good stopped"
    assert sorted(ended) == ["bad ran", "good ran", "good stopped"]
