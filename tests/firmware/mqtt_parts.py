"""Stand-ins for what a session speaks through, and what a broker says."""

from agent.communication import frames
from agent.communication.mqtt import packets
from agent.communication.mqtt.session import Topics

CONNACK = b"\x20\x02\x00\x00"
SUBACK = b"\x90\x03\x00\x01\x01"
TOPICS = Topics("home", "b1")
PING = frames.encode({"t": "cmd", "id": "1", "name": "ping"})


class Wire:
    """A socket. `takes`: bytes it has room for, None for any number; `sent`: what it took."""

    def __init__(self):
        self.incoming, self.sent = b"", b""
        self.takes = None
        self.closed = False

    def write(self, data):
        n = len(data) if self.takes is None else min(self.takes, len(data))
        if not n:
            return None
        if self.takes is not None:
            self.takes -= n
        self.sent += bytes(data[:n])
        return n

    def readinto(self, buffer):
        if not self.incoming:
            return 0 if self.closed else None
        n = min(len(buffer), len(self.incoming))
        buffer[:n], self.incoming = self.incoming[:n], self.incoming[n:]
        return n

    def close(self):
        self.closed = True


def down(payload, flags=0):
    return packets.publish_head(TOPICS.down, len(payload), flags) + payload
