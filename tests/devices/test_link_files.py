"""Passwords and certificates on their way to a board: from where, what is refused, what is told."""

import dataclasses
import json
import ssl
import subprocess

import pytest

from host.devices import agent_file, deploy_plan, deploy_set, link_files
from host.devices.boards import load_board
from host.devices.errors import SettingsError
from host.devices.link_files import MQTT_PASSWORD, WIFI_PASSWORD, LinkFiles

BOARD = load_board("simulated")
WIFI, MQTT = "correct horse", "battery staple"


@pytest.fixture
def target(tmp_path, monkeypatch):
    for env in (WIFI_PASSWORD, MQTT_PASSWORD):
        monkeypatch.delenv(env, raising=False)
    config = BOARD.device_config(
        device="b1", link="mqtt", wifi={"ssid": "x"}, mqtt={"host": "h", "user": "b1"}
    )
    return agent_file.AgentFile(tmp_path / "a.toml", BOARD, "mqtt", config, ())


def test_from_the_environment(target, monkeypatch):
    assert link_files.files(target) == {}, "what is not given stays on the board"
    monkeypatch.setenv(WIFI_PASSWORD, WIFI)
    monkeypatch.setenv(MQTT_PASSWORD, MQTT)
    assert link_files.check(target) == []
    assert json.loads(link_files.files(target)["secrets.json"]) == {"wifi": WIFI, "mqtt": MQTT}
    serial = dataclasses.replace(target, config=BOARD.device_config(device="b1"))
    assert link_files.files(serial) == {}


def test_from_files(target, tmp_path):
    (tmp_path / "w").write_text(f"{WIFI}\n")
    (tmp_path / "m").write_text("")
    named = LinkFiles(tmp_path / "w", tmp_path / "m")
    target = dataclasses.replace(target, secrets=named)
    assert link_files.check(target) == []
    assert json.loads(link_files.files(target)["secrets.json"]) == {"wifi": WIFI}


@pytest.mark.parametrize(
    ("wifi", "mqtt", "problem"),
    [
        (WIFI, None, "the password for mqtt is not given, the other one is"),
        (None, MQTT, "the password for wifi is not given, the other one is"),
        ("short", MQTT, f"{WIFI_PASSWORD}: a password has 8 to 63 bytes"),
        (WIFI, "m" * 257, f"{MQTT_PASSWORD}: a password has 1 to 256 bytes"),
    ],
)
def test_problems_name_no_password(target, monkeypatch, wifi, mqtt, problem):
    for env, value in ((WIFI_PASSWORD, wifi), (MQTT_PASSWORD, mqtt)):
        if value:
            monkeypatch.setenv(env, value)
    (found,) = link_files.check(target)
    assert found.startswith(problem)
    assert not [secret for secret in (wifi, mqtt) if secret and secret in found]
    with pytest.raises(SettingsError, match=problem.split(":")[0]):
        deploy_set.check(target)


def test_without_a_user_there_is_one_password(target, monkeypatch):
    target.config["mqtt"].pop("user")
    monkeypatch.setenv(WIFI_PASSWORD, WIFI)
    assert link_files.check(target) == []


def test_files_that_are_none(target, tmp_path):
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    (tmp_path / "c").write_text("no certificate")
    target = dataclasses.replace(
        target, secrets=LinkFiles(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    )
    assert [problem.rpartition("/")[2] for problem in link_files.check(target)] == [
        "a: No such file or directory; a readable file with the password is needed",
        "b: it is no text; a readable file with the password is needed",
        "c: 0 certificates, one in PEM is needed",
    ]


def test_a_certificate(target, tmp_path):
    pem = tmp_path / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca", "-days",
         "2", "-keyout", str(tmp_path / "key"), "-out", str(pem)],
        check=True, capture_output=True,
    )  # fmt: skip
    target = dataclasses.replace(target, secrets=LinkFiles(ca_file=pem))
    der = link_files.files(target)["ca.der"]
    assert ssl.DER_cert_to_PEM_cert(der).strip() == pem.read_text().strip()
    pem.write_text(pem.read_text() * 2)
    assert "2 certificates, one in PEM is needed" in link_files.check(target)[0]
    pem.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "no certificate in PEM can be read" in link_files.check(target)[0]


def test_they_are_part_of_no_set_and_replace_what_is_there(target, monkeypatch):
    """A set's id is told to everybody, so it must not depend on a password."""
    before = deploy_set.wanted(target)
    monkeypatch.setenv(WIFI_PASSWORD, WIFI)
    monkeypatch.setenv(MQTT_PASSWORD, MQTT)
    files = deploy_set.wanted(target)
    assert set(files) - set(before) == {"secrets.json"}
    plan, bare = (deploy_plan.make_plan(deploy_plan.BoardState(), each) for each in (files, before))
    assert plan.set_id == bare.set_id
    names = [op.path for op in plan.ops]
    assert names.index("/secrets.json.new") < names.index("/secrets.json") < names.index("/active")
    assert not [
        op for op in plan.ops if op.path.endswith("manifest.new") and b"secrets" in op.content
    ]


def test_written_and_read_back(target, tmp_path):
    named = LinkFiles(tmp_path / "w", None, tmp_path / "deep" / "ca.pem")
    target = dataclasses.replace(target, secrets=named)
    agent_file.write(target)
    assert agent_file.load(target.path) == target
    text = target.path.read_text()
    assert 'wifi_password_file = "w"' in text
    assert '# mqtt_password_file = "..."' in text


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("[secrets]\nwifi = 'x'", "secrets.wifi: there is no such entry"),
        ("[secrets]\nca_file = 3", "secrets.ca_file: the name of a file is needed"),
        ("secrets = 3", "[secrets]: a table is needed"),
    ],
)
def test_a_table_with_problems(target, table, problem):
    agent_file.write(target)
    text = target.path.read_text()
    text = text[: text.index("[secrets]")]
    target.path.write_text(f"{table}\n{text}" if "=" in table[:10] else f"{text}{table}\n")
    with pytest.raises(SettingsError) as caught:
        agent_file.load(target.path)
    assert [each.partition(": ")[2] for each in caught.value.problems] == [problem]
