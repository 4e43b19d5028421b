"""One MQTT session over a non-blocking socket: from CONNACK to whatever ends it.

    greeting     CONNECT is out, CONNACK to come
    subscribing  let in; SUBACK to come
    up           told `online`; frames go both ways

What goes up has QoS 0. Frames that must not be lost are repeated until the bridge has stored them,
which a broker's PUBACK says nothing about; so QoS 1 would cost memory and save no repetition.
"""

from ..frames import FRAME, Decoder
from ..link import MAX_BYTES, MAX_COMMAND
from . import packets
from .packets import (
    CONNACK,
    PAYLOAD,
    PUBLISH,
    SUBACK,
    BrokerError,
    Parser,
    puback,
    publish_head,
)

GREETING = "greeting"
SUBSCRIBING = "subscribing"
UP = "up"
# From CONNECT to SUBACK.
ANSWER_MS = 15000
SEND_BYTES = 512
# What may wait for a socket that takes nothing more. Beyond it frames are dropped, and counted; one
# frame always may.
QUEUE_BYTES = 3072


class Topics:
    """Of one board, as bytes."""

    def __init__(self, site, device):
        base = "fanwise/%s/%s/" % (site, device)
        self.up = (base + "up").encode()
        self.down = (base + "down").encode()
        self.link = (base + "link").encode()


class Buffers:
    """What a session reads into and sends from, made once."""

    def __init__(self):
        self.incoming = bytearray(MAX_BYTES)
        self.outgoing = bytearray(SEND_BYTES)


class Session:
    """socket: has write(data) and readinto(buffer), which return None where they would wait.

    topics: `up`, `down` and `link`. look() and publish() raise BrokerError, whose text is a
    code of agent/rare/link_words.py, or OSError; then the session is over. `bad`: bytes of messages
    that were no frame, and messages that were skipped; `dropped`: frames the socket did not take.
    """

    def __init__(self, socket, topics, keepalive_ms, buffers, now_ms):
        self.state = GREETING
        self.bad = 0
        self.dropped = 0
        self._socket = socket
        self._topics = topics
        self._ping_ms = keepalive_ms // 2
        self._since_ms = self._heard_ms = now_ms
        self._pinged_ms = None
        self._in = buffers.incoming
        self._out = buffers.outgoing
        self._filled = self._sent = 0
        self._queue: list = []
        self._queued = 0
        self._offset = 0  # into the first of the queue
        self._parser = Parser(topics.down)
        self._decoder = Decoder(MAX_COMMAND)

    def look(self, now_ms: int) -> list:
        """Sends what waits and takes what has come, at most 256 bytes of it; returns frames."""
        self._pump()
        frames: list = []
        n = self._socket.readinto(self._in)
        if n == 0:
            raise BrokerError("closed")
        if n:
            for kind, what in self._parser.feed(memoryview(self._in)[:n]):
                self._take(kind, what, frames, now_ms)
            if self._parser.strange:
                self.bad += self._parser.strange
                self._parser.strange = 0
        self._keep_alive(now_ms)
        return frames

    def _take(self, kind, what, frames, now_ms):
        if kind == PAYLOAD:
            if self.state != UP:
                raise BrokerError("garbage")
            self._decode(self._decoder.feed(what), frames)
            return
        # A packet is proof of life only when it ends: one that never does must not pass for it.
        self._heard_ms = now_ms
        self._pinged_ms = None
        if kind == PUBLISH:
            # Frames are whole in a message: what is left of one is none.
            self._decode(self._decoder.flush(), frames)
            if what:
                self._put(puback(what))
        elif kind == CONNACK:
            if self.state != GREETING:
                raise BrokerError("garbage")
            if what:
                raise BrokerError("connack %d" % what)
            self.state = SUBSCRIBING
            self._put(packets.subscribe(self._topics.down))
        elif self.state == GREETING:
            raise BrokerError("garbage")
        elif kind == SUBACK:
            if what == 128:
                raise BrokerError("suback")
            if self.state == SUBSCRIBING:
                self.state = UP
                self._put(publish_head(self._topics.link, 6, 1) + b"online")

    def _decode(self, events, frames):
        for event in events:
            if event[0] == FRAME:
                frames.append(event[1])
            else:
                self.bad += len(event[1])

    def _keep_alive(self, now_ms):
        if self.state != UP:
            if now_ms - self._since_ms >= ANSWER_MS:
                raise BrokerError("silent")
        elif self._pinged_ms is not None:
            if now_ms - self._pinged_ms >= self._ping_ms:
                raise BrokerError("silent")
        elif now_ms - self._heard_ms >= self._ping_ms:
            self._pinged_ms = now_ms
            self._put(packets.PINGREQ)

    def publish(self, line: bytes) -> None:
        """One frame up; dropped where too much waits already."""
        if self._queued and self._queued + len(line) > QUEUE_BYTES:
            self.dropped += 1
            return
        self._put(publish_head(self._topics.up, len(line)))
        self._put(line)

    def end(self):
        """Says `offline`, as far as the socket takes it at once."""
        if self.state == UP:
            self._put(publish_head(self._topics.link, 7, 1) + b"offline")
        self._put(packets.DISCONNECT)
        self._pump()

    def _put(self, data):
        self._queue.append(data)
        self._queued += len(data)

    def _pump(self):
        while self._sent < self._filled or self._fill():
            n = self._socket.write(memoryview(self._out)[self._sent : self._filled])
            if not n:
                return
            self._sent += n

    def _fill(self):
        # The next bytes of the queue: small packets leave together, large ones in pieces.
        at = 0
        queue = self._queue
        while queue and at < SEND_BYTES:
            first = queue[0]
            n = min(SEND_BYTES - at, len(first) - self._offset)
            self._out[at : at + n] = memoryview(first)[self._offset : self._offset + n]
            at += n
            self._offset += n
            if self._offset == len(first):
                queue.pop(0)
                self._offset = 0
        self._sent = 0
        self._filled = at
        self._queued -= at
        return at


def shut(socket):
    """Closes a socket, if it is one."""
    if socket is not None:
        try:
            socket.close()
        except Exception:
            pass
