"""A bridge as its users run it: a process of its own, watched through its API."""

import atexit
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host.bridge import config
from host.bridge.errors import ConfigError
from tests.bridge.fake_board import FakeBoard
from tests.bridge.mosquitto import Mosquitto
from tests.bridge.ports import free_port
from tests.bridge.receivers import Listener
from tests.bridge.waiting import PATIENCE_S, eventually

ROOT = Path(__file__).resolve().parents[2]
# Far below what a bridge would take that waited for those who do not let go.
STOPPED_S = 30.0


def refused(folder: Path, toml: str) -> ConfigError:
    """What is wrong with a configuration of one port and `toml`, which has to be refused."""
    file = folder / "bridge.toml"
    file.write_text("ports = ['/dev/ptmx']\n" + toml)
    with pytest.raises(ConfigError) as error:
        config.load(file, {})
    return error.value


class Bridge:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store.db"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"
        self.out = folder / "out"

    def start(
        self,
        *arguments: str,
        wait: bool = True,
        http: bool = True,
        path: str = "",
        module: str = "host.bridge",
        command: list[str] | None = None,
        cwd: Path = ROOT,
    ) -> "Bridge":
        if command is None:
            command = [sys.executable, "-m", module, "--store", str(self.store)]
            command += ["--http", f"127.0.0.1:{self.port}"] if http else []
            command += ["--print-decisions", *arguments]
        env = {**os.environ, "PYTHONPATH": f"{cwd}:{cwd / 'firmware'}:{path}"}
        atexit.register(self.end)
        with self.log.open("ab") as log, self.out.open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=log, cwd=cwd, env=env)
        if wait:
            eventually(self.ready, what="bridge is ready")
        return self

    def ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.get("/ready")["ready"])
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> Any:
        return self.request(path, headers=headers)[1]

    def request(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.url + path, data, headers or {})
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode()

    def command(self, device: str, name: str, **args: int) -> tuple[int, Any]:
        token = self.get("/api/session")["csrf"]
        body = {"device": device, "name": name, "args": args}
        return self.request("/api/commands", body, {"X-Fanwise-CSRF": token})

    def board(self, device: str) -> dict[str, Any] | None:
        boards = self.get("/api/boards")["boards"]
        return next((b for b in boards if b["device"] == device), None)

    def status(self, device: str) -> str | None:
        board = self.board(device)
        return board["status"] if board else None

    def keys(self, device: str) -> list[tuple[int, int]]:
        """(boot, seq) of all stored records, straight from the file."""
        sql = "SELECT boot, seq FROM records WHERE device=? ORDER BY boot, seq"
        uri = f"file:{self.store}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, PATIENCE_S, uri=True)) as db:
            return [tuple(row) for row in db.execute(sql, (device,))]

    def delivered(self, gateway: str) -> bool:
        """Whether nothing waits for a gateway any more: what it has sent will not come again."""
        waiting = f'fanwise_gateway_waiting_records{{gateway="{gateway}"}} 0.0'
        return waiting in self.request("/metrics")[1].splitlines()

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def end(self) -> None:
        """Kill it if it runs: one that is left would take the boards of later tests for its own,
        as soon as one of them gets the number of its old terminal.
        """
        if self.process and self.process.poll() is None:
            self.kill()

    def stop(self) -> float:
        """SIGTERM, and it ends, whatever it is in the middle of; after how many seconds."""
        assert self.process
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOPPED_S) == 0
        return time.monotonic() - begun


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    made = Bridge(tmp_path)
    yield made
    made.end()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[FakeBoard]:
    with FakeBoard(tmp_path / "board", "box-one", boot=7) as made:
        yield made


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def listen() -> Iterator[Callable[[int], Listener]]:
    made: list[Listener] = []

    def make(port: int) -> Listener:
        made.append(Listener(port))
        return made[-1]

    yield make
    for each in made:
        each.close()
