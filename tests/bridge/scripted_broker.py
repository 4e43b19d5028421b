"""A broker as slow, or as silent, as a test asks. MQTT 3.1.1, as far as a bridge speaks it."""

import contextlib
import socket
import threading
from typing import BinaryIO


class ScriptedBroker:
    """What it does with whoever connects is decided by its attributes, at each packet anew."""

    def __init__(self) -> None:
        self.answers = True  # CONNECT; else it takes the connection and says nothing
        self.confirms = True  # PUBLISH with QoS 1
        self.allowed: threading.Semaphore | None = None  # a confirmation each
        self.reads = threading.Event()
        self.reads.set()
        self.connections = 0
        self.published: list[tuple[str, bytes]] = []
        self._open: list[socket.socket] = []
        self.ended = 0  # connections that the other side, or `drop`, ended
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def on(self, topic: str) -> list[bytes]:
        """What was published there and, if it is to be, confirmed: in order."""
        return [payload for name, payload in list(self.published) if name == topic]

    def drop(self) -> None:
        """End all connections."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        self.reads.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self.connections += 1
                self._open.append(peer)
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with (
            contextlib.suppress(OSError, EOFError, ValueError),
            peer,
            peer.makefile("rb") as stream,
        ):
            while True:
                self.reads.wait()
                head, body = _packet(stream)
                peer.sendall(self._answer(head, body))
                if head >> 4 == 3:
                    self.published.append(_message(head, body)[:2])
        self.ended += 1

    def _answer(self, head: int, body: bytes) -> bytes:
        match head >> 4:
            case 1 if self.answers:
                return b"\x20\x02\x00\x00"
            case 3:
                return self._confirmation(_message(head, body)[2])
            case 8:
                granted = b"\x01" * _filters(body)
                return bytes([0x90, 2 + len(granted)]) + body[:2] + granted
            case 12:
                return b"\xd0\x00"
            case 14:
                raise EOFError
        return b""

    def _confirmation(self, identifier: bytes) -> bytes:
        if not identifier or not self.confirms:
            return b""
        if self.allowed:
            self.allowed.acquire()
        return b"\x40\x02" + identifier


def _message(head: int, body: bytes) -> tuple[str, bytes, bytes]:
    """Topic, payload, and the identifier, which with QoS 0 is empty."""
    end = 2 + int.from_bytes(body[:2], "big")
    identifier = body[end : end + 2] if head >> 1 & 3 else b""
    return body[2:end].decode(), body[end + len(identifier) :], identifier


def _packet(stream: BinaryIO) -> tuple[int, bytes]:
    """Its first byte, and what is behind its length."""
    head, length, shift = _exactly(stream, 1)[0], 0, 0
    while True:
        digit = _exactly(stream, 1)[0]
        length |= (digit & 127) << shift
        shift += 7
        if digit < 128:
            return head, _exactly(stream, length)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _filters(body: bytes) -> int:
    """How many a SUBSCRIBE asks for."""
    at, count = 2, 0
    while at < len(body):
        at += 3 + int.from_bytes(body[at : at + 2], "big")
        count += 1
    return count
