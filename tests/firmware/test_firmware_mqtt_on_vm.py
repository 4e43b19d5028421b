"""The link over a broker on the real VM, in the board's heap, with a broker that does its worst."""

import itertools
import json
import os
import random
import textwrap
import zlib

import pytest
from firmware_world import BOARD, ROOT, HotBox, World
from scripted_broker import ScriptedBroker

from agent.communication.frames import encode
from agent.communication.mqtt.packets import BrokerError, Parser
from host.simulation.network_services import Names
from host.simulation.radio import AccessPoint

pytestmark = pytest.mark.vm

KB = 1024
SSID, PASSWORD = "barn", "a password that nobody may see"
BROKER_PASSWORD = "another one of those"
LEAST_EVER = 6 * KB
# docs/firmware.md says what twenty were like.
MINUTES = int(os.environ.get("FANWISE_MQTT_MINUTES", "5"))


class MqttWorld(World):
    """A board whose link is a scripted broker, and somebody who reads along on its console."""

    def __init__(self, vm, firmware, folder, *, broker, mqtt=None, files=None, **kwargs):
        self.broker = broker
        settings = {
            "link": "mqtt",
            "wifi": {"ssid": SSID},
            "mqtt": {"host": "127.0.0.1", "port": broker.port, "user": "b1", **(mqtt or {})},
        }
        secrets = json.dumps({"wifi": PASSWORD, "mqtt": BROKER_PASSWORD}).encode()
        files = {"secrets.json": secrets, **(files or {})}
        super().__init__(vm, firmware, folder, config=settings, files=files, **kwargs)
        self.board.radio.access_points[SSID] = AccessPoint(PASSWORD)
        self.acks = False  # on the console nobody does

    def poll(self):
        self.broker.poll()
        super().poll()

    def up(self, timeout_s=60):
        self.until(lambda: self.link().get("broker") == "up" or self.greeted(), timeout_s)

    def greeted(self):
        return self.broker.connected and bool(self.broker.links)

    def link(self):
        health = self.of("health")
        return health[-1]["link"] if health else {}

    def host(self, seconds):
        """The bridge speaks up every 10 s."""
        end = self.now_s + seconds
        while self.now_s < end:
            if self.broker.connected:
                self.broker.down(encode({"t": "clock", "at": 1795258800 + int(self.now_s)}))
            self.run(min(10, end - self.now_s), 0.5)

    def told(self):
        return [frame["msg"] for frame in self.of("log")]

    def well(self):
        """Nothing that happened to the link has touched the loop."""
        last = self.of("health")[-1]
        assert (last["err"], last["late"], last["crashes"], last["last_err"]) == (0, 0, 0, "")
        assert self.periods() == {1000}
        assert self.board.resets.total() == 1
        assert last["min_free"] >= LEAST_EVER
        everything = json.dumps([self.frames, self.broker.frames]) + self.text.decode()
        assert PASSWORD not in everything
        assert BROKER_PASSWORD not in everything


@pytest.fixture
def broker():
    one = ScriptedBroker()
    yield one
    one.close()


@pytest.fixture
def board(vm, firmware, tmp_path, broker):
    worlds = []

    def make(**kwargs):
        worlds.append(MqttWorld(vm, firmware, tmp_path, broker=broker, **kwargs))
        return worlds[-1]

    yield make
    for one in worlds:
        one.close()


def test_birth_records_commands_and_the_console(board, broker):
    w = board()
    w.up(10)
    connect = broker.packets[0]
    assert connect.kind == 1
    for text in (b"MQTT", b"fanwise/home/b1/link", b"lost", b"b1", BROKER_PASSWORD.encode()):
        assert text in connect.body
    assert broker.links == [b"online"]
    w.host(60)
    assert broker.of("hello")[0]["dev"] == "b1"
    assert len(broker.of("tel")) >= 58
    durable = [(f["boot"], f["seq"]) for f in broker.frames if f["t"] in ("dec", "alarm")]
    assert len(durable) >= 2
    assert len(set(durable)) == len(durable), "acknowledged, so none came twice"
    # A maker at the USB port sees the same, and can ask.
    assert {f["seq"] for f in w.of("dec")} == {f["seq"] for f in broker.of("dec")}
    assert w.command("override", fan=0, for_s=60)["ok"]
    broker.down(encode({"t": "cmd", "id": "m1", "name": "ping", "args": {}}), qos=1)
    w.run(1)
    assert [f["msg"] for f in broker.of("rsp") if f["id"] == "m1"] == ["here"]
    assert [p.body for p in broker.packets if p.kind == 4] == [b"\x00\x09"]
    # What was kept for the next one to come is nobody's wish of now.
    broker.down(encode({"t": "cmd", "id": "m2", "name": "reboot", "args": {}}), retained=True)
    w.run(60)
    assert not [f for f in broker.of("rsp") if f["id"] == "m2"]
    assert w.link() == {
        "wifi": "up", "rssi": -61, "broker": "up",
        "up": 1, "fail": 0, "bad": 1, "drop": 0, "why": "",
    }  # fmt: skip
    w.well()


def test_an_ack_on_the_console_is_none(board, broker):
    w = board()
    w.acks, broker.acks = True, False
    w.up()
    w.host(30)
    first = w.of("hello")[-1]
    assert [f["seq"] for f in broker.of("dec")].count(1) > 3, "repeated until the bridge has it"
    broker.acks = True
    w.host(10)
    w.command("rebirth")
    assert first["queued"] >= w.of("hello")[-1]["queued"] == 0


def test_a_clean_stop_says_so(board, broker):
    w = board()
    w.up()
    w.host(5)
    w.command("reboot")
    w.run(2)
    assert broker.links[:2] == [b"online", b"offline"]
    w.until(lambda: broker.links[2:] == [b"online"], 20)


def test_wifi_that_is_gone_for_a_while_costs_telemetry_and_nothing_else(board, broker):
    w = board()
    w.up()
    w.host(30)
    w.board.radio.down = True
    w.run(110, 0.5)
    assert broker.connected, "the broker has heard nothing of it"
    assert w.link()["wifi"] == "down"
    assert w.link()["why"] in ("wifi lost", "wifi 201", "wifi 200")
    assert w.of("health")[-1]["outbox"]["queued"] >= 1
    w.board.radio.down = False
    broker.cut()
    w.until(lambda: broker.sessions == 2, 130)
    w.host(70)
    assert w.of("health")[-1]["outbox"]["queued"] == 0
    assert w.of("health")[-1]["outbox"]["dropped"] == 0
    seqs = sorted({f["seq"] for f in broker.frames if f["t"] in ("dec", "alarm")})
    assert seqs == list(range(1, len(seqs) + 1))
    w.well()


def test_a_wrong_wifi_password_is_told_and_the_board_cools(board, broker):
    w = board()
    w.board.radio.access_points[SSID] = AccessPoint("other")
    w.run(130, 0.5)
    assert w.link()["wifi"] in ("down", "joining")
    assert (w.link()["why"], w.link()["up"]) == ("wifi 202", 0)
    assert w.told() == ["wifi: the password is not accepted"]
    assert 3 <= w.board.radio.joins <= 8
    w.board.radio.access_points[SSID] = AccessPoint(PASSWORD)
    w.up(130)
    w.well()


def test_a_broker_that_dies_and_comes_back_empty(board, broker):
    w = board()
    w.up()
    w.host(20)
    broker.die()
    w.run(61, 0.5)
    # A port that nobody listens on.
    assert w.link()["why"] in ("closed", "os 111")
    assert "broker: nothing listens on its port" in w.told()
    broker.open()
    w.until(lambda: broker.sessions == 2, 70)
    w.host(70)
    assert broker.links[-1] == b"online"
    assert w.of("health")[-1]["outbox"]["queued"] == 0
    seqs = sorted({f["seq"] for f in broker.frames if f["t"] in ("dec", "alarm")})
    assert seqs == list(range(1, len(seqs) + 1))
    w.well()


def test_a_connection_that_is_only_half_there(board, broker):
    w = board()
    w.up()
    w.host(20)
    broker.deaf = True
    w.until(lambda: any("does not answer" in text for text in w.told()), 40)
    broker.cut()
    broker.deaf = False
    w.until(lambda: broker.sessions == 2, 70)
    w.host(70)
    assert w.link()["why"] == "silent"
    assert w.of("health")[-1]["outbox"]["queued"] == 0
    w.well()


def test_names(board, broker):
    w = board(mqtt={"host": "broker.local"})
    services = w.board.radio.services
    services.names["broker.local"] = "127.0.0.1"
    for fault in (Names.SILENT, Names.GARBAGE, Names.UNKNOWN):
        services.fault = fault
        w.run(21, 0.5)
    assert w.told() == ["broker: its name is not known, or no name server answers"]
    assert w.link()["broker"] in ("name", "waiting")
    services.fault = Names.ANSWERED
    w.up(70)
    # Once found it is found again without a name server.
    services.fault = Names.SILENT
    broker.cut()
    w.until(lambda: broker.sessions == 2, 70)
    w.host(60)
    w.well()


def test_a_name_that_leads_out_of_the_house(board, broker):
    w = board(mqtt={"host": "broker.local"})
    w.board.radio.services.names["broker.local"] = "192.0.2.1"
    w.run(61, 0.5)
    assert w.link()["why"] == "public"
    w.well()


@pytest.mark.parametrize(
    ("connack", "suback", "why"),
    [
        (b"\x20\x02\x00\x05", b"", "connack 5"),
        (b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x80", "suback"),
        (b"", b"", "silent"),
    ],
)
def test_a_broker_that_does_not_want_it(board, broker, connack, suback, why):
    broker.connack, broker.suback = connack, suback
    w = board()
    w.run(121, 0.5)
    assert (w.link()["why"], w.link()["up"]) == (why, 0)
    assert 3 <= broker.sessions <= 12, "with growing pauses"
    assert len(w.told()) == 1
    w.well()


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


def test_minutes_in_the_heap_there_is(board, broker):
    """As tests/firmware/test_firmware_memory.py does for the serial line. In turn: a bridge,
    none, an alarm with an explanation, none, no broker, a bridge again.
    """
    part_s = MINUTES * 60 / 10
    w = board(machine=HotBox(40.0))
    assert w.board.heap_kb == BOARD.heap_kb == 110
    w.up()
    w.host(2 * part_s)
    broker.acks = False
    w.run(part_s, 0.5)
    w.machine.turning_rpm, w.machine.current_a = 30.0, 1.2
    w.run(max(60, part_s), 0.5)
    w.machine.turning_rpm, w.machine.current_a = 1200.0, 0.5
    w.run(part_s, 0.5)
    broker.die()
    w.run(part_s, 0.5)
    broker.open()
    broker.acks = True
    w.until(lambda: broker.sessions == 2, 130)
    w.host(max(70, 4 * part_s))
    broker.down(encode({"t": "cmd", "id": "e", "name": "explain", "args": {}}))
    w.host(10)
    hello = w.of("hello")[0]
    assert set(hello["models"]) == {"cooling", "anomaly"}
    assert hello["free"] >= 12 * KB
    assert w.of("health")[-1]["outbox"] == {
        "queued": 0, "dropped": 0, "spilled": w.of("health")[-1]["outbox"]["spilled"]
    }  # fmt: skip
    raised = [alarm for alarm in broker.of("alarm") if alarm["kind"] == "anomaly" and alarm["on"]]
    assert raised
    assert all(alarm["phi"]["err"] == 0 for alarm in raised)
    keys = [(f["boot"], f["seq"]) for kind in ("dec", "alarm") for f in broker.of(kind)]
    assert broker.seen <= set(keys)
    seqs = sorted({seq for _, seq in keys})
    assert seqs == list(range(1, len(seqs) + 1))
    assert all(a < b for a, b in itertools.pairwise(seqs))
    w.well()
