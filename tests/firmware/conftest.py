"""Boards on the real VM."""

import pytest
from firmware_mqtt_world import MqttWorld
from firmware_world import ROOT, World
from scripted_broker import ScriptedBroker

from host.simulation.errors import VmError
from host.simulation.filesystem import build_flash
from host.simulation.vm import ensure_vm

# What tests look at or replace while it runs.
KEPT = ("App", "_record", "mind", "cooling", "anomaly", "bundle", "file")


@pytest.fixture(scope="session")
def vm():
    try:
        return ensure_vm()
    except VmError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def firmware(tmp_path_factory):
    """The firmware compiled once, in a folder to copy."""
    folder = tmp_path_factory.mktemp("firmware")
    build_flash(folder, ROOT / "firmware", kept=KEPT)
    return folder


@pytest.fixture
def world(vm, firmware, tmp_path):
    worlds = []

    def make(**kwargs):
        worlds.append(World(vm, firmware, tmp_path, **kwargs))
        return worlds[-1]

    yield make
    for one in worlds:
        one.close()


@pytest.fixture
def broker():
    one = ScriptedBroker()
    yield one
    one.close()


@pytest.fixture
def board(vm, firmware, tmp_path, broker):
    worlds = []

    def make(**kwargs):
        worlds.append(MqttWorld(vm, firmware, tmp_path, broker=broker, **kwargs))
        return worlds[-1]

    yield make
    for one in worlds:
        one.close()
