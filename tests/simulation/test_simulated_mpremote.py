"""Unmodified mpremote on a simulated board's serial port, while its main.py runs."""

import os
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.vm

# mpremote's own limits: a second on the board for its host, ten on the host for the board.
LATE = ("timeout waiting for remote", "could not enter raw repl")
PATIENCE_S = 120

BUSY = """
import time
n = 0
while True:
    time.sleep_ms(20)
    n += 1
    if n % 25 == 0:
        print("busy", n)
"""


@pytest.fixture
def remote(rig, vm):
    if not vm.raw_repl:
        pytest.skip("this VM has no raw REPL")
    rig.simulation.speed = 1.0
    board = rig.board(BUSY, boot="print('boot')")
    for client in rig.clients.values():
        client.close()
    rig.clients.clear()
    rig.simulation.start()
    rig.simulation.run_for(0.6)

    def run(*arguments, connect=()):
        command = [sys.executable, "-m", "mpremote", "connect", board.port, *connect, *arguments]
        until = time.monotonic() + PATIENCE_S
        while True:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
            if done.returncode == 0:
                return done.stdout
            said = done.stdout + done.stderr
            assert any(words in said for words in LATE), said
            assert time.monotonic() < until, said

    run.board = board
    run.rig = rig
    return run


def test_exec_ls_and_soft_reset(remote):
    assert remote("exec", "print(6 * 7)") == "42\n"
    assert "main.py" in remote("ls")
    remote("soft-reset")
    assert remote("eval", "__import__('machine').reset_cause()", connect=["resume"]) == "5\n"
    assert remote.board.crashes == 0


def test_files_go_up_and_come_back(remote, tmp_path):
    there, back = tmp_path / "there.bin", tmp_path / "back.bin"
    there.write_bytes(os.urandom(10_000))
    remote("cp", str(there), ":data.bin")
    assert (remote.rig.folder / "board" / "data.bin").read_bytes() == there.read_bytes()
    remote("cp", ":data.bin", str(back))
    assert back.read_bytes() == there.read_bytes()


def test_mount_run_and_reset(remote, tmp_path):
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "greeting.py").write_text("print('hello from the host')")
    said = remote("mount", str(tmp_path / "mounted"), "exec", "import greeting")
    assert "hello from the host" in said
    script = tmp_path / "script.py"
    script.write_text("import time\ntime.sleep(0.2)\nprint('ran', time.ticks_ms() > 200)")
    assert "ran True" in remote("run", str(script))
    resets = sum(remote.board.resets.values())
    remote("reset")
    assert remote.rig.simulation.run_until(lambda: sum(remote.board.resets.values()) > resets, 60)
    remote.rig.simulation.run_for(1.5)  # a board that boots hears nothing
    assert remote("eval", "1+1") == "2\n"
    assert sum(remote.board.resets.values()) >= 3
