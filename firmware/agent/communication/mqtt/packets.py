"""MQTT 3.1.1 as bytes, as far as a board needs it: pure, no socket.

Numbers in brackets are sections of the OASIS standard "MQTT Version 3.1.1".
"""

CONNACK = 2
PUBLISH = 3
PUBACK = 4
SUBACK = 9
PINGRESP = 13
# An event of Parser beside those above.
PAYLOAD = 0

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

QOS = 1
SUBSCRIBE_ID = 1
# Largest packet a broker may send; it bounds nothing in memory, as payloads pass through in pieces.
MAX_PACKET = 4096
# Packets other than PUBLISH that are for a board: length of the rest.
_SIZES = {CONNACK: 2, PUBACK: 2, SUBACK: 3, PINGRESP: 0}
_HEAD, _LENGTH, _SMALL, _TOPIC_SIZE, _TOPIC, _ID, _PAYLOAD = range(7)


class BrokerError(Exception):
    """What ends a connection, or keeps it from coming about. Its text is a code of
    agent/rare/link_words.py.
    """


def remaining_length(size: int) -> bytes:
    """[2.2.3] Raises ValueError from 256 MB on."""
    if not 0 <= size < 1 << 28:
        raise ValueError("packet of %d bytes" % size)
    out = bytearray()
    while True:
        size, byte = size >> 7, size & 127
        out.append(byte | 128 if size else byte)
        if not size:
            return bytes(out)


def _text(text):
    data = text.encode() if isinstance(text, str) else text
    if len(data) > 65535:
        raise ValueError("text of %d bytes" % len(data))
    return bytes((len(data) >> 8, len(data) & 255)) + data


def _packet(first, rest):
    return bytes((first,)) + remaining_length(len(rest)) + rest


def connect(client_id, keepalive_s, user, password, will_topic, will):
    """[3.1] A clean session; the will is retained, with QoS 1. Empty: none."""
    flags = 2
    payload = _text(client_id)
    if will_topic:
        flags |= 4 | QOS << 3 | 32
        payload += _text(will_topic) + _text(will)
    if user:
        flags |= 128
        payload += _text(user)
        if password:
            flags |= 64
            payload += _text(password)
    seconds = bytes((keepalive_s >> 8, keepalive_s & 255))
    return _packet(0x10, _text("MQTT") + bytes((4, flags)) + seconds + payload)


def subscribe(topic):
    """[3.8] To one topic, with QoS 1."""
    return _packet(0x82, bytes((0, SUBSCRIBE_ID)) + _text(topic) + bytes((QOS,)))


def publish_head(topic, size, retained=0):
    """[3.3] What stands before a payload of `size` bytes; QoS 0."""
    name = _text(topic)
    return bytes((0x30 | retained,)) + remaining_length(len(name) + size) + name


def puback(packet_id):
    """[3.4]"""
    return bytes((0x40, 2, packet_id >> 8, packet_id & 255))


class Parser:
    """Takes what a broker sends, in any pieces, and holds no more than a few bytes of it.

    topic: the one subscribed to. `strange`: messages that were skipped, because they came on
    another topic, or were retained and so nobody's wish of now.
    """

    def __init__(self, topic: bytes):
        self._topic = topic
        self._state = _HEAD
        self._kind = self._flags = 0
        self._left = 0  # bytes of the packet that are to come
        self._shift = 0
        self._small = bytearray(3)
        self._at = 0
        self._id = 0
        self._skip = False
        self.strange = 0

    def feed(self, data):
        """What `data` completes, in order: (PAYLOAD, bytes) for a piece of a message, (PUBLISH,
        packet id or 0) at its end, (CONNACK, code), (SUBACK, code), (PUBACK, 0), (PINGRESP, 0).

        Raises BrokerError; the connection is of no use any more.
        """
        events: list = []
        at = 0
        size = len(data)
        while at < size:
            if self._state == _PAYLOAD:
                n = min(self._left, size - at)
                if not self._skip:
                    events.append((PAYLOAD, bytes(data[at : at + n])))
                at += n
                self._left -= n
            else:
                self._byte(data[at], events)
                at += 1
            if self._state == _PAYLOAD and not self._left:
                if self._skip:
                    self.strange += 1
                events.append((PUBLISH, self._id))
                self._state = _HEAD
        return events

    def _byte(self, byte, events):
        state = self._state
        if state == _HEAD:
            self._begin(byte)
        elif state == _LENGTH:
            self._left |= (byte & 127) << self._shift
            self._shift += 7
            if byte & 128:
                if self._shift > 21:
                    raise BrokerError("garbage")
            else:
                self._sized(events)
        else:
            self._left -= 1
            if state == _SMALL:
                self._small[self._at] = byte
                self._at += 1
                if not self._left:
                    self._end_small(events)
            elif state == _TOPIC_SIZE:
                self._topic_size(byte)
            elif state == _TOPIC:
                if self._at < len(self._topic) and byte != self._topic[self._at]:
                    self._skip = True
                self._at += 1
                if self._at == self._id:
                    self._named()
            else:
                self._id = self._id << 8 | byte
                self._at += 1
                if self._at == 2:
                    if not self._id:
                        raise BrokerError("garbage")
                    self._state = _PAYLOAD

    def _begin(self, byte):
        self._kind = byte >> 4
        self._flags = byte & 15
        if self._kind == PUBLISH:
            # [3.3.1] No QoS 2 was asked for, and there is none above; DUP makes no sense without.
            if self._flags & 4 or self._flags & 10 == 8:
                raise BrokerError("garbage")
        elif self._kind not in _SIZES or self._flags:
            raise BrokerError("garbage")
        self._left = self._shift = 0
        self._state = _LENGTH

    def _sized(self, events):
        self._at = self._id = 0
        if self._kind == PUBLISH:
            if self._left > MAX_PACKET:
                raise BrokerError("oversize")
            if self._left < 2:
                raise BrokerError("garbage")
            self._state = _TOPIC_SIZE
            return
        if self._left != _SIZES[self._kind]:
            raise BrokerError("garbage")
        self._state = _SMALL
        if not self._left:
            self._end_small(events)

    def _end_small(self, events):
        small = self._small
        self._state = _HEAD
        code = 0
        if self._kind == CONNACK:
            # [3.2.2] No session can be present after a clean start.
            code = small[1]
            if small[0]:
                raise BrokerError("garbage")
        elif self._kind == SUBACK:
            code = small[2]
            if small[0] or small[1] != SUBSCRIBE_ID or code not in (0, 1, 2, 128):
                raise BrokerError("garbage")
        events.append((self._kind, code))

    def _topic_size(self, byte):
        self._id = self._id << 8 | byte
        self._at += 1
        if self._at < 2:
            return
        rest = self._id + (2 if self._flags & 6 else 0)
        if not self._id or rest > self._left:
            raise BrokerError("garbage")
        self._skip = self._id != len(self._topic) or bool(self._flags & 1)
        self._at = 0
        self._state = _TOPIC

    def _named(self):
        self._id = self._at = 0
        self._state = _ID if self._flags & 6 else _PAYLOAD
