"""Boards on the distribution's own binary, which has no device REPL and no stand-ins frozen in."""

import pytest
from simulation_rig import Rig

from host.simulation.errors import VmError
from host.simulation.vm import cache, provision

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module")
def binary():
    try:
        return provision.distribution_vm(cache.CACHE, lambda line: None)
    except VmError as error:
        pytest.skip(str(error))


def test_a_board_runs_without_our_c_module(binary, tmp_path):
    rig = Rig(binary, tmp_path)
    try:
        board = rig.board(
            boot="print('boot')",
            main="""
            import time
            from machine import Pin, I2C, reset_cause
            Pin(26, Pin.OUT, value=1)
            time.sleep(20)
            print("slept", time.ticks_ms(), I2C(0, scl=Pin(22), sda=Pin(21)).scan(), reset_cause())
            """,
        )
        assert "boot" in rig.until("slept 20000 [64] 1")
        rig.until(">>> ")
        assert board.relay.energised
        rig.clients["board"].write(b"\x04")
        rig.until("[64] 5")
    finally:
        rig.close()
