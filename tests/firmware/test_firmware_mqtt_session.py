"""A session against a socket that does as it is told, and the pauses between sessions."""

import pytest
from mqtt_parts import CONNACK, PING, SUBACK, TOPICS, Wire, down

from agent.communication import frames
from agent.communication.mqtt import packets, session
from agent.communication.mqtt.packets import BrokerError
from agent.communication.mqtt.pause import Pause
from agent.communication.mqtt.session import QUEUE_BYTES, SEND_BYTES, Buffers, Session

PONG = b"\xd0\x00"
KEEPALIVE_MS = 30000


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def up(wire):
    """A session that is up at 0 ms, with nothing on the wire."""
    one = Session(wire, TOPICS, KEEPALIVE_MS, Buffers(), 0)
    wire.incoming = CONNACK + SUBACK
    one.look(0)
    one.look(0)
    assert one.state == session.UP
    assert wire.sent == packets.subscribe(TOPICS.down) + (
        packets.publish_head(TOPICS.link, 6, 1) + b"online"
    )
    wire.sent = b""
    return one


def test_frames_go_up_and_come_down(up, wire):
    up.publish(PING)
    wire.incoming = down(PING + PING) + down(b"no frame at all") + down(PING, flags=1)
    assert [frame["id"] for frame in up.look(1)] == ["1", "1"]
    assert wire.sent == packets.publish_head(TOPICS.up, len(PING)) + PING
    assert up.bad == 15 + 1  # text, and a retained message


def test_a_frame_in_two_messages_is_none(up, wire):
    wire.incoming = down(PING[:20]) + down(PING[20:])
    assert up.look(1) == []
    assert up.bad == len(PING)


def test_what_comes_with_qos_1_is_confirmed(up, wire):
    rest = TOPICS.down
    body = len(rest).to_bytes(2, "big") + rest + b"\x00\x09" + PING
    wire.incoming = b"\x32" + packets.remaining_length(len(body)) + body
    assert len(up.look(1)) == 1
    up.look(2)
    assert wire.sent == packets.puback(9)


def test_a_line_too_slow_is_not_waited_for_and_loses_what_is_too_much(up, wire):
    lines = [frames.encode({"t": "tel", "seq": n, "x": "y" * 500}) for n in range(20)]
    wire.takes = 0
    for line in lines:
        up.publish(line)
        up.look(1)
    assert wire.sent == b""
    kept = 20 - up.dropped
    there = QUEUE_BYTES + SEND_BYTES
    assert kept * len(lines[0]) <= there < (kept + 2) * (len(lines[0]) + 60)
    for _ in range(400):
        wire.takes = 37
        up.look(2)
    expected = b"".join(packets.publish_head(TOPICS.up, len(x)) + x for x in lines[:kept])
    assert wire.sent == expected
    up.publish(PING)
    wire.takes = None
    up.look(3)
    assert wire.sent == expected + packets.publish_head(TOPICS.up, len(PING)) + PING


def test_pings_and_what_is_no_sign_of_life(up, wire):
    half = KEEPALIVE_MS // 2
    up.look(half - 1)
    assert wire.sent == b""
    up.look(half)
    up.look(half)
    assert wire.sent == packets.PINGREQ
    wire.incoming = PONG
    up.look(half + 100)
    wire.sent = b""
    # A packet that goes on and on.
    wire.incoming = b"\x30\xff\x1f\x00"
    end = 2 * half + 100
    up.look(end - 1)
    wire.incoming = b"\x16"
    up.look(end)
    up.look(end + half - 1)
    assert wire.sent == packets.PINGREQ
    wire.incoming = TOPICS.down[:3]
    with pytest.raises(BrokerError, match="silent"):
        up.look(end + half)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x20\x02\x00\x01", "connack 1"),
        (b"\x20\x02\x00\x05", "connack 5"),
        (b"\x20\x02\x00\xff", "connack 255"),
        (SUBACK, "garbage"),
        (PONG, "garbage"),
        (CONNACK + CONNACK, "garbage"),
        (CONNACK + b"\x90\x03\x00\x01\x80", "suback"),
        (CONNACK + down(PING), "garbage"),
        (b"HTTP/1.1 400 Bad Request\r\n", "garbage"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "garbage"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "garbage"),  # a TLS alert
    ],
)
def test_who_is_no_broker_for_us(wire, said, code):
    one = Session(wire, TOPICS, KEEPALIVE_MS, Buffers(), 0)
    wire.incoming = said
    with pytest.raises(BrokerError, match=code):
        one.look(1)


@pytest.mark.parametrize("said", [b"", CONNACK])
def test_who_never_answers(wire, said):
    one = Session(wire, TOPICS, KEEPALIVE_MS, Buffers(), 0)
    wire.incoming = said
    one.look(session.ANSWER_MS - 1)
    with pytest.raises(BrokerError, match="silent"):
        one.look(session.ANSWER_MS)


def test_the_end_is_said(up, wire):
    up.end()
    assert wire.sent == packets.publish_head(TOPICS.link, 7, 1) + b"offline" + packets.DISCONNECT


def test_pauses_grow_and_differ():
    for _ in range(20):
        pause, now, lengths = Pause(1000, 8000), 0, []
        for _ in range(6):
            pause.begin(now)
            until = next(ms for ms in range(now, now + 9000) if pause.over(ms))
            lengths.append(until - now)
            now = until
        for length, most in zip(lengths, (1000, 2000, 4000, 8000, 8000, 8000), strict=True):
            assert most // 2 <= length <= most
        pause.reset()
        pause.begin(now)
        assert pause.over(now + 1000)
