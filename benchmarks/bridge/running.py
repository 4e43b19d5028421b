"""The processes of a measurement: the bridge, mosquitto, and whoever plays the boards."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.bridge.measured import Usage

ROOT = Path(__file__).resolve().parents[2]
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/opt/homebrew/sbin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """A broker on loopback; its port."""
    if MOSQUITTO is None:
        raise RuntimeError("mosquitto is not installed")
    port = free_port()
    settings = folder / f"mosquitto-{port}.conf"
    limits = "max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{limits}")
    process = subprocess.Popen([MOSQUITTO, "-c", settings], stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _listens(port), 20)
        yield port
    finally:
        _end(process)


@contextlib.contextmanager
def played(module: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """A process of this package that says "ready" and runs until its input closes."""
    command = [sys.executable, "-m", f"benchmarks.bridge.{module}", *(str(w) for w in words)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{module} did not start")
        yield process
    finally:
        _end(process)


def counts(process: subprocess.Popen[str]) -> dict[str, Any]:
    """End a played process; what it counted."""
    out, _ = process.communicate(timeout=60)
    counted: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return counted


class Bridge:
    """`python -m host.bridge` with a store, a page and a configuration of its own."""

    def __init__(self, folder: Path, toml: str, *words: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.store = folder / "store.db"
        file = folder / "bridge.toml"
        file.write_text(toml)
        command = [sys.executable, "-m", "host.bridge", "--config", str(file), *words]
        command += ["--store", str(self.store), "--http", self.url.removeprefix("http://")]
        begun = time.monotonic()
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        with contextlib.suppress(PermissionError):
            # Boards, broker and watchers have machines of their own in life.
            os.setpriority(os.PRIO_PROCESS, self.process.pid, -10)
        _until(self.ready, 60)
        self.start_s, self.start_cpu_s = time.monotonic() - begun, self.usage().cpu_s

    def usage(self) -> Usage:
        return Usage.of(self.process.pid)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError("the bridge did not start")
        try:
            return bool(self.get("/ready")["ready"])
        except (urllib.error.URLError, ConnectionError):
            return False

    def online(self) -> int:
        return sum(board["status"] == "online" for board in self.get("/api/status")["boards"])

    def wait_online(self, count: int, timeout_s: float = 180) -> None:
        _until(lambda: self.online() >= count, timeout_s, 1.0)

    def __enter__(self) -> "Bridge":
        return self

    def __exit__(self, *_: object) -> None:
        _end(self.process)


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _until(check: Any, timeout_s: float, every_s: float = 0.01) -> None:
    until = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > until:
            raise RuntimeError(f"not within {timeout_s:.0f} s: {check}")
        time.sleep(every_s)
