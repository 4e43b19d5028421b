"""The doctor at brokers: a real mosquitto, and none."""

import contextlib
import os
import shutil
import socket
import subprocess

import pytest

from host.devices.doctoring import broker
from host.devices.doctoring.broker import address
from host.devices.doctoring.finding import State
from tests.bridge.conftest import eventually, free_port


@pytest.fixture
def mosquitto(tmp_path):
    path = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not path:
        pytest.skip("mosquitto is not installed")
    users = tmp_path / "users"
    subprocess.run(["mosquitto_passwd", "-b", "-c", users, "me", "secret"], check=True)
    users.chmod(0o644)
    number, conf = free_port(), tmp_path / "conf"
    conf.write_text(
        f"user root\nlistener {number} 127.0.0.1\nallow_anonymous false\npassword_file {users}\n"
    )
    with subprocess.Popen([path, "-c", conf], stderr=subprocess.DEVNULL) as process:
        eventually(lambda: takes_connections(number))
        yield number
        process.terminate()


def takes_connections(number):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", number), 60).close()
        return True


def test_a_broker(mosquitto, monkeypatch):
    anonymous, me = (address(f"mqtt://{u}127.0.0.1:{mosquitto}") for u in ("", "me@"))
    refused = broker.check(anonymous, 60)
    assert refused.state is State.WRONG
    assert "FANWISE_MQTT_PASSWORD" in refused.next_step
    monkeypatch.setenv(broker.PASSWORD, "secret")
    assert broker.check(me, 60).state is State.OK
    monkeypatch.setenv(broker.PASSWORD, "wrong")
    told = broker.check(me, 60)
    assert told.state is State.WRONG
    assert "wrong" not in told.detail


def test_no_broker():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # but listened at by nobody
        number = taken.getsockname()[1]
        for host, words in (
            ("127.0.0.1", "refused"),
            ("[fe80::1%nowhere]", "no such name"),
            ("no..name", "no such name"),
        ):
            found = broker.check(address(f"mqtt://{host}:{number}"), 60)
            assert found.state is State.WRONG
            assert words in found.detail
