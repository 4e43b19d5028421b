"""A broker that means ill, on the real VM: two minutes of anything but MQTT."""

import random
import textwrap
import zlib

import pytest
from firmware_mqtt_world import MqttWorld
from firmware_world import ROOT, HotBox
from scripted_broker import ScriptedBroker

from agent.communication.frames import encode
from agent.communication.mqtt.packets import BrokerError, Parser

pytestmark = pytest.mark.vm


class Hostile(ScriptedBroker):
    """Lets the board in and then, at each look, says anything but what it should."""

    def __init__(self):
        super().__init__()
        self.random = random.Random(5)
        self.said = 0

    def poll(self):
        super().poll()
        if self._board and not self.deaf:
            self.said += 1
            self.send(self.nonsense())

    def nonsense(self):
        r = self.random
        kind = self.said % 9
        if kind == 0:
            return r.randbytes(r.randrange(1, 600))
        if kind == 1:
            return b"\x30\xff\xff\xff\x7f" + r.randbytes(50)
        if kind == 2:
            return b"\x30" + b"\xff" * 40
        name = b"\x00\x14fanwise/home/b1/down"
        if kind == 3:  # a message that never ends
            return b"\x30\xff\x1f" + name + r.randbytes(200)
        if kind == 4:
            frame = encode(
                {"t": "cmd", "id": "x" * 20, "name": r.choice(["explain", "zzz", "ping"])}
            )
            body = name + frame + r.randbytes(30)
        elif kind == 5:
            deep = b'{"t":"cmd","id":' + b"[" * 90 + b"]" * 90 + b"}"
            body = name + b"#fw1 %d %08x %s\n" % (len(deep), zlib.crc32(deep), deep)
        elif kind == 6:
            frame = encode(
                {"t": r.choice(["ack", "clock", "cmd"]), "acks": [[1]], "at": "x", "id": 7}
            )
            body = name + frame
        elif kind == 7:
            body = (
                name + frame
                if (frame := encode({"t": "cmd", "id": "o", "name": "override"}))
                else b""
            )
        else:
            return b"\xd0\x00\x40\x02\x00\x01" * r.randrange(1, 40)
        size = len(body)
        length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
        return b"\x30" + length + body


def test_two_minutes_of_garbage(vm, firmware, tmp_path):
    broker = Hostile()
    w = MqttWorld(vm, firmware, tmp_path, broker=broker, machine=HotBox(30.0))
    try:
        w.run(60, 0.05)
        w.board.radio.joins = 0
        w.run(120, 0.05)
        assert broker.sessions >= 5
        assert w.link()["fail"] >= 5
        assert w.link()["why"] in ("garbage", "oversize", "closed", "os 104")
        assert not w.machine.fan_powered, "the relay was never sent to its safe state"
        assert w.of("tel")[-1]["ov"] == 0
        w.well()
    finally:
        w.close()
        broker.close()


def test_the_parser_on_the_vm_does_what_it_does_here(board, broker, tmp_path):
    """A quarter of a megabyte of packets and noise, on the board and here."""
    r = random.Random(11)
    pieces = []
    for _ in range(1500):
        noise = r.randbytes(r.randrange(1, 120))
        body = b"\x00\x03a/b" + noise
        whole = bytes([0x30, len(body)]) + body if len(body) < 128 else b"\xd0\x00"
        pieces.append(whole if r.random() < 0.9 else noise)
    data = b"".join(pieces)
    code = """
        import binascii
        from agent.communication.mqtt.packets import Parser, BrokerError
        crc = 0
        faults = 0
        parser = Parser(b"a/b")
        with open("/data") as file:
            pass
        with open("/data", "rb") as file:
            while True:
                piece = file.read(100)
                if not piece:
                    break
                try:
                    events = parser.feed(piece)
                except BrokerError as error:
                    events = [str(error)]
                    faults += 1
                    parser = Parser(b"a/b")
                crc = binascii.crc32(repr(events).encode(), crc)
        print("crc %08x, faults %d" % (crc & 0xffffffff, faults))
    """
    crc = faults = 0
    parser = Parser(b"a/b")
    for at in range(0, len(data), 100):
        try:
            events = parser.feed(data[at : at + 100])
        except BrokerError as error:
            events = [str(error)]
            faults += 1
            parser = Parser(b"a/b")
        crc = zlib.crc32(repr(events).encode(), crc)
    mqtt = ROOT / "firmware" / "agent" / "communication" / "mqtt" / "packets.py"
    w = board(
        models=False,
        files={
            "main.py": textwrap.dedent(code).encode(),
            "data": data,
            "agent/communication/mqtt/__init__.mpy": b"",
            "agent/communication/mqtt/packets.py": mqtt.read_bytes(),
        },
    )
    (w.flash / "agent/communication/mqtt/__init__.mpy").unlink()
    w.until(lambda: b"faults" in w.text, 60)
    assert f"crc {crc:08x}, faults {faults}".encode() in w.text
    assert faults > 50
