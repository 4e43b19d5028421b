"""Clients that hold on to connections: half requests, too many of them, streams nobody reads."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from host.gateways.listening import listen
from host.gateways.web import connection
from host.gateways.web.connection import bounded_protocol
from host.gateways.web.server import Server
from tests.bridge.waiting import PATIENCE_S, eventually

HEAD = b"HTTP/1.1 200 OK"
streams: list[str] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    """/ answers at once, /slow after a second, /stream says much for ever."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    if scope["path"] == "/stream":
        try:
            streams.append("open")
            await asyncio.gather(_talk(send), _gone(receive))
        finally:
            streams.append("ended")
    await send({"type": "http.response.body", "body": b"done"})


async def _talk(send: Any) -> None:
    while True:
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await asyncio.sleep(0)  # what is sent to nobody takes no time at all


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ConnectionError


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connection, "HEADERS_S", 0.3)
    monkeypatch.setattr(connection, "UNREAD_S", 0.5)
    sock = listen("127.0.0.1", 0, "test", "--http")
    config = uvicorn.Config(app, log_config=None, lifespan="off", http=bounded_protocol())
    server = Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([sock])), daemon=True)
    thread.start()
    yield sock.getsockname()[1]
    server.should_exit = True
    thread.join(PATIENCE_S)


def connected(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(PATIENCE_S)
    sock.connect(("127.0.0.1", port))
    return sock


def ended(sock: socket.socket) -> bool:
    """Whether the other side ends it, rather than saying more."""
    try:
        return sock.recv(100) == b""
    except ConnectionResetError:
        return True


def asked(port: int, path: str) -> tuple[socket.socket, bytes]:
    """A connection, and what it is answered. Who has no time to ask before it is ended tries
    again: this machine may stand still for as long.
    """

    def try_once() -> tuple[socket.socket, bytes] | None:
        sock = connected(port)
        answer = b""
        with contextlib.suppress(ConnectionError):
            sock.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
            while not answer.endswith(b"0\r\n\r\n"):
                more = sock.recv(1000)
                if not more:
                    break
                answer += more
            else:
                return sock, answer
        sock.close()
        return None

    return eventually(try_once, what=path)


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: 127", b"GET / HTTP/1.1\r\n" * 9])
def test_half_a_request_is_not_waited_for_long(port: int, said: bytes) -> None:
    with connected(port) as sock, contextlib.suppress(BrokenPipeError):
        sock.sendall(said)
        assert ended(sock)


def test_a_second_request_has_as_long(port: int) -> None:
    sock, answer = asked(port, "/")
    with sock, contextlib.suppress(BrokenPipeError):
        assert answer.startswith(HEAD)
        sock.sendall(b"GET / HT")
        assert ended(sock)


def test_an_answer_may_take_longer(port: int) -> None:
    begun = time.monotonic()
    sock, answer = asked(port, "/slow")
    sock.close()
    assert b"done" in answer
    assert time.monotonic() - begun > 0.9


def test_a_stream_that_nobody_reads_ends(port: int) -> None:
    streams.clear()
    while not streams:  # ended before it could ask: again
        with connected(port) as sock:
            with contextlib.suppress(BrokenPipeError):
                sock.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually(lambda: streams == ["open", "ended"] or (not streams and ended(sock)))
    assert streams == ["open", "ended"]


def test_answers_do_not_wait_for_each_other() -> None:
    """Nagle's algorithm off, or a second write waits 40 ms for the first to be confirmed."""

    async def accepted() -> int:
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def comes(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sock = writer.get_extra_info("socket")
            told.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        sock = listen("127.0.0.1", 0, "test", "--http")
        async with await asyncio.start_server(comes, sock=sock):
            with socket.create_connection(sock.getsockname()[:2]):
                return await told

    assert asyncio.run(accepted())


class Transport:
    """Of a client elsewhere."""

    def __init__(self, address: str) -> None:
        self.peer = (address, 50000)
        self.aborted = False

    def get_extra_info(self, name: str) -> Any:
        return {"peername": self.peer, "sockname": ("192.0.2.1", 80)}.get(name)

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        pass


def test_one_address_has_so_many_connections() -> None:
    async def open_many() -> None:
        config = uvicorn.Config(app, log_config=None, http=bounded_protocol())
        config.load()
        state: Any = uvicorn.server.ServerState()
        made = []

        def comes(address: str) -> Transport:
            protocol = config.http_protocol_class(config, state, {})  # type: ignore[call-arg]
            transport = Transport(address)
            protocol.connection_made(transport)  # type: ignore[arg-type]
            made.append(protocol)
            return transport

        from_one = [comes("192.0.2.7").aborted for _ in range(connection.MOST_EACH + 3)]
        assert from_one == [False] * connection.MOST_EACH + [True] * 3
        assert not comes("192.0.2.8").aborted
        assert not comes("2001:db8::1").aborted
        for here in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            assert not any(comes(here).aborted for _ in range(connection.MOST_EACH + 3))
        for protocol in made:
            protocol.connection_lost(None)
        assert not comes("192.0.2.7").aborted

    asyncio.run(open_many())
