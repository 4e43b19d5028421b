"""Every wrong setting is named, with what is expected, before anything is opened."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from host.bridge import config
from host.bridge.errors import ConfigError
from tests.bridge.conftest import ROOT

TTY = "/dev/ptmx"  # a character device that is always there
CASES = [
    # TOML, flags, words the one problem must contain
    ("", {}, ["no serial port", "--port"]),
    ("ports = 'x'", {}, ["ports", "list"]),
    (f"ports = ['{TTY}', '{TTY}']", {}, ["given twice"]),
    ("", {"port": [__file__]}, ["not a serial device"]),
    (f"ports = ['{TTY}']\nsite = 'A b'", {}, ["site", "a-z"]),
    (f"ports = ['{TTY}']\nsite = 'a/b'", {}, ["site"]),
    (f"ports = ['{TTY}']\nbaud = true", {}, ["baud", "whole number"]),
    (f"ports = ['{TTY}']\nbaud = 1", {}, ["baud", "1200"]),
    (f"ports = ['{TTY}']\nkeepalive_s = 60", {}, ["keepalive_s", "20"]),
    (f"ports = ['{TTY}']\nbuad = 9600", {}, ['"buad"', "baud"]),
    (f"ports = ['{TTY}']\nlog_level = 'loud'", {}, ["log_level", "debug"]),
    (f"ports = ['{TTY}']\nstore = 'x.db'", {}, ["[store]"]),
    (f"ports = ['{TTY}']\n[store]\nmax_mb = 0", {}, ["[store] max_mb"]),
    (f"ports = ['{TTY}']\n[store]\npath = '/tmp'", {}, ["/tmp", "folder"]),
    ("", {"port": [TTY], "broker": "http://x"}, ["mqtt://"]),
    ("", {"port": [TTY], "broker": "mqtt://"}, ["mqtt://"]),
    ("", {"port": [TTY], "broker": "mqtt://h:99999"}, ["mqtt://"]),
    ("", {"port": [TTY], "broker": "mqtt://h:0"}, ["mqtt://"]),
    ("", {"port": [TTY], "broker": "mqtt://h/topic"}, ["mqtt://"]),
    ("", {"port": [TTY], "broker": "mqtt://u:hush@h"}, ["password_file"]),
    ("", {"port": [TTY], "broker": "mqtt://h", "embedded_broker": True}, ["exclude each other"]),
    (f"ports = ['{TTY}']\n[mqtt]\npassword_file = '/none'", {}, ["password_file", "/none"]),
    (f"ports = ['{TTY}']\n[mqtt]\nca_file = '/none'", {}, ["ca_file"]),
    (f"ports = ['{TTY}']\n[mqtt]\ndiscovery_prefix = '#'", {}, ["discovery_prefix"]),
    ("", {"port": [TTY], "http": "8080"}, ["HOST:PORT"]),
    ("", {"port": [TTY], "http": "127.0.0.1:99999"}, ["HOST:PORT"]),
    ("", {"port": [TTY], "http": "0.0.0.0:8080"}, ["token_file", "login"]),
    ("", {"port": [TTY], "http": "[::]:8080"}, ["token_file", "login"]),
    ("ports = [", {}, ["not TOML"]),
    (f"ports = ['{TTY}']\n[gateways.x]\nmodule = '.x'", {}, ["no gateway", "TypeError"]),
    (f"ports = ['{TTY}']\n[gateways.x]\nmodule = 'tests.no.such'", {}, ["no gateway", "such"]),
]


def read(tmp_path: Path, toml: str, flags: dict[str, Any]) -> config.Config:
    file = tmp_path / "bridge.toml"
    file.write_text(toml)
    return config.load(file, flags)


@pytest.mark.parametrize(("toml", "flags", "words"), CASES)
def test_one_wrong_setting(
    tmp_path: Path, toml: str, flags: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, toml, flags)
    matching = [p for p in error.value.problems if all(word in p for word in words)]
    assert len(matching) == 1, error.value.problems
    assert "hush" not in str(error.value)


def test_all_problems_at_once(tmp_path: Path) -> None:
    toml = "site = 'A b'\nbaud = 1\nports = []\n[web]\nlisten = '0.0.0.0:80'\n[mqtt]\nurl = 'x'"
    with pytest.raises(ConfigError) as error:
        read(tmp_path, toml, {})
    assert len(error.value.problems) == 5


def test_missing_file() -> None:
    """Nothing is said of what would stand in it."""
    with pytest.raises(ConfigError, match="check the path") as error:
        config.load(Path("/none.toml"), {"http": "0.0.0.0:8080"})
    assert len(error.value.problems) == 1


def test_a_file_as_windows_editors_write_it(tmp_path: Path) -> None:
    made = read(tmp_path, f"\ufeffports = ['{TTY}']\r\nsite = 'shop'\r\n", {})
    assert made.site == "shop"


def test_short_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short")
    toml = f"ports = ['{TTY}']\n[web]\ntoken_file = '{tmp_path / 'token'}'"
    with pytest.raises(ConfigError, match="16 characters"):
        read(tmp_path, toml, {})


def test_flags_win_and_secrets_stay_hidden(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("correct-horse-battery\n")
    toml = f"""
        site = "shop"
        ports = ["/dev/none-yet"]
        [mqtt]
        url = "mqtts://bridge%40home@broker.example"
        password_file = "{tmp_path / "secret"}"
        [web]
        listen = "0.0.0.0:8080"
        token_file = "{tmp_path / "secret"}"
    """
    made = read(tmp_path, toml, {"site": "home"})
    assert made.site == "home"
    assert made.ports == ("/dev/none-yet",)
    broker = next(plan.settings.broker for plan in made.gateways if plan.name == "mqtt")
    assert (broker.host, broker.port, broker.tls) == ("broker.example", 8883, True)
    assert broker.username == "bridge@home"
    assert broker.password == "correct-horse-battery"
    assert "horse" not in repr(made)


LATE = ("tensorflow", "keras", "shap", "numpy", "pandas", "asyncua", "amqtt", "pymodbus")
STARTED = """
import sys
from host.bridge import config
config.load(None, {"port": ["/dev/ptmx"], "broker": "mqtt://127.0.0.1", "http": "127.0.0.1:0"})
import host.bridge.service
print(*sys.modules)
"""


def test_starts_without_what_is_slow() -> None:
    """Neither machine learning nor the libraries of gateways that are not wanted."""
    command = [sys.executable, "-c", STARTED]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    names = set(loaded.stdout.split())
    assert "host.bridge.service" in names
    assert "host.gateways.mqtt" in names
    assert not names & set(LATE)
