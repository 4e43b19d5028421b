"""Modbus/TCP: the map against a real client and mbpoll, writes by role, TLS, units that stay."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient

from host.gateways.modbus_map import table
from tests.bridge.conftest import ROOT, eventually, refused
from tests.bridge.fake_board import FakeBoard
from tests.bridge.modbus_client import RawClient, Served
from tests.bridge.waiting import PATIENCE_S
from tests.provision import find_peer

MBPOLL = find_peer("mbpoll")
ELSEWHERE = "[modbus]\nlisten = '0.0.0.0:5020'\n"
CASES = [
    ("[modbus]\nlisten = '5020'", "HOST:PORT"),
    ("[modbus]\nrole = 'king'", "viewer, operator, admin"),
    ("[modbus]\nconnections = 0", "[modbus] connections"),
    ("[modbus]\nport = 1", '"port" is no setting'),
    (ELSEWHERE, "no login"),
    (ELSEWHERE + "role = 'operator'\nread_only_in_the_clear = true", "only a viewer"),
    (ELSEWHERE + "cert_file = '/none'", "all three"),
    (
        ELSEWHERE + "cert_file = '/none'\nkey_file = '/none'\nclient_ca_file = '/none'",
        "/none: No such file",
    ),
    ("[modbus.units]\nbox-one = 248", "from 1 to 247"),
    ("[modbus.units]\n'Box One' = 1", "no device"),
    ("[modbus.units]\na = 7\nb = 7", "two boards"),
]


@pytest.mark.parametrize(("toml", "words"), CASES)
def test_wrong_settings(tmp_path: Path, toml: str, words: str) -> None:
    error = refused(tmp_path, toml)
    assert any(words in problem for problem in error.problems), error.problems


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.end()


def test_readings_and_holds(bridge: Served, board: FakeBoard) -> None:
    bridge.serve(board, "role = 'operator'\nhold_s = 600")
    client = ModbusTcpClient("127.0.0.1", port=bridge.modbus, timeout=PATIENCE_S)
    assert client.connect()

    def read() -> list[int]:
        found = client.read_input_registers(0, count=37, device_id=1)
        assert not found.isError(), found
        return found.registers

    board.tel(case_mc=-1234, ambient_mc=None, fan=1, fan_rpm=1850, power_mw=70_000, score=99_999)
    board.durable("alarm", kind="fan", on=1, why="stuck", val=0)
    board.durable("alarm", kind="sensor", of="ambient", on=1, why="lost", val=0)
    eventually(lambda: read()[20] == 0b1010)
    words = read()
    assert words[:2] == [1, 0]
    assert words[2] < 300
    assert client.read_holding_registers(3, count=5, device_id=1).registers == words[3:8]
    assert words[3:8] == [0x10000 - 12, 0x8000, 454, 431, 450]
    assert words[8:16] == [1, 70_000 - 0x10000, 1, 1850, 1, 99_999 - 0x10000, 0, 90]
    assert words[16:20] == [0, 0, 0, 3]
    assert b"".join(word.to_bytes(2) for word in words[21:]).rstrip(b"\0") == b"box-one"
    inputs = client.read_discrete_inputs(0, count=5, device_id=1).bits[:5]
    assert inputs == [True, True, False, False, True]

    def holds() -> tuple[list[bool], int]:
        bits = client.read_coils(0, count=2, device_id=1).bits[:2]
        return bits, client.read_holding_registers(101, device_id=1).registers[0]

    def asked() -> list[tuple[str, dict[str, int]]]:
        frames = [f for f in board.received if f["t"] == "cmd"]
        return [(f["name"], f["args"]) for f in frames if f["name"] in ("override", "auto")]

    for write in (
        lambda: client.write_coil(0, True, device_id=1),
        lambda: client.write_register(100, 90, device_id=1),
        lambda: client.write_coils(0, [False, True], device_id=1),
        lambda: client.write_coil(0, False, device_id=1),  # holds nothing: nothing to end
    ):
        assert not write().isError()
    assert holds() == ([False, True], 1)
    assert not client.write_coil(1, False, device_id=1).isError()
    assert holds() == ([False, False], 0)
    assert not client.write_registers(100, [30, 2], device_id=1).isError()
    assert holds() == ([True, False], 2)
    assert asked() == [
        ("override", {"fan": 1, "for_s": 600}), ("override", {"fan": 0, "for_s": 90}),
        ("auto", {}), ("override", {"fan": 1, "for_s": 30}),
    ]  # fmt: skip
    board.tel(fan=0, ov=25)
    board.decide(rule="override", ask=0)
    eventually(lambda: holds() == ([False, True], 1), what="another gateway's hold is shown")
    audit = bridge.get("/api/commands")["commands"]
    assert {(c["who"], c["source"], bool(c["ok"])) for c in audit} == {("modbus", "modbus", True)}

    for asked_for, code in (
        (lambda: client.read_input_registers(37, device_id=1), 2),
        (lambda: client.read_holding_registers(99, count=3, device_id=1), 2),
        (lambda: client.write_register(3, 1, device_id=1), 2),
        (lambda: client.write_register(100, 0, device_id=1), 3),
        (lambda: client.write_register(101, 3, device_id=1), 3),
        (lambda: client.write_coils(0, [True, True], device_id=1), 3),
        (lambda: client.read_coils(0, device_id=2), 10),
        (lambda: client.mask_write_register(address=100, device_id=1), 1),
    ):
        refused = asked_for()
        assert refused.isError()
        assert refused.exception_code == code
    assert client.read_device_information(device_id=1).information[0] == b"Fanwise"

    board.close()
    eventually(lambda: bridge.status("box-one") == "disconnected")
    words = read()
    assert words[1] == 3
    assert words[3] == 0x8000
    assert client.write_coil(0, True, device_id=1).exception_code == 11
    client.close()


def test_a_board_that_says_no_and_a_viewer(bridge: Served, board: FakeBoard) -> None:
    board.answers = False
    bridge.serve(board, "role = 'operator'\nhold_s = 77")
    eventually(lambda: bridge.status("box-one") == "online")
    with RawClient(bridge.modbus) as client:
        # Two requests before the first is answered: in order, each with its own number.
        first = client.send(1, b"\x05\x00\x00\xff\x00")
        second = client.send(1, b"\x03\x00\x64\x00\x01")
        asked = eventually(lambda: board.commands("override"))
        board.volatile("rsp", id=asked[0]["id"], ok=False, msg="an interlock holds")
        assert client.receive() == (first, b"\x85\x04")
        assert client.receive() == (second, b"\x03\x02\x00\x4d")
    board.answers = True
    bridge.settings("role = 'viewer'")
    bridge.hangup()
    with RawClient(bridge.modbus) as client:
        for write in (
            b"\x05\x00\x00\xff\x00",
            b"\x06\x00\x64\x00\x05",
            b"\x10\x00\x64\x00\x01\x02\x00\x05",
        ):
            assert client.ask(1, write) == bytes((write[0] | 0x80, 1))
        assert client.ask(1, b"\x04\x00\x00\x00\x01") == b"\x04\x02\x00\x01"
    assert len(board.commands("override")) == 1


def test_units_stay(bridge: Served, board: FakeBoard, tmp_path: Path) -> None:
    bridge.serve(board)
    with FakeBoard(tmp_path / "second", "box-a", boot=3) as second:
        bridge.stop()
        bridge.start("--config", f"{tmp_path}/b.toml", "--port", str(second.path))
        eventually(lambda: "unit=2" in bridge.log.read_text())
        with RawClient(bridge.modbus) as client:
            names = [client.ask(unit, b"\x04\x00\x15\x00\x10")[2:].rstrip(b"\0") for unit in (1, 2)]
            assert names == [b"box-one", b"box-a"]
            bridge.settings("[modbus.units]\nbox-a = 1\nnever-seen = 9")
            bridge.hangup()
        with RawClient(bridge.modbus) as client:

            def named(unit: int) -> bytes:
                return client.ask(unit, b"\x04\x00\x15\x00\x10")[2:].rstrip(b"\0")

            eventually(lambda: named(2) == b"box-one", what="who lost its number gets another")
            assert named(1) == b"box-a"
            assert client.ask(9, b"\x04\x00\x00\x00\x01") == b"\x84\x0b"
    command = ["-m", "host.gateways.modbus", "--config", f"{tmp_path}/b.toml"]
    (tmp_path / "b.toml").write_text(
        f"ports=['/dev/ptmx']\n[store]\npath='{bridge.store}'\n[modbus]\n[modbus.units]\nbox-a=1\n"
    )
    printed = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=60
    ).stdout
    assert printed.endswith("| 1 | box-a |\n| 2 | box-one |\n"), printed


def test_the_docs_have_the_map() -> None:
    text = (ROOT / "docs" / "modbus.md").read_text()
    assert "\n".join(table()) in text


@pytest.mark.skipif(not MBPOLL, reason="mbpoll is not installed")
def test_mbpoll(bridge: Served, board: FakeBoard) -> None:
    bridge.serve(board, "role = 'operator'")
    board.tel(case_mc=44310)

    def mbpoll(*options: str, write: str = "") -> str:
        command = [str(MBPOLL), "-m", "tcp", "-p", str(bridge.modbus), "-a", "1", "-0", "-1", "-q"]
        command += [*options, "-o", "10", "127.0.0.1", *([write] if write else [])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    eventually(lambda: "443" in mbpoll("-t", "3", "-r", "3", "-c", "1"))
    assert "Written 1 references" in mbpoll("-t", "0", "-r", "0", write="1")
    assert len(board.commands("override")) == 1
    assert "Illegal data address" in mbpoll("-t", "4", "-r", "3", write="5")
