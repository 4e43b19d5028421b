"""MQTT 3.1.1, DNS and SNTP as bytes: tables of cases, and any bytes at all."""

import struct

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.communication.mqtt import packets
from agent.communication.mqtt.packets import (
    CONNACK,
    PAYLOAD,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    BrokerError,
    Parser,
)
from agent.rare import names

TOPIC = b"a/b"


def message(payload=b"xyz", topic=TOPIC, flags=0, packet_id=b""):
    rest = struct.pack(">H", len(topic)) + topic + packet_id + payload
    return bytes([0x30 | flags]) + packets.remaining_length(len(rest)) + rest


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (16383, "ff7f"),
        (16384, "808001"),
        (2097151, "ffff7f"),
        (2097152, "80808001"),
        (268435455, "ffffff7f"),
    ],
)
def test_remaining_length_as_in_the_standard(size, expected):
    assert packets.remaining_length(size).hex() == expected


@pytest.mark.parametrize("size", [-1, 1 << 28])
def test_a_packet_has_less_than_256_mb(size):
    with pytest.raises(ValueError, match="packet of"):
        packets.remaining_length(size)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("b1", 20, "", "", "", ""), "100e 00044d515454 04 02 0014 00026231"),
        (("b1", 20, "", "pw", "", ""), "100e 00044d515454 04 02 0014 00026231"),
        (("b1", 20, "u", "", "", ""), "1011 00044d515454 04 82 0014 00026231 000175"),
        (
            ("b1", 600, "u", "pw", b"t", "lost"),
            "101e 00044d515454 04 ee 0258 00026231 000174 00046c6f7374 000175 00027077",
        ),
    ],
)
def test_connect(arguments, expected):
    assert packets.connect(*arguments) == bytes.fromhex(expected)


@pytest.mark.parametrize(("name", "user"), [("x" * 65536, ""), ("x", "y" * 65536)])
def test_a_text_that_has_no_room(name, user):
    with pytest.raises(ValueError, match="text of 65536"):
        packets.connect(name, 1, user, "", "", "")


def test_what_else_is_sent():
    assert packets.subscribe("a/b").hex() == "82080001" + "0003612f62" + "01"
    assert packets.publish_head("a/b", 3) + b"xyz" == message()
    assert packets.publish_head(b"a/b", 300, 1).hex() == "31b102" + "0003612f62"
    assert packets.puback(0x1234).hex() == "40021234"


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_what_a_broker_sends_comes_out_however_it_is_cut(step):
    stream = (
        bytes.fromhex("20020000 9003000101 d000 40020001")
        + message()
        + message(b"", flags=2, packet_id=b"\x01\x02")
        + message(b"q" * 300, flags=2 | 8, packet_id=b"\x00\x07")
        + message(flags=1)
        + message(topic=b"a/c")
        + message(topic=b"a/bb")
        + message(flags=3, packet_id=b"\x00\x08")
    )
    parser = Parser(TOPIC)
    events = []
    for at in range(0, len(stream), step):
        events += parser.feed(memoryview(stream)[at : at + step])
    payload = b"".join(what for kind, what in events if kind == PAYLOAD)
    assert payload == b"xyz" + b"q" * 300
    assert [event for event in events if event[0] != PAYLOAD] == [
        (CONNACK, 0),
        (SUBACK, 1),
        (PINGRESP, 0),
        (PUBACK, 0),
        (PUBLISH, 0),
        (PUBLISH, 0x0102),
        (PUBLISH, 7),
        (PUBLISH, 0),
        (PUBLISH, 0),
        (PUBLISH, 0),
        (PUBLISH, 8),
    ]
    assert parser.strange == 4


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        ("00", "garbage"),
        ("10", "garbage"),  # what only clients send
        ("82", "garbage"),
        ("c0", "garbage"),
        ("e0", "garbage"),
        ("f0", "garbage"),
        ("21", "garbage"),  # flags that are reserved
        ("d1", "garbage"),
        ("34", "garbage"),  # QoS 2
        ("36", "garbage"),  # QoS 3
        ("38", "garbage"),  # DUP without QoS
        ("2003", "garbage"),  # sizes
        ("9002", "garbage"),
        ("d001", "garbage"),
        ("30ffffffff", "garbage"),  # a length that never ends
        ("3080808080", "garbage"),
        ("30ffffff7f", "oversize"),
        ("308120", "oversize"),
        ("3001", "garbage"),
        ("30020000", "garbage"),  # no topic
        ("30040005", "garbage"),  # a topic beyond the packet
        ("320500036161610001", "garbage"),
        ("32070003612f620000", "garbage"),  # packet id 0
        ("20020100", "garbage"),  # a session that cannot be
        ("9003000201", "garbage"),
        ("9003000103", "garbage"),
    ],
)
def test_what_is_no_mqtt_for_a_board(stream, code):
    with pytest.raises(BrokerError, match=code):
        Parser(TOPIC).feed(bytes.fromhex(stream))


def test_the_largest_packet_there_may_be():
    whole = message(b"x" * (packets.MAX_PACKET - 5))
    events = Parser(TOPIC).feed(whole)
    assert sum(len(what) for kind, what in events if kind == PAYLOAD) == packets.MAX_PACKET - 5


PACKETS = st.one_of(
    st.sampled_from([b"\x20\2\0\0", b"\x90\3\0\1\1", b"\xd0\0", b"\x40\2\0\1"]),
    st.builds(
        message,
        st.binary(max_size=300),
        st.sampled_from([TOPIC, b"a/c", b"x" * 200]),
        st.sampled_from([0, 1]),
    ),
    st.builds(message, st.binary(max_size=40), flags=st.just(2), packet_id=st.just(b"\1\1")),
)


@given(st.lists(PACKETS, max_size=8), st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_packets_are_the_same_in_one_piece_and_in_many(stream, cuts):
    whole = b"".join(stream)
    one, many = Parser(TOPIC), Parser(TOPIC)
    expected, events, at = one.feed(whole), [], 0
    while at < len(whole):
        size = cuts[len(events) % len(cuts)]
        events += many.feed(whole[at : at + size])
        at += size
    for kind in (PUBLISH, CONNACK, SUBACK, PINGRESP):
        assert [e for e in expected if e[0] == kind] == [e for e in events if e[0] == kind]
    together = [b"".join(w for k, w in each if k == PAYLOAD) for each in (expected, events)]
    assert together[0] == together[1]
    assert one.strange == many.strange


@given(st.lists(st.one_of(PACKETS, st.binary(max_size=40)), max_size=6))
def test_any_bytes_are_events_or_a_broker_error(stream):
    parser = Parser(TOPIC)
    try:
        for each in stream:
            for kind, what in parser.feed(each):
                assert kind in (PAYLOAD, PUBLISH, CONNACK, SUBACK, PUBACK, PINGRESP)
                assert isinstance(what, bytes if kind == PAYLOAD else int)
    except BrokerError:
        pass


def test_a_client_of_others_makes_the_same_connect():
    class Wire:
        def __init__(self):
            self.sent = b""

        def send(self, data):
            self.sent += data
            return len(data)

        def close(self):
            pass

    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="b1", protocol=paho.MQTTv311)
    client.username_pw_set("u", "pw")
    client.will_set("t", "lost", 1, True)
    client._sock = wire = Wire()
    client._send_connect(30)
    client._packet_write()
    assert wire.sent == packets.connect("b1", 30, "u", "pw", "t", "lost")


# -- names and the time ----------------------------------------------------------------------------

ID = b"\x12\x34"
ASKED = bytes.fromhex("1234 0100 0001 0000 0000 0000 04686f6d65 05746c6f6361 00 0001 0001")
HEAD = "1234 8180 0001 {:04x} 0000 0000 01610162 00 0001 0001"
ADDRESS = "c00c 0001 0001 0000003c 0004 c0a80107"
ALIAS = "c00c 0005 0001 0000003c 0002 c00e"


def test_the_question():
    asked = names.question("home.tloca", ID)
    assert asked == ASKED


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (HEAD.format(1) + ADDRESS, "192.168.1.7"),
        (HEAD.format(2) + ALIAS + ADDRESS, "192.168.1.7"),
        # mDNS: no question, the cache-flush bit, names written out
        ("1234 8400 0000 0001 0000 0000 0161 00 0001 8001 00000078 0004 0a000001", "10.0.0.1"),
        ("1234 8183 0001 0000 0000 0000 01610162 00 0001 0001", ""),
        (HEAD.format(1) + ALIAS, ""),
        (HEAD.format(9) + ALIAS, ""),
        (HEAD.format(1) + "c00c 001c 0001 0000003c 0010" + "00" * 16, ""),
        (HEAD.format(1) + ADDRESS[:-4], ""),
        ("1234", None),
        ("1235 8180" + "00" * 8, None),
        ("1234 0100" + "00" * 8, None),
        ("1234 8180 ffff ffff 0000 0000", ""),
    ],
)
def test_the_answer(reply, expected):
    assert names.answer(bytes.fromhex(reply), ID) == expected


@given(st.binary(max_size=80))
def test_no_reply_is_too_strange(data):
    assert names.answer(ID + data, ID) is None or isinstance(names.answer(ID + data, ID), str)
    assert names.time_reply(data, b"12345678") is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1795258800),
        ({0: 0x23}, None),  # a client's
        ({0: 0xE4}, None),  # not synchronised
        ({1: 0}, None),  # kiss of death
        ({1: 16}, None),
        ({24: 0}, None),  # an answer to another
    ],
)
def test_the_time(changes, expected):
    nonce = b"\x01\x02\x03\x04\x05\x06\x07\x08"
    assert names.time_request(nonce) == b"\x23" + bytes(39) + nonce
    seconds = struct.pack(">II", 1795258800 + 2208988800, 5)
    reply = bytearray(b"\x24\x02\x00\xec" + bytes(20) + nonce + seconds + seconds)
    for at, value in changes.items():
        reply[at] = value
    assert names.time_reply(reply, nonce) == expected


def test_the_time_after_2036():
    nonce = bytes(8)
    reply = b"\x24\x02\x00\xec" + bytes(20) + nonce + bytes(8) + struct.pack(">II", 1, 0)
    assert names.time_reply(reply, nonce) == (1 << 32) + 1 - 2208988800
