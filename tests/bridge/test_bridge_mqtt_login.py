"""How the bridge gets in at a mosquitto with TLS and passwords, or says why it does not."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bridge.conftest import Bridge, eventually, free_port
from tests.bridge.fake_board import FakeBoard
from tests.bridge.mosquitto import MOSQUITTO, needs_mosquitto

PASSWD = shutil.which("mosquitto_passwd")
OPENSSL = shutil.which("openssl")


@needs_mosquitto
@pytest.mark.skipif(not (PASSWD and OPENSSL), reason="mosquitto_passwd or openssl is not installed")
@pytest.mark.parametrize(
    ("trusted", "password", "said", "late"),
    [
        ("ca", "hush-hush", "fanwise.mqtt connected", False),
        ("mutual", "hush-hush", "fanwise.mqtt connected", False),
        ("", "hush-hush", "CERTIFICATE_VERIFY_FAILED", True),
        ("ca", "hush-hash", "broker refuses the login: check the user", True),
    ],
)
def test_tls_and_password(
    bridge: Bridge,
    board: FakeBoard,
    tmp_path: Path,
    trusted: str,
    password: str,
    said: str,
    late: bool,
) -> None:
    """With the right CA and password it connects, with a certificate of its own where the broker
    wants one; a certificate it cannot trust stops it, and it says so though the broker was not
    there before. Records are stored all the same.
    """
    port = free_port()
    key, cert, users = (tmp_path / name for name in ("key.pem", "cert.pem", "users"))
    make = f"{OPENSSL} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=here"
    make += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
    for command in (make, f"{PASSWD} -c -b {users} bridge hush-hush"):
        subprocess.run(command.split(), check=True, capture_output=True, timeout=60)
    for file in (key, users):
        file.chmod(0o644)
    tmp_path.chmod(0o755)
    server = tmp_path / "mosquitto.conf"
    server.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\nuser root\n"
        f"password_file {users}\ncertfile {cert}\nkeyfile {key}\n"
        + f"cafile {cert}\nrequire_certificate true\n"
        * (trusted == "mutual")
    )
    (tmp_path / "secret").write_text(password + "\n")
    config = tmp_path / "bridge.toml"
    config.write_text(
        f"[mqtt]\nurl = 'mqtts://bridge@127.0.0.1:{port}'\n"
        f"password_file = '{tmp_path / 'secret'}'\n"
        + f"ca_file = '{cert}'\n" * bool(trusted)
        + f"cert_file = '{cert}'\nkey_file = '{key}'\n" * (trusted == "mutual")
    )
    quiet = subprocess.DEVNULL
    if late:
        bridge.start("--config", str(config), "--port", str(board.path))
        eventually(lambda: "broker not reachable" in bridge.log.read_text())
    broker = subprocess.Popen([str(MOSQUITTO), "-c", str(server)], stdout=quiet, stderr=quiet)
    try:
        if not late:
            bridge.start("--config", str(config), "--port", str(board.path))
        eventually(lambda: said in bridge.log.read_text(), what=said)
        assert password not in bridge.log.read_text()
        board.decide()
        eventually(lambda: board.acked)
    finally:
        broker.kill()
        broker.wait(60)
