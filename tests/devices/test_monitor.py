"""The serial monitor as its users run it: a process on a port, with and without a terminal."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host.devices.monitor import main
from host.devices.monitoring.log_file import RECEIVED, SENT, read_log
from tests.bridge.conftest import ROOT, Bridge, eventually
from tests.bridge.fake_board import FakeBoard

ENV = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'firmware'}", "PYTHONUNBUFFERED": "1"}
ENV.pop("NO_COLOR", None)
COMMAND = [sys.executable, "-m", "host.devices.monitor"]


class Board(FakeBoard):
    """Commands go to `on_command` where it is set."""

    on_command: Callable[[dict[str, Any]], None] | None = None

    def _frame(self, frame: dict[str, Any]) -> None:
        super()._frame(frame)
        if self.on_command and frame["t"] == "cmd":
            self.on_command(frame)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with Board(tmp_path / "board", "box-one", boot=7) as made:
        yield made


class Monitor:
    """A monitor with its output in files."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self._files = folder / "out", folder / "err"
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            command = [*COMMAND, *map(str, arguments)]
            self.process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT, env=ENV)

    @property
    def out(self) -> str:
        return self._files[0].read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._files[1].read_text()

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


class Terminal:
    """A monitor on a terminal of its own."""

    def __init__(self, *arguments: object) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self._seen = b""
        os.set_blocking(self.master, False)

        def own() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        ends = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave}
        env = {**ENV, "TERM": "xterm"}
        command = [*COMMAND, *map(str, arguments)]
        self.process = subprocess.Popen(command, **ends, cwd=ROOT, env=env, preexec_fn=own)

    def text(self) -> str:
        try:
            while data := os.read(self.master, 65536):
                self._seen += data
        except BlockingIOError:
            pass
        return re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", self._seen.decode(errors="replace"))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, env=ENV)


def test_it_reconnects_and_ends_cleanly(tmp_path):
    path = tmp_path / "board"
    with Monitor(tmp_path, path) as monitor:
        eventually(lambda: "is not there" in monitor.err)
        for boot in (1, 2):
            with FakeBoard(path, "box-one", boot=boot) as board:
                eventually(lambda boot=boot: monitor.err.count(" open\n") == boot)
                board.tel()
                eventually(lambda boot=boot: f"tel    {boot}/1" in monitor.out)
                board.decide()
                board.decide()
                time.sleep(2 * board.repeat_s)
                eventually(lambda boot=boot: f"dec    {boot}/2" in monitor.out)
                assert monitor.out.count(f"dec    {boot}/2") == 1
                assert board.received == []  # it only listens
        assert monitor.stop() == 130
        assert "Traceback" not in monitor.err
        assert "\x1b" not in monitor.out


def test_json_types_and_the_log(tmp_path, board):
    log = tmp_path / "line.log"
    arguments = (board.path, "--json", "--not", "tel", "--log", log, "--send", "override on 10m")
    with Monitor(tmp_path, *arguments) as monitor:
        eventually(lambda: '"response"' in monitor.out)
        board.tel()
        board.raw(b"boot: \x1b[2J\r\n")
        board.decide()
        eventually(lambda: '"dec"' in monitor.out)
        assert monitor.stop(signal.SIGTERM) == 0
        objects = [json.loads(line) for line in monitor.out.splitlines()]
    kinds = [found.get("t") or found["event"] for found in objects]
    assert kinds[:4] == ["port", "rsp", "response", "text"]
    assert set(kinds[4:]) == {"dec"}
    assert objects[2] == {"event": "response", "command": "override on 10m", "ok": True}
    assert objects[3]["text"] == "boot: \\x1b[2J"
    assert board.commands("override")[0]["args"] == {"fan": 1, "for_s": 600}
    logged = list(read_log(log))
    assert b"boot: \x1b[2J\r\n" in b"".join(data for _, way, data in logged if way == RECEIVED)
    assert b'"override"' in b"".join(data for _, way, data in logged if way == SENT)
    again = run("--replay", log, "--type", "text")
    assert (again.returncode, again.stdout.count("\n")) == (0, 1)


ANSWERS = [
    (["override clear"], {"msg": "no override"}, 0, "override clear: no override\n"),
    (["ping", "limit 40"], {}, 0, "ping: done\nlimit 40: done\n"),
    (["limit 140"], {"ok": False, "msg": "limit_mc: too \x1b much"}, 1, ""),
    (["ping"], None, 6, ""),
]


@pytest.mark.parametrize(("sends", "answer", "code", "out"), ANSWERS)
def test_one_shot(board, sends, answer, code, out):
    board.answers = False
    if answer is not None:
        board.on_command = lambda frame: board.volatile(
            "rsp", **{"id": frame["id"], "ok": True, **answer}
        )
    sent = [word for text in sends for word in ("--send", text)]
    done = run(board.path, *sent, "--wait", "60" if answer is not None else "0.5")
    assert (done.returncode, done.stdout) == (code, out)
    assert "\x1b" not in done.stderr
    assert done.stderr.count("error:") == bool(code)


def test_explain_shows_the_record_that_follows_and_no_older_one(board):
    def explain(frame: dict[str, object]) -> None:
        data = {"rule": "forecast", "why": "Fan off because it is cool"}
        board.volatile("rsp", id=frame["id"], ok=True, msg="a record follows", data=data)
        time.sleep(0.05)
        board.decide()

    board.answers = False
    board.decide(why="an older one", phi=None)
    time.sleep(0.1)
    board.on_command = explain
    done = run(board.path, "--send", "explain last", "--wait", "60")
    assert done.returncode == 0, done.stderr
    first, *features = done.stdout.splitlines()
    assert first == "explain last: Fan off because it is cool"
    assert features[0].split() == ["power_mw", "+0.82", "K"]


WRONG = [
    (["--send", "overide on 10m"], 2, "did you mean override"),
    (["--send", "help"], 2, "only at the prompt"),
    (["--raw", "--send", "ping"], 2, "exclude each other"),
    (["--wait"], 2, "Add --send"),
    (["--type", "decs"], 2, "did you mean dec"),
    (["--plot", "temp"], 2, "cannot be plotted"),
    (["--board", "esp31"], 3, "did you mean 'esp32'"),
    (["/nowhere", "--send", "ping", "--wait"], 4, "/nowhere is not there"),
    (["/etc/hostname"], 4, "not a serial device"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), WRONG)
def test_what_cannot_be_meant(capsys, arguments, code, said):
    try:
        found = main(arguments)
    except SystemExit as left:
        found = left.code
    told = capsys.readouterr()
    assert (found, told.out) == (code, "")
    assert said in told.err


def test_a_port_that_is_held_is_told_with_its_holder(tmp_path, board):
    with Monitor(tmp_path, board.path) as monitor:
        eventually(lambda: "open" in monitor.err)
        done = run(board.path)
    assert done.returncode == 5
    assert f"(process {monitor.process.pid})" in done.stderr


def test_the_bridge_is_named_as_the_holder(tmp_path, board):
    bridge = Bridge(tmp_path)
    bridge.start("--port", str(board.path), wait=False)
    try:
        eventually(lambda: board.commands("rebirth"))
        done = run(board.path)
    finally:
        bridge.kill()
    assert done.returncode == 5
    assert "held by the bridge" in done.stderr


def test_a_reader_that_leaves_is_no_error(board):
    with subprocess.Popen(
        [*COMMAND, str(board.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV
    ) as process:
        assert process.stdout
        assert process.stderr
        assert b"open" in process.stderr.readline()
        process.stdout.close()
        eventually(lambda: board.tel() or process.poll() is not None)
        assert process.returncode == 0
        assert process.stderr.read() == b""


def test_a_prompt_with_answers_completion_and_chart(board):
    with Terminal(board.path, "--plot") as terminal:
        # Opening a port throws away what came before.
        eventually(lambda: "board open" in terminal.text() and "board>" in terminal.text())
        board.hello()
        for _ in range(3):
            board.tel()
        eventually(lambda: "box-one>" in terminal.text() and "limit 45.0 C" in terminal.text())
        terminal.type(b"overr\tx\x7fon 10m\r")
        eventually(lambda: board.commands("override"))
        eventually(lambda: "override on 10m: done" in terminal.text())
        terminal.type(b"overide\r")
        eventually(lambda: "did you mean override" in terminal.text())
        board.answers = False
        terminal.type(b"help\r")
        eventually(lambda: "limit 42.5" in terminal.text())
        terminal.type(b"\x03")
        eventually(lambda: terminal.process.poll() is not None)
        assert terminal.process.returncode == 130
        assert termios.tcgetattr(terminal.slave) == terminal.before
        assert "Traceback" not in terminal.text()
    assert board.commands("override")[0]["args"] == {"fan": 1, "for_s": 600}


@pytest.mark.parametrize("keys", [b"\x04", b"quit\r"])
def test_leaving_the_prompt(board, keys):
    with Terminal(board.path) as terminal:
        eventually(lambda: "board>" in terminal.text())
        terminal.type(keys)
        eventually(lambda: terminal.process.poll() is not None)
        assert terminal.process.returncode == 0
        assert termios.tcgetattr(terminal.slave) == terminal.before
