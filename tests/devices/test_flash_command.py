"""The verb flash as a command: what it prints, Ctrl-C, exit codes."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from host.devices import flash as verb
from tests.devices.flashing import on_flash, patient, repl
from tests.devices.rom import image
from tests.devices.rom.board import RomBoard

ROOT = Path(__file__).resolve().parents[2]


def run(board: RomBoard, binary: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "host.devices.flash", "--board", "esp32", "--no-reset"]
    command += ["--port", board.port, "--image", str(binary), "--no-monitor", "--no-deploy", *words]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'firmware'}"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=env)


@pytest.fixture(autouse=True)
def time_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient(tmp_path, monkeypatch)


class HalfWay(RomBoard):
    """Does not answer any more once so much is written; `reached` tells."""

    def __init__(self, half: int) -> None:
        super().__init__("esp32")
        self._half = half
        self.reached = threading.Event()

    def _take(self, data: bytes) -> None:
        if self.loader.written < self._half:
            super()._take(data)
        else:
            self.reached.set()


def test_ctrl_c_in_the_middle_and_the_same_command_once_more(tmp_path: Path) -> None:
    binary = tmp_path / "image.bin"
    binary.write_bytes(image.merged(size=300_000))
    with HalfWay(100_000) as board:
        process = run(board, binary, "--json")
        while not board.reached.wait(0.1):
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "no working firmware now; the same command finishes it" in err
    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1]["event"] == "stopped"
    assert {"progress", "step"} <= {event["event"] for event in events}
    assert not on_flash(board, binary, 0x1000)

    with RomBoard("esp32", run=repl) as again:
        again.loader.flash = board.loader.flash
        process = run(again, binary)
        assert process.stderr
        for line in process.stderr:
            if verb.PRESS_EN in line:
                again.reset()
        assert process.wait(60) == 0
        assert on_flash(again, binary, 0x1000)


def test_as_json_an_error_is_the_last_line(tmp_path: Path) -> None:
    binary = tmp_path / "image.bin"
    binary.write_bytes(image.merged())
    with RomBoard("esp32s3") as board:
        out, _ = run(board, binary, "--json").communicate(timeout=120)
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["error"], last["exit_code"]) == ("error", "WrongChipError", 7)
