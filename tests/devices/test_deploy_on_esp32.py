"""A deploy to a stock image on an emulated ESP32: its littlefs, its machine code, its pins.

FANWISE_QEMU_XTENSA, FANWISE_QEMU_ROMS and FANWISE_ESP32_IMAGE as in test_flash_on_rom.py. It takes
some minutes.
"""

import os
from pathlib import Path

import pytest

from host.devices import deploy_set
from host.devices.board_repl import BoardRepl
from host.devices.boards import load_board
from host.devices.deploy import deploy
from host.devices.deploy_board import read_state
from host.devices.errors import FlashFullError
from tests.devices.live_board import Agent, Heard
from tests.devices.rom import qemu

PROGRAM, MISSING = qemu.find()
IMAGE = os.environ.get("FANWISE_ESP32_IMAGE", "")
if PROGRAM and not IMAGE:
    MISSING = "FANWISE_ESP32_IMAGE names no image for the ESP32"
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

BUNDLES = Path(__file__).resolve().parents[2] / "training" / "bundles"
OFFSET = 0x1000
SLOW = 10.0
RELAY_PIN = 26
# GPIO_OUT and GPIO_ENABLE of the chip, read past MicroPython, which would set up the pin anew.
REGISTERS = """
import machine
print(machine.mem32[0x3ff44004] >> 26 & 1, machine.mem32[0x3ff44020] >> 26 & 1)
"""
# The emulators know no analogue inputs: whoever reads one hangs.
SENSORS = {
    "case": {"driver": "ds18b20", "pin": 4},
    "ambient": {"driver": "ds18b20", "pin": 16},
    "power": {"driver": "ina219", "sda": 21, "scl": 22},
    "fan": {"driver": "tach", "pin": 27},
}
FILL = """
import os
with open("/big", "wb") as file:
    for _ in range(os.statvfs("/")[3] - 20):
        file.write(bytes(4096))
"""
CHOSEN = """
import os, sys
print(os.listdir(sys.path[0] + "/agent/cognition/engine/kernels"))
from agent.cognition import bundle
bundle.load("cooling", sys.path[0] + "/models")
print([name for name in sys.modules if "kernels." in name])
"""


def agent(limit_mc: int) -> Agent:
    models = (BUNDLES / "cooling", BUNDLES / "anomaly")
    return Agent(models, load_board("esp32"), limit_mc=limit_mc, sensors=SENSORS)


@pytest.mark.timeout(1800)
def test_stock_micropython_gets_the_agent_and_goes_on_to_a_second_set() -> None:
    assert PROGRAM
    with qemu.QemuBoard(PROGRAM) as chip:
        flash = bytearray(chip.flash.read_bytes())
        image = Path(IMAGE).read_bytes()
        flash[OFFSET : OFFSET + len(image)] = image
        chip.flash.write_bytes(flash)
        chip.reset()
        first = deploy(chip.port, agent(45000), Heard(), patience=SLOW)
        assert first.hello["set"] == first.set_id
        assert set(first.hello["models"]) == {"cooling", "anomaly"}
        assert first.hello["board"] == "esp32"

        second = deploy(chip.port, agent(40000), Heard(), patience=SLOW)
        assert second.changed == ("config.json",)
        assert second.hello["limit_mc"] == 40000

        with BoardRepl(chip.port, patience=SLOW) as repl:
            repl.enter()
            state = read_state(repl)
            assert state.running().id == second.set_id
            wanted = deploy_set.wanted(agent(40000))
            assert len(state.below(f"/{state.running().slot}")) == len(wanted) - 2 + 1
            # boot.py has run, main.py has not: the coil is without current, so the fan runs.
            print("registers", said := repl.say(REGISTERS))
            assert said.split() == ["0", "1"]
            print("kernels", repl.say(CHOSEN))
            assert "native_esp32" in repl.say(CHOSEN)
            repl.say(FILL)
        with pytest.raises(FlashFullError):
            deploy(chip.port, agent(39000), Heard(), patience=SLOW)
