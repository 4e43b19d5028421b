"""Boards on the real VM, built once and kept in the project's cache."""

import pytest
from simulation_rig import Bench, Rig

from host.simulation.errors import VmError
from host.simulation.vm import ensure_vm


@pytest.fixture(scope="session")
def vm():
    try:
        return ensure_vm()
    except VmError as error:
        pytest.skip(str(error))


@pytest.fixture
def rig(vm, tmp_path):
    rig = Rig(vm, tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def bench():
    return Bench()
