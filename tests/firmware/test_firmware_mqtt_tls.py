"""TLS by a stock MicroPython's own mbedTLS: a real handshake with a real mosquitto."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from host.simulation.errors import VmError
from host.simulation.vm import cache, provision
from tests.bridge.mosquitto import MOSQUITTO, needs_mosquitto
from tests.bridge.ports import free_port

pytestmark = [pytest.mark.vm, needs_mosquitto]

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
SCRIPT = Path(__file__).with_name("dial_tls.py")


@pytest.fixture(scope="module")
def stock():
    """The distribution's MicroPython, which unlike the simulated boards' VM has TLS."""
    try:
        return provision.distribution_vm(cache.CACHE, lambda line: None)
    except VmError as error:
        pytest.skip(str(error))


class Authority:
    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir()
        self._run(
            "req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -days 2 -keyout ca.key -out ca.pem"
        )
        self._run("x509 -in ca.pem -outform der -out ca.der")
        self.der = folder / "ca.der"

    def _run(self, words):
        subprocess.run(
            ["openssl", *words.split()], cwd=self.folder, check=True, capture_output=True
        )

    def sign(self, names, days=2):
        """A certificate and its key for a server."""
        (self.folder / "names").write_text(f"subjectAltName={names}")
        self._run("req -newkey rsa:2048 -nodes -subj /CN=broker -keyout s.key -out s.csr")
        self._run(
            "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
            f"-days {days} -extfile names -out s.pem"
        )
        return self.folder / "s.pem", self.folder / "s.key"


@pytest.fixture
def broker(tmp_path):
    started = []

    def start(certificate, key):
        port = free_port()
        config = tmp_path / "mosquitto.conf"
        config.write_text(
            f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
            f"certfile {certificate}\nkeyfile {key}\n"
        )
        quiet = subprocess.DEVNULL
        started.append(subprocess.Popen([MOSQUITTO, "-c", config], stdout=quiet, stderr=quiet))
        return port

    yield start
    for each in started:
        each.kill()
        each.wait(10)


def dial(stock, port, ca):
    """What the board comes to; a broker that does not listen yet is waited for."""
    until = time.monotonic() + 60
    while True:
        done = subprocess.run(
            [*stock.argv, SCRIPT, "127.0.0.1", str(port), ca],
            env={**os.environ, "MICROPYPATH": str(FIRMWARE)},
            capture_output=True, timeout=120, check=True,
        )  # fmt: skip
        said = done.stdout.decode().strip()
        if said != "os 111" or time.monotonic() > until:
            return said
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("names", "days", "own_ca", "said"),
    [
        ("IP:127.0.0.1,DNS:broker", 2, True, "up"),
        ("IP:127.0.0.1,DNS:broker", 2, False, "certificate"),
        ("IP:127.0.0.2,DNS:broker", 2, True, "certificate"),
        ("IP:127.0.0.1", 0, True, "certificate"),
    ],
    ids=["trusted", "another CA", "another host", "out of date"],
)
def test_a_broker_with_a_certificate(stock, broker, tmp_path, names, days, own_ca, said):
    authority = Authority(tmp_path / "ca")
    port = broker(*authority.sign(names, days))
    ca = authority.der if own_ca else Authority(tmp_path / "other").der
    if not days:
        time.sleep(2)  # a certificate of no days is over within a second
    assert dial(stock, port, ca) == said


def test_who_speaks_no_tls(stock, tmp_path):
    from tests.bridge.mosquitto import Mosquitto

    plain = Mosquitto(tmp_path)
    try:
        assert dial(stock, plain.port, Authority(tmp_path / "ca").der) in ("os 104", "os -29312")
    finally:
        plain.kill()
