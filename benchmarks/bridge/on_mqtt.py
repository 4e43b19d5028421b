"""Plays boards behind a broker: `python -m benchmarks.bridge.on_mqtt PORT --boards 2000`.

A few connections carry all boards: what the bridge sees is the same. The packets (MQTT 3.1.1, QoS
0) are made here, because a client library would need more of the machine than the bridge. Says
"ready", runs until its input closes, prints what it counted.
"""

import argparse
import heapq
import json
import random
import selectors
import socket
import sys
import time

from agent.communication import frames
from benchmarks.bridge.board import Board

CONNECTIONS = 8
KEEPALIVE_S = 60


class Connection:
    """The boards of one connection, by the topic they listen to."""

    def __init__(self, port: int, number: int) -> None:
        self.boards: dict[bytes, Board] = {}
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = _text(b"boards-%d" % number)
        self.socket.sendall(_packet(0x10, _text(b"MQTT") + b"\x04\x02\x00\x3c" + name))
        self._held = b""

    def add(self, board: Board) -> None:
        topic = b"fanwise/home/%s/down" % board.device.encode()
        self.boards[topic] = board
        self.socket.sendall(_packet(0x82, b"\x00\x01" + _text(topic) + b"\x00"))
        self.publish(board, board.hello())

    def publish(self, board: Board, data: bytes) -> None:
        if data:
            topic = _text(b"fanwise/home/%s/up" % board.device.encode())
            self.socket.sendall(_packet(0x30, topic + data))

    def publish_plain(self, board: Board) -> None:
        topic = _text(b"plain/%s/data" % board.device.encode())
        self.socket.sendall(_packet(0x30, topic + frames.to_json({"t": "tel", **board.readings()})))

    def ping(self) -> None:
        self.socket.sendall(b"\xc0\x00")

    def read(self) -> None:
        self._held += self.socket.recv(1 << 18)
        while len(self._held) >= 2:
            size, at, shift = 0, 1, 0
            while at < len(self._held):
                size |= (self._held[at] & 0x7F) << shift
                shift += 7
                at += 1
                if self._held[at - 1] < 0x80:
                    break
            else:
                return
            if len(self._held) < at + size:
                return
            first, body = self._held[0], self._held[at : at + size]
            self._held = self._held[at + size :]
            if first >> 4 == 3:
                end = 2 + int.from_bytes(body[:2], "big")
                board = self.boards[body[2:end]]
                self.publish(board, board.received(body[end:]))


def _packet(first: int, body: bytes) -> bytes:
    length, left = bytearray(), len(body)
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((first, *length, left)) + body


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--boards", type=int, default=2000)
    parser.add_argument("--decide-s", type=float, default=60.0, help="mean time between records")
    parser.add_argument("--plain", action="store_true", help="readings as JSON, nothing else")
    given = parser.parse_args()
    connections = [Connection(given.port, number) for number in range(CONNECTIONS)]
    boards = [Board(f"board-{n}") for n in range(given.boards)]
    for n, board in enumerate(boards):
        connections[n % CONNECTIONS].add(board)
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    selector.register(sys.stdin, selectors.EVENT_READ, None)
    print("ready", flush=True)
    now = ping = time.monotonic()
    due = [(now + random.random(), n) for n in range(given.boards)]
    heapq.heapify(due)
    telemetry = 0
    while True:
        for key, _ in selector.select(max(0.0, due[0][0] - time.monotonic())):
            if key.data is None:
                told = {"telemetry": telemetry, "made": sum(board.made for board in boards)}
                told["acknowledged"] = sum(board.acknowledged for board in boards)
                print(json.dumps(told), flush=True)
                return
            key.data.read()
        now = time.monotonic()
        if now > ping + KEEPALIVE_S / 3:
            ping = now
            for connection in connections:
                connection.ping()
        while due[0][0] <= now:
            at, n = heapq.heappop(due)
            board, connection = boards[n], connections[n % CONNECTIONS]
            telemetry += 1
            if given.plain:
                connection.publish_plain(board)
                heapq.heappush(due, (max(at, now - 1) + 1.0, n))
                continue
            connection.publish(board, board.telemetry())
            connection.publish(board, board.repeats())
            if random.random() < 1 / given.decide_s:
                connection.publish(board, board.decide())
            heapq.heappush(due, (max(at, now - 1) + 1.0, n))


if __name__ == "__main__":
    main()
