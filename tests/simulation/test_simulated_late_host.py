"""A host that is late, as busy ones are, changes nothing of what a board does."""

import os
import signal
import threading

import pytest

from host.simulation import board
from host.simulation.process import VmProcess
from host.simulation.serial import Pty, SerialPort
from host.simulation.vm import Vm

pytestmark = pytest.mark.vm


@pytest.fixture
def nobody_tells(monkeypatch):
    """The kernel does not say that there is something to read in a terminal."""

    def deaf(link, watch, unwatch, on_input):
        return SerialPort(link, lambda *_: None, lambda _: None, on_input)

    monkeypatch.setattr(board, "SerialPort", deaf)


def test_time_waits_for_what_a_board_does_with_its_input(rig):
    one = rig.board()
    rig.until(">>> ")
    os.kill(one.pid, signal.SIGSTOP)
    thaw = threading.Timer(0.3, os.kill, (one.pid, signal.SIGCONT))
    thaw.start()
    rig.clients["board"].write(b"print(6 * 7)\r")
    rig.until("42\r\n", timeout_s=2)
    thaw.join()


def test_what_a_client_writes_gets_in(rig, nobody_tells):
    rig.board()
    rig.until(">>> ")
    rig.clients["board"].write(b"print(6 * 7)\r")
    rig.until("42\r\n", timeout_s=2)


def test_time_waits_for_a_board_with_much_to_say(rig, nobody_tells):
    rig.board(
        """
        import time
        for i in range(3000): print("line", i, "." * 50)
        time.sleep(1)
        print("last")
        time.sleep(1000)
        """
    )
    rig.simulation.run_for(3)
    assert "last" in rig.output()


def test_a_vm_that_takes_its_time_to_end_has_not_crashed(tmp_path):
    script = tmp_path / "vm"
    script.write_text("exec 3>&-\nsleep 1.2\nexit 64\n")
    vm = Vm(("/bin/sh", str(script)), "1.26.1", 32, "made", True, True)
    terminal = Pty()
    process = VmProcess(vm, tmp_path, 110, terminal.slave)
    process.bus.setblocking(True)
    assert process.bus.recv(1) == b""
    assert process.exit_code() == 64
    terminal.close()
