"""From an empty ESP32 to a running agent and on: the chip's own ROM, the official image, its real
littlefs and machine code, in an emulator.

FANWISE_QEMU_XTENSA, FANWISE_QEMU_ROMS and FANWISE_ESP32_IMAGE as in test_flash_on_rom.py;
docs/deploy.md says how long it takes. With pytest -s it tells of each step.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import serial

from agent.communication import frames
from host.devices import deploy_set
from host.devices.boards import load_board
from host.devices.deploy import DeployResult, deploy
from host.devices.errors import VerifyError
from host.devices.mpy import compile_source
from tests.devices.flashing import IMAGE, PROGRAM, WITH_IMAGE, flash, patient
from tests.devices.live_board import Agent, Heard
from tests.devices.rom import qemu

pytestmark = WITH_IMAGE

BUNDLES = Path(__file__).resolve().parents[2] / "training" / "bundles"
MODELS = (BUNDLES / "cooling", BUNDLES / "anomaly")
BOTH = {"cooling": "cooling@2", "anomaly": "anomaly@2"}
PATIENCE = float(os.environ.get("FANWISE_QEMU_PATIENCE", "20"))
GOOD_S = 70
START = {"boot.py", "main.py"}
# GPIO_OUT and GPIO_ENABLE.
REGISTERS = (0x3FF44004, 0x3FF44020)
RELAY_PIN = 26
# Coil on, pin driven. On the normally open contact the fan runs only while a program sees to it.
UNTOUCHED, FAN_ON = (0, 0), (1, 1)
RELAY = {"pin": RELAY_PIN, "contact": "no", "active": "high"}
# The emulators know no analogue inputs. Nothing is connected to the others.
SENSORS = {
    "case": {"driver": "ds18b20", "pin": 4},
    "ambient": {"driver": "ds18b20", "pin": 16},
    "power": {"driver": "ina219", "sda": 21, "scl": 22},
    "fan": {"driver": "tach", "pin": 27},
}


class Chip(qemu.QemuBoard):
    def relay(self) -> tuple[int, ...]:
        return tuple(self.peek(register) >> RELAY_PIN & 1 for register in REGISTERS)

    def deploy(self, **settings: Any) -> DeployResult:
        agent = Agent(MODELS, load_board("esp32"), sensors=SENSORS, relay=RELAY, **settings)
        return deploy(self.port, agent, Heard(), patience=PATIENCE)

    def hear(
        self, wanted: Callable[[dict[str, Any]], bool], command: str = "", within_s: float = 30.0
    ) -> dict[str, Any]:
        """The first frame that is wanted, as a host would get it that sends `command`."""
        decoder, end = frames.Decoder(), time.monotonic() + within_s * PATIENCE
        heard: list[Any] = []
        with serial.Serial(self.port, 115200, timeout=0.5) as line:
            if command:
                line.write(frames.encode({"t": "cmd", "id": "1", "name": command, "args": {}}))
            while time.monotonic() < end:
                for event in decoder.feed(line.read(max(1, line.in_waiting))):
                    heard.append(event[1])
                    if event[0] == frames.FRAME and wanted(event[1]):
                        return dict(event[1])
        raise AssertionError(heard[-5:])

    def settle(self) -> dict[str, Any]:
        """Let the good minute pass in which a set is on trial."""
        health = self.hear(lambda frame: frame["t"] == "health", within_s=GOOD_S)
        self.hear(lambda frame: frame["ms"] > GOOD_S * 1000)
        return health


def timed(what: str, facts: object, began: float) -> float:
    print(f"{what}: {time.monotonic() - began:.0f} s; {facts}", flush=True)
    return time.monotonic()


@pytest.mark.timeout(7200)
def test_an_empty_chip_gets_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PROGRAM
    patient(tmp_path, monkeypatch)
    with Chip(PROGRAM) as chip:
        began = time.monotonic()
        done, _ = flash(chip, Path(IMAGE), "qemu-esp32", wait_s=300)
        assert chip.relay() == UNTOUCHED
        began = timed("flash", (done.chip.title, done.written), began)

        first = chip.deploy()
        assert first.hello["models"] == BOTH
        assert (first.hello["set"], first.hello["safe"]) == (first.set_id, False)
        assert set(first.changed) > START
        assert chip.relay() == FAN_ON
        began = timed("deploy and start", (first.seconds, first.sent_bytes, first.hello), began)

        # No sensor answers: the fan is on for that reason, and the line works both ways.
        assert chip.hear(lambda frame: frame["t"] == "tel")["rule"] == "sensor_loss"
        answer = chip.hear(lambda frame: frame["t"] == "rsp", "self-test", 60)
        assert answer["ok"], answer
        assert answer["data"]["kernels"] == "esp32"
        health = chip.settle()
        assert (health["err"], health["crashes"]) == (0, 0)
        assert chip.relay() == FAN_ON
        began = timed("a good minute", (answer["data"], health), began)

        second = chip.deploy(limit_mc=40000)
        assert second.changed == ("config.json",)
        assert len(second.copied) == len(set(first.changed) - START - {"config.json"})
        assert (second.hello["limit_mc"], second.hello["models"]) == (40000, BOTH)
        assert second.old_id == first.set_id
        assert chip.relay() == FAN_ON
        chip.settle()
        began = timed("deploy of new settings, a good minute", second.seconds, began)

        real = deploy_set.wanted
        fault = compile_source("raise ValueError('a fault of its own')", "start.py")
        monkeypatch.setattr(deploy_set, "wanted", lambda to: {**real(to), "agent/start.mpy": fault})
        with pytest.raises(
            VerifyError, match=f"did not come up.*{second.set_id} by itself"
        ) as told:
            chip.deploy()
        assert "a fault of its own" in str(told.value)
        assert chip.relay() == FAN_ON
        tel = chip.hear(lambda frame: frame["t"] == "tel")
        assert tel["rule"] == "sensor_loss"
        timed("a set that does not come up, and back", told.value, began)
