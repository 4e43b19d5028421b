"""Webhook, file, and the gateway written in the docs: every alarm at least once, whatever fails."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import resource
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from host.bridge.records import Record
from host.gateways.file import FileConfig, FileGateway, _cut_torn_line
from tests.bridge.conftest import ROOT, Bridge, eventually, refused
from tests.bridge.fake_board import FakeBoard
from tests.bridge.ports import free_port
from tests.bridge.waiting import PATIENCE_S

SECRET = "a-secret-for-signing"
CASES = [
    ("[webhook]", "url"),
    ("[webhook]\nurl = 'ftp://x'", "url"),
    ("[webhook]\nurl = 'http://example.net/x'", "https://"),
    ("[webhook]\nurl = 'https://me:hush@example.net/x'", "secret_file"),
    ("[webhook]\nurl = 'https://example.net/x'\nkinds = ['all']", "alarms, decisions"),
    ("[file]\npath = '/tmp'", "folder"),
    ("[file]\npath = '/tmp/x'\nmax_mb = 0", "[file] max_mb"),
]


@pytest.mark.parametrize(("toml", "words"), CASES)
def test_wrong_settings(tmp_path: Path, toml: str, words: str) -> None:
    error = refused(tmp_path, toml)
    assert any(words in problem for problem in error.problems), error.problems
    assert "hush" not in str(error)


class Receiver:
    """A web server of ours that answers as told."""

    def __init__(self, port: int) -> None:
        self.answers: list[int] = []
        self.posts: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.answers.pop(0) if receiver.answers else 204
                if status == 204:
                    receiver.posts.append((dict(self.headers), body))
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def alarm(board: FakeBoard, number: int) -> None:
    board.durable("alarm", kind="fan", on=number % 2, why=f"alarm {number}", val=number)


def test_webhook(bridge: Bridge, board: FakeBoard, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    port = free_port()
    file = tmp_path / "bridge.toml"
    file.write_text(
        f"[webhook]\nurl = 'http://127.0.0.1:{port}/in'\nsecret_file = '{tmp_path / 'secret'}'\n"
        "timeout_s = 60\n"
    )
    bridge.start("--config", str(file), "--port", str(board.path))
    for number in range(1, 6):
        alarm(board, number)
    board.decide()
    eventually(lambda: not board.queue, what="nobody listens, and still all is taken")
    receiver = Receiver(port)
    # A server error, a redirect (not followed) and one it never wants.
    receiver.answers = [503, 302, 400]
    try:
        eventually(lambda: len(receiver.posts) == 4)
        # Killed before it has noted the last one it would post it again, as it may.
        eventually(lambda: bridge.delivered(f"webhook:http://127.0.0.1:{port}/in"))
        bridge.kill()
        bridge.start("--config", str(file), "--port", str(board.path))
        alarm(board, 6)
        eventually(lambda: len(receiver.posts) == 5)
    finally:
        receiver.close()
    bodies = [json.loads(body) for _, body in receiver.posts]
    assert [body["record"]["why"] for body in bodies] == [f"alarm {n}" for n in range(2, 7)]
    assert {body["device"] for body in bodies} == {"box-one"}
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.posts}) == 5
    for headers, body in receiver.posts:
        expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers["X-Fanwise-Signature"] == f"sha256={expected}"
    said = bridge.log.read_text()
    assert "does not want a record" in said
    assert SECRET not in said


HANGING = [(b"", 60), (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2000, 1.5)]


@pytest.mark.parametrize(("says", "timeout_s"), HANGING, ids=("hangs", "drips"))
def test_a_webhook_that_hangs_or_drips_holds_up_nothing(
    bridge: Bridge, board: FakeBoard, tmp_path: Path, says: bytes, timeout_s: float
) -> None:
    asked = threading.Semaphore(0)

    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for byte in says:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                kept.append(server.accept()[0])
                asked.release()
                threading.Thread(target=drip, args=(kept[-1],), daemon=True).start()

    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=serve, args=(server,), daemon=True)
        serving.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/in"
        file = tmp_path / "bridge.toml"
        file.write_text(f"[webhook]\nurl = '{url}'\ntimeout_s = {timeout_s}\n")
        bridge.start("--config", str(file), "--port", str(board.path))
        alarm(board, 1)
        assert asked.acquire(timeout=PATIENCE_S)
        if timeout_s < 5:
            assert asked.acquire(timeout=PATIENCE_S), "given up and tried again"
            assert "no answer within 1.5 s" in bridge.log.read_text()
        bridge.stop()
        # Else it would wait on, and take a connection of whoever gets this one's descriptor.
        server.shutdown(socket.SHUT_RDWR)
        serving.join(PATIENCE_S)
    for each in kept:
        each.close()


def test_file(bridge: Bridge, board: FakeBoard, tmp_path: Path) -> None:
    path = tmp_path / "alarms" / "alarms.jsonl"
    settings = tmp_path / "bridge.toml"
    settings.write_text(f"[file]\npath = '{path}'\nkinds = ['alarms', 'decisions']\n")
    command = ("--config", str(settings), "--port", str(board.path))
    bridge.start(*command)
    for number in range(1, 11):
        alarm(board, number)
        board.decide()
    eventually(lambda: path.exists() and path.read_text().count("\n") == 20)
    bridge.kill()
    with path.open("a") as file:
        file.write('{"site": "home", "torn')
    bridge.start(*command)
    assert bridge.process
    limit = (path.stat().st_size + 300, -1)
    before = resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE, limit)
    alarm(board, 11)
    alarm(board, 12)
    alarm(board, 13)
    eventually(lambda: "takes nothing now" in bridge.log.read_text())
    resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE, before)
    eventually(lambda: "alarm 13" in path.read_text())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    said = [line["why"] for line in lines if line["t"] == "alarm"]
    # The limit holds for the store, too: what it refused the board repeats, in another order.
    assert set(said) == {f"alarm {n}" for n in range(1, 14)}
    assert {line["device"] for line in lines} == {"box-one"}


def test_a_file_that_was_written_again_is_new_trouble_the_next_time(tmp_path: Path) -> None:
    core = Mock(deliveries={}, site="home")
    gateway = FileGateway(core, FileConfig(tmp_path / "x", (), 10**6, 1))
    for _ in range(5):
        gateway._backoff.delay_s()
    gateway._told = True
    asyncio.run(gateway._send([Record(1, "box", 1, 1, "dec", 0, {"t": "dec"})]))
    assert gateway._backoff.delay_s() <= 1.0
    assert not gateway._told


@pytest.mark.parametrize(
    ("content", "left"),
    [(b"", b""), (b"a\nb\n", b"a\nb\n"), (b"a\nbc", b"a\n"), (b"torn", b"")],
)
def test_a_torn_line_is_cut_away(tmp_path: Path, content: bytes, left: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    _cut_torn_line(path)
    assert path.read_bytes() == left


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The module written out in docs/gateways.md."""
    text = (ROOT / "docs" / "gateways.md").read_text()
    found = re.search(r"```python\n(.*?)```", text, re.S)
    assert found
    assert found[1].count("\n") < 60
    (tmp_path / "lamp.py").write_text(found[1])
    return tmp_path


def test_the_gateway_of_the_docs(bridge: Bridge, board: FakeBoard, example: Path) -> None:
    lamp = example / "lamp"
    settings = example / "bridge.toml"
    settings.write_text(f"[gateways.lamp]\nmodule = 'lamp'\npath = '{lamp}'\n")
    bridge.start("--config", str(settings), "--port", str(board.path), path=str(example))
    eventually(lambda: lamp.exists() and lamp.read_text() == "0")
    alarm(board, 1)
    eventually(lambda: lamp.read_text() == "1")
    eventually(lambda: "alarm 1" in bridge.log.read_text())
    alarm(board, 2)
    eventually(lambda: lamp.read_text() == "0")
