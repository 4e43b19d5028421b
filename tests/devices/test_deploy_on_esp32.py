"""A deploy to a stock image on an emulated ESP32: its littlefs, its machine code, its pins.

FANWISE_QEMU_XTENSA, FANWISE_QEMU_ROMS and FANWISE_ESP32_IMAGE as in test_flash_on_rom.py. It takes
a quarter of an hour: the emulated flash gives less than 2 KB a second. The agent's start is left
out for that reason, only its engine is imported.
"""

import os
from pathlib import Path

import pytest

from host.devices import deploy_set
from host.devices.board_repl import BoardRepl
from host.devices.boards import load_board
from host.devices.deploy import deploy
from host.devices.deploy_board import read_state
from host.devices.deploy_plan import ROOT_FILES
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
IMPORT_S = 600.0
# GPIO_OUT and GPIO_ENABLE of the chip for the relay's pin 26, read past MicroPython, which would
# set up the pin anew.
REGISTERS = """
import machine
print(machine.mem32[0x3ff44004] >> 26 & 1, machine.mem32[0x3ff44020] >> 26 & 1)
"""
# The emulators know no analogue inputs.
SENSORS = {
    "case": {"driver": "ds18b20", "pin": 4},
    "ambient": {"driver": "ds18b20", "pin": 16},
    "power": {"driver": "ina219", "sda": 21, "scl": 22},
    "fan": {"driver": "tach", "pin": 27},
}
CHOSEN = """
import sys
from agent.cognition.engine import kernels
print(sys.path[0], [name for name in sys.modules if "kernels.native_" in name])
"""


@pytest.mark.timeout(1800)
def test_stock_micropython_gets_the_agent() -> None:
    assert PROGRAM
    models = (BUNDLES / "cooling", BUNDLES / "anomaly")
    agent = Agent(models, load_board("esp32"), sensors=SENSORS)
    with qemu.QemuBoard(PROGRAM) as chip:
        flash = bytearray(chip.flash.read_bytes())
        image = Path(IMAGE).read_bytes()
        flash[OFFSET : OFFSET + len(image)] = image
        chip.flash.write_bytes(flash)
        chip.reset()
        result = deploy(chip.port, agent, Heard(), patience=SLOW, restart=False)
        with BoardRepl(chip.port, patience=SLOW) as repl:
            repl.enter()
            state = read_state(repl)
            assert state.running().id == result.set_id
            assert len(state.below("/a")) == len(deploy_set.wanted(agent)) - len(ROOT_FILES) + 1
            # boot.py has run, main.py has not: the coil is without current, so the fan runs.
            assert repl.say(REGISTERS).split() == ["0", "1"]
            chosen = repl.say(CHOSEN, IMPORT_S)
            assert chosen.split()[0] == "/a"
            assert "native_esp32" in chosen
