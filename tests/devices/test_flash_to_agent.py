"""From an empty board to a running agent: the loader is ours, everything after it real."""

import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.simulation.errors import VmError
from host.simulation.vm import ensure_vm
from tests.devices.flashing import flash, patient
from tests.devices.rom import image
from tests.devices.rom.board import RomBoard
from tests.simulation.simulation_rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    try:
        rig = Rig(ensure_vm(), tmp_path, speed=1.0)
    except VmError as error:
        pytest.skip(str(error))
    yield rig
    rig.close()


@pytest.mark.vm
def test_from_an_empty_board_to_a_running_agent(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(tmp_path, monkeypatch)
    simulated = rig.board()
    for client in rig.clients.values():
        client.close()
    rig.clients.clear()
    rig.simulation.start()
    binary = tmp_path / "image.bin"
    binary.write_bytes(image.merged())
    with RomBoard("esp32", run=lambda *ends: pump(simulated.port, *ends)) as board:
        done, console = flash(board, binary, bare=False)
    assert console.told("MicroPython v1.")
    assert done.deployed
    assert done.deployed.running
    assert done.deployed.hello["dev"] == "esp32-345678"
    assert set(done.deployed.hello["models"]) == {"cooling", "anomaly"}


def pump(port: str, master: int, stopping: threading.Event) -> None:
    """Carry bytes between the board's cable and another serial port."""
    with open(os.open(port, os.O_RDWR | os.O_NOCTTY), "r+b", buffering=0) as other:
        ends = {master: other.fileno(), other.fileno(): master}
        while not stopping.is_set():
            for end in select.select(list(ends), [], [], 0.02)[0]:
                os.write(ends[end], os.read(end, 4096))
