"""Modbus/TCP under bad clients: bytes of all kinds, too many connections, no certificate.

FANWISE_MODBUS_FUZZ=1000000 sends a million requests instead of a few thousand.
"""

import os
import random
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymodbus.client import ModbusTlsClient
from pymodbus.exceptions import ModbusException

from tests.bridge.conftest import eventually
from tests.bridge.fake_board import FakeBoard
from tests.bridge.modbus_client import RawClient, Served, certificates
from tests.bridge.waiting import PATIENCE_S

FUZZ_FRAMES = int(os.environ.get("FANWISE_MODBUS_FUZZ", "3000"))


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.end()


def test_bytes_of_all_kinds_never_hurt(bridge: Served, board: FakeBoard) -> None:
    bridge.serve(board, "role = 'operator'\nconnections = 64\nrequests_per_s = 10000")
    dice = random.Random(5)
    sent = 0
    while sent < FUZZ_FRAMES:
        with RawClient(bridge.modbus) as client:
            burst = min(dice.choice((1, 10, 200)), FUZZ_FRAMES - sent)
            for _ in range(burst):
                sent += 1
                if not fuzz(client, dice):
                    break
    log = bridge.log.read_text()
    assert "Traceback" not in log
    assert "not answered" not in log
    board.tel(case_mc=20000)
    with RawClient(bridge.modbus) as client:
        eventually(lambda: client.ask(1, b"\x04\x00\x03\x00\x01") == b"\x04\x02\x00\xc8")


def fuzz(client: RawClient, dice: random.Random) -> bool:
    """Send something; False when the connection is over."""
    kind = dice.random()
    function = dice.choice((1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43, dice.randrange(256)))
    # What would ask the board is left out: it answers, but at its own pace.
    data = dice.randbytes(dice.choice((0, 1, 3, 4, 5, 6, 7, dice.randrange(252))))
    if function in (5, 6, 15, 16) and dice.random() < 0.9:
        data = b"\x12" + data[1:]
    try:
        if kind < 0.03:
            client.raw(dice.randbytes(dice.randrange(1, 600)))
            return False
        number = client.send(dice.choice((0, 1, 1, 1, 2, 255)), bytes((function,)) + data)
        if not data and dice.random() < 0.1:
            return False
        answered = client.receive()
        assert answered, (function, data)
        assert answered[0] == number
        assert answered[1][0] & 0x7F == function & 0x7F
    except ConnectionError:
        return False
    return True


def test_places_are_limited(bridge: Served, board: FakeBoard) -> None:
    bridge.serve(board, "connections = 2")
    with RawClient(bridge.modbus) as first, RawClient(bridge.modbus) as second:
        for client in (first, second):
            client.ask(1, b"\x04\x00\x00\x00\x01")
        with RawClient(bridge.modbus) as third:
            assert third.receive() is None
        first.ask(1, b"\x04\x00\x00\x00\x01")
    assert "modbus client refused" in bridge.log.read_text()


def test_tls_lets_in_who_has_a_certificate(
    bridge: Served, board: FakeBoard, tmp_path: Path
) -> None:
    files = certificates(tmp_path / "certs")
    tls = (
        f"cert_file = '{files['server.pem']}'\nkey_file = '{files['server.key']}'\n"
        f"client_ca_file = '{files['ca.pem']}'\nrole = 'operator'"
    )
    bridge.serve(board, tls)

    def connect(name: str | None) -> ModbusTlsClient:
        context = ssl.create_default_context(cafile=str(files["ca.pem"]))
        context.check_hostname = False  # this client does not say whom it means
        if name:
            context.load_cert_chain(files[f"{name}.pem"], files[f"{name}.key"])
        return ModbusTlsClient(
            "127.0.0.1", port=bridge.modbus, sslctx=context, timeout=PATIENCE_S, retries=0
        )

    client = connect("plc")
    assert client.connect()
    assert client.read_input_registers(0, device_id=1).registers == [1]
    eventually(lambda: bridge.status("box-one") == "online")
    assert not client.write_coil(0, True, device_id=1).isError()
    client.close()
    assert bridge.get("/api/commands")["commands"][0]["who"] == "plc"
    for name in ("stranger", None):
        refused = connect(name)
        with pytest.raises((ModbusException, OSError)):
            refused.read_input_registers(0, device_id=1)
        refused.close()
    with RawClient(bridge.modbus) as plain:
        plain.raw(b"\0\1\0\0\0\6\1\4\0\0\0\1")
        assert plain.receive() is None
    assert "Traceback" not in bridge.log.read_text()
