"""`./run demo` as a user calls it: ends by itself, on Ctrl-C and when killed; wrong input."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bridge.conftest import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.vm]

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "host.simulation.demo", "--no-train", "--http=127.0.0.1:0"]


def descendants_named(folder: Path) -> list[str]:
    """Command lines of processes that mention `folder`, except this test's own."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and ("host.bridge" in line or "heapsize" in line):
            found.append(line)
    return found


@pytest.fixture
def demo_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FANWISE_DEMO_FOLDER", str(tmp_path))
    return tmp_path


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DEMO, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def read_until(process: subprocess.Popen[str], word: str, timeout_s: float = 60) -> str:
    """Output up to the line with `word`."""
    assert process.stdout
    os.set_blocking(process.stdout.fileno(), True)
    until, text = time.monotonic() + timeout_s, ""
    while time.monotonic() < until:
        line = process.stdout.readline()
        text += line
        if word in line:
            return text
        if not line:
            break
    raise AssertionError(f"{word!r} never came:\n{text}")


def test_demo_ends_by_itself_and_says_why(demo_folder: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--seconds=12", "--speed=20", "--fault=fan_stuck@90:esp32-2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "because" in done.stdout
    assert "mostly" in done.stdout
    assert "fan_stuck begins" in done.stdout
    assert "hottest" in done.stdout
    assert descendants_named(demo_folder) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_demo_leaves_no_process_behind(demo_folder: Path, how: signal.Signals) -> None:
    process = start("--speed=10")
    try:
        read_until(process, "because")
        assert descendants_named(demo_folder)
        process.send_signal(how)
        code = process.wait(timeout=15)
    finally:
        process.kill()
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 0)
    eventually(lambda: not descendants_named(demo_folder), 5, "all processes end")


def test_demo_starts_a_killed_bridge_again(demo_folder: Path) -> None:
    process = start("--speed=10")
    try:
        read_until(process, "because")
        bridge = next(
            int(pid.name)
            for pid in Path("/proc").iterdir()
            if pid.name.isdigit()
            and b"host.bridge" in (pid / "cmdline").read_bytes()
            and str(demo_folder).encode() in (pid / "cmdline").read_bytes()
        )
        os.kill(bridge, signal.SIGKILL)
        assert "SIGKILL" in read_until(process, "go on cooling")
        read_until(process, "because")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=15)


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
    done = subprocess.run([*DEMO, *words], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    for part in expected:
        assert part in done.stderr
    assert descendants_named(demo_folder) == []


def test_port_in_use_is_named(demo_folder: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = subprocess.run(
            [*DEMO[:-1], f"--http=127.0.0.1:{port}", "--seconds=20"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode != 0
    assert str(port) in done.stderr
    assert "in use" in done.stderr
    assert descendants_named(demo_folder) == []


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
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
