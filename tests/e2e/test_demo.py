"""`./run demo` as a user calls it: ends by itself, on Ctrl-C and when killed; wrong input."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bridge.conftest import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.vm, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "host.simulation.demo", "--no-train", "--http=127.0.0.1:0"]


def parts_of(folder: Path) -> dict[int, str]:
    """Command lines by process id of the bridges and VMs that mention `folder`."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        if str(folder) in line and ("host.bridge" in line or "heapsize" in line):
            found[int(entry.name)] = line
    return found


@pytest.fixture
def demo_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FANWISE_DEMO_FOLDER", str(tmp_path))
    return tmp_path


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DEMO, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end(process: subprocess.Popen[str]) -> None:
    """Whatever became of the test."""
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def read_until(process: subprocess.Popen[str], *words: str) -> str:
    """Output up to the line with the last of `words` to come; pytest's time limit is the limit."""
    assert process.stdout
    text, missing = "", set(words)
    for line in process.stdout:
        text += line
        missing -= {word for word in missing if word in line}
        if not missing:
            return text
    raise AssertionError(f"{missing} never came:\n{text}")


def test_demo_says_why(demo_folder: Path) -> None:
    process = start("--speed=20", "--fault=fan_stuck@90:esp32-2")
    try:
        read_until(process, "because", "mostly", "fan_stuck begins")
        process.send_signal(signal.SIGINT)
        read_until(process, "hottest")
    finally:
        end(process)


def test_demo_ends_by_itself(demo_folder: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--seconds=1"], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hottest" in done.stdout
    assert not parts_of(demo_folder)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_demo_leaves_no_process_behind(demo_folder: Path, how: signal.Signals) -> None:
    process = start("--speed=10")
    try:
        read_until(process, "because")
        assert parts_of(demo_folder)
        process.send_signal(how)
        code = process.wait(timeout=60)
    finally:
        end(process)
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 0)
    eventually(lambda: not parts_of(demo_folder), 60, "all processes end")


def test_demo_starts_a_killed_bridge_again(demo_folder: Path) -> None:
    process = start("--speed=10")
    try:
        read_until(process, "because")
        (bridge,) = (pid for pid, line in parts_of(demo_folder).items() if "host.bridge" in line)
        os.kill(bridge, signal.SIGKILL)
        assert "SIGKILL" in read_until(process, "go on cooling")
        read_until(process, "because")
    finally:
        end(process)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--fault=fire@10"], ["fire", "kinds are", "fan_stuck"]),
        (["--fault=fan_stuck@10:esp32-9"], ["esp32-9", "esp32-1"]),
        (["--replay=/nowhere/run.csv"], ["/nowhere/run.csv"]),
        (["--replay=pyproject.toml"], ["pyproject.toml", "expected"]),
        (["--http=here"], ["--http here", "HOST:PORT"]),
        (["--speed=0"], ["expected a number from"]),
        (["--seconds=soon"], ["--seconds", "soon"]),
    ],
)
def test_wrong_input_ends_in_one_message(
    demo_folder: Path, words: list[str], expected: list[str]
) -> None:
    done = subprocess.run([*DEMO, *words], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    for part in expected:
        assert part in done.stderr
    assert not parts_of(demo_folder)


def test_port_in_use_is_named(demo_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = subprocess.run(
            [*DEMO[:-1], f"--http=127.0.0.1:{port}", "--seconds=20"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert done.returncode != 0
    assert str(port) in done.stderr
    assert "in use" in done.stderr
    assert not parts_of(demo_folder)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["demo", "--no-train", "--fault=fan_stuck@10", "--fault=overload@9:esp32-9"], "esp32-9"),
        (["bridge", "--port=/dev/a", "--port=/dev/b", "--http=nope"], '"nope"'),
        (["check-model", "pyproject.toml"], "pyproject.toml: not a whole .tflite file"),
        (["check-model", "pyproject.toml", "--board=esp33"], "did you mean 'esp32'"),
        (["fault", "on fire"], "no simulation listens"),
        (["build", "--chip=esp99"], "esp99"),
    ],
)
def test_verbs_hand_their_words_on(demo_folder: Path, words: list[str], expected: str) -> None:
    command = [sys.executable, "-m", "invoke", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode != 0
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
