"""A broker with one board, in the test's own thread: what it says and does is up to the test.

It runs between two steps of virtual time, so that nothing depends on how fast the machine is.
"""

import contextlib
import socket

from agent.communication import frames


class Packet:
    """One packet from the board: `kind`, `flags` and `body`, for PUBLISH `topic` and `payload`."""

    def __init__(self, first, body):
        self.kind, self.flags, self.body = first >> 4, first & 15, body
        if self.kind == 3:
            size = int.from_bytes(body[:2], "big")
            self.topic, self.payload = body[2 : 2 + size].decode(), body[2 + size :]


class ScriptedBroker:
    """`packets`: what came in, of all sessions; `frames`: those in what was published on `up`;
    `links`: payloads published on `link`, retained. While `deaf` nothing is read, as over
    a half-open connection.
    """

    connack = b"\x20\x02\x00\x00"
    suback = b"\x90\x03\x00\x01\x01"

    def __init__(self):
        # The port stays the broker's own while it is dead: bound, and nobody listens.
        self._port = socket.socket()
        self._port.bind(("127.0.0.1", 0))
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = self._port.getsockname()[1]
        self._listener = None
        self.open()
        self._board = None
        self._held = b""
        self.packets, self.frames, self.links = [], [], []
        self.sessions = 0
        self.subscribed = False
        self.deaf = False
        self.acks = True
        self.pongs = True
        self.seen = set()
        self._decoder = frames.Decoder()

    def open(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.setblocking(False)

    def die(self):
        """Nothing listens any more, and the board is cut off."""
        self._listener.close()
        self._listener = None
        self.cut()

    def cut(self):
        if self._board:
            self._board.close()
        self._board = None

    def close(self):
        if self._listener:
            self._listener.close()
        self._port.close()
        self.cut()

    @property
    def connected(self):
        """Whether the board is there and listens."""
        return self._board is not None and self.subscribed

    def send(self, data):
        if self._board:
            with contextlib.suppress(OSError):
                self._board.send(data)

    def down(self, payload, topic="fanwise/home/b1/down", qos=0, retained=False):
        """A message to the board."""
        name = len(topic).to_bytes(2, "big") + topic.encode()
        body = name + (b"\x00\x09" if qos else b"") + payload
        size = len(body)
        length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
        self.send(bytes([0x30 | qos << 1 | retained]) + length + body)

    def poll(self):
        if self._listener and not self.deaf:
            with contextlib.suppress(BlockingIOError):
                self._board, _ = self._listener.accept()
                self._board.setblocking(False)
                # Between two steps of virtual time there is none for what TCP saves up.
                self._board.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._held = b""
                self.subscribed = False
                self.sessions += 1
        while self._board and not self.deaf:
            self._board.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            try:
                data = self._board.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.cut()
                return
            self._held += data
            while (packet := self._next()) is not None:
                self.packets.append(packet)
                self.take(packet)

    def _next(self):
        size = shift = 0
        for at, byte in enumerate(self._held[1:5], 1):
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                end = at + 1 + size
                if len(self._held) < end:
                    return None
                packet = Packet(self._held[0], self._held[at + 1 : end])
                self._held = self._held[end:]
                return packet
        return None

    def take(self, packet):
        if packet.kind == 1:
            self.send(self.connack)
        elif packet.kind == 8:
            self.send(self.suback)
            self.subscribed = True
        elif packet.kind == 12 and self.pongs:
            self.send(b"\xd0\x00")
        elif packet.kind == 3 and packet.topic.endswith("/link"):
            self.links.append(packet.payload)
        elif packet.kind == 3:
            for event in self._decoder.feed(packet.payload):
                assert event[0] == frames.FRAME, event
                self.frames.append(event[1])
                self._acknowledge(event[1])

    def _acknowledge(self, frame):
        if self.acks and frame["t"] in ("dec", "alarm"):
            key = [frame["boot"], frame["seq"]]
            self.seen.add(tuple(key))
            self.down(frames.encode({"t": "ack", "acks": [key]}))

    def of(self, kind):
        return [frame for frame in self.frames if frame["t"] == kind]
