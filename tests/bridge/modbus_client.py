"""Modbus/TCP by hand, a bridge that speaks it, and throw-away certificates."""

import os
import signal
import socket
import struct
import subprocess
from pathlib import Path

from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import FakeBoard
from tests.bridge.ports import free_port
from tests.bridge.waiting import PATIENCE_S


class RawClient:
    """Sends requests as bytes; a response is a function code and its data, None at the end."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._file = self._socket.makefile("rb")
        self._number = 0

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def send(self, unit: int, pdu: bytes) -> int:
        self._number += 1
        self.raw(struct.pack(">HHHB", self._number, 0, len(pdu) + 1, unit) + pdu)
        return self._number

    def raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> tuple[int, bytes] | None:
        """Transaction and response."""
        try:
            head = self._file.read(7)
            if len(head) < 7:
                return None
            number, protocol, length, _ = struct.unpack(">HHHB", head)
            assert protocol == 0
            return number, self._file.read(length - 1)
        except ConnectionError:
            return None

    def ask(self, unit: int, pdu: bytes) -> bytes:
        number = self.send(unit, pdu)
        answered = self.receive()
        assert answered, "no response"
        assert answered[0] == number
        return answered[1]


class Served(Bridge):
    """A bridge with Modbus on a port of its own; `more` goes into its table."""

    def serve(self, board: FakeBoard, more: str = "") -> None:
        self.modbus = free_port()
        self.settings(more)
        self.start("--config", str(self.folder / "b.toml"), "--port", str(board.path))
        eventually(
            lambda: "modbus unit assigned" in self.log.read_text() or "[modbus.units]" in more
        )

    def settings(self, more: str) -> None:
        text = f"[modbus]\nlisten = '127.0.0.1:{self.modbus}'\n{more}\n"
        (self.folder / "b.toml").write_text(text)

    def hangup(self) -> None:
        assert self.process
        before = self.log.read_text().count("settings reloaded")
        os.kill(self.process.pid, signal.SIGHUP)
        eventually(lambda: self.log.read_text().count("settings reloaded") > before)


def certificates(folder: Path) -> dict[str, Path]:
    """A CA, and keys and certificates of it: "server", "plc"; "stranger" is its own."""
    folder.mkdir(exist_ok=True)

    def openssl(*words: str | Path) -> None:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)

    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    made: dict[str, Path] = {}
    for name in ("ca", "server", "plc", "stranger"):
        key, cert = folder / f"{name}.key", folder / f"{name}.pem"
        common = ("req", "-x509", *ec, "-keyout", key, "-out", cert, "-days", "2")
        sign = (
            ()
            if name in ("ca", "stranger")
            else ("-CA", folder / "ca.pem", "-CAkey", made["ca.key"])
        )
        openssl(*common, *sign, "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
        made |= {f"{name}.key": key, f"{name}.pem": cert}
    return made
