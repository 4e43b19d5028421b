"""The link over a broker on the real VM, in the board's heap: what people and networks do to it."""

import os
import shutil
import time
import zlib

import pytest
from firmware_mqtt_world import BROKER_PASSWORD, PASSWORD, SSID
from firmware_world import BOARD, HotBox

from agent.communication.frames import encode
from host.simulation.network_services import Names
from host.simulation.radio import AccessPoint

pytestmark = pytest.mark.vm

KB = 1024
# docs/firmware.md says what twenty were like.
MINUTES = int(os.environ.get("FANWISE_MQTT_MINUTES", "5"))


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
    w.until(lambda: len(broker.of("tel")) >= 58, 10)
    w.drained()
    assert len({f["seq"] for f in broker.of("dec")}) >= 2
    # A maker at the USB port sees the same, and can ask.
    assert {f["seq"] for f in w.of("dec")} >= {f["seq"] for f in broker.of("dec")}
    assert w.command("override", fan=0, for_s=60)["ok"]
    broker.down(encode({"t": "cmd", "id": "m1", "name": "ping", "args": {}}), qos=1)
    w.until(lambda: [f["msg"] for f in broker.of("rsp") if f["id"] == "m1"] == ["here"], 20)
    w.until(lambda: [p.body for p in broker.packets if p.kind == 4] == [b"\x00\x09"], 20)
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
    w.drained()
    assert first["queued"] >= w.of("hello")[-1]["queued"] == 0


def test_a_clean_stop_says_so(board, broker):
    w = board()
    w.up()
    w.host(5)
    w.command("reboot")
    w.until(lambda: broker.links == [b"online", b"offline", b"online"], 30)


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
    w.drained()
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
    w.drained()
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
    w.drained()
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


PASSED_THROUGH = b"""
PROTOCOL_TLS_CLIENT = 0
CERT_REQUIRED = 2
class SSLContext:
    def __init__(self, protocol):
        pass
    def load_verify_locations(self, der):
        self.der = der
    def wrap_socket(self, plain, server_hostname=None, do_handshake_on_connect=True):
        print("tls", server_hostname, self.verify_mode, self.der, do_handshake_on_connect)
        return plain
"""


def test_certificates_need_the_time(board, broker):
    """The VM has no TLS: a module of its name lets everything through. Real ones:
    test_firmware_mqtt_tls.py.
    """
    w = board(
        mqtt={"host": "broker.local", "tls": True, "ntp": "time.local"},
        files={"tls.py": PASSED_THROUGH, "ca.der": b"DER"},
    )
    services = w.board.radio.services
    services.names["broker.local"] = "127.0.0.1"
    w.run(61, 0.5)
    assert w.link()["why"] == "time"
    assert broker.sessions == 0
    services.names["time.local"] = "127.0.0.1"
    w.up(70)
    assert b"tls broker.local 2 b'DER' False" in w.text
    since_2000_s = time.time() - 946684800
    assert w.board.time_s() == pytest.approx(since_2000_s, abs=600)
    asked = services.asked
    services.names.clear()
    broker.cut()
    w.until(lambda: broker.sessions == 2, 70)
    assert services.asked > asked, "the name is asked for, the time is not"
    w.run(60, 0.5)
    w.well()


def test_what_is_missing_is_told(board, broker):
    w = board(mqtt={"host": "broker.local", "tls": True}, files={"secrets.json": b"{"})
    w.run(1)
    assert [text.split(" (")[0] for text in w.told()] == [
        "/secrets.json cannot be read",
        "/ca.der is not there: deploy with a ca_file",
    ]


@pytest.mark.parametrize(("fails", "left_out"), [(5, False), (6, True)])
def test_safe_mode_keeps_the_link_unless_it_may_be_the_reason(board, broker, fails, left_out):
    text = f"41 {fails} 0 -"
    state = f"{text} {zlib.crc32(text.encode()):08x}\n".encode()
    w = board(files={"state/boot": state})
    w.run(10)
    assert w.of("hello")[0]["safe"]
    assert broker.sessions == (0 if left_out else 1)
    assert any("left out" in text for text in w.told()) == left_out
    assert (w.board.radio.status == 1000) == left_out


def test_a_serial_board_needs_nothing_of_it(world):
    w = world()
    agent = w.flash / "agent"
    shutil.rmtree(agent / "communication")
    for name in ("link_config", "rare/dial", "rare/addresses", "rare/link_words"):
        (agent / f"{name}.mpy").unlink()
    w.run(70, 0.5)
    assert set(w.of("hello")[0]["models"]) == {"cooling", "anomaly"}
    assert not w.of("log")
    assert "link" not in w.of("health")[0]


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
    w.drained()
    assert w.of("health")[-1]["outbox"]["dropped"] == 0
    raised = [alarm for alarm in broker.of("alarm") if alarm["kind"] == "anomaly" and alarm["on"]]
    assert raised
    assert all(alarm["phi"]["err"] == 0 for alarm in raised)
    keys = [(f["boot"], f["seq"]) for kind in ("dec", "alarm") for f in broker.of(kind)]
    assert broker.seen <= set(keys)
    seqs = sorted({seq for _, seq in keys})
    assert seqs == list(range(1, len(seqs) + 1))
    w.well()
