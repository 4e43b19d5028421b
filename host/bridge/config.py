"""The bridge's configuration: a TOML file, overridden by flags, checked as a whole.

`load` collects every problem before anything is opened and raises one `ConfigError` with all.
"""

import ipaddress
import os
import re
import socket
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from host.bridge.errors import ConfigError
from host.bridge.logs import LEVELS
from host.bridge.toml_table import Table

NAME = re.compile(r"[a-z0-9_-]{1,32}")
TOPIC_PREFIX = re.compile(r"[A-Za-z0-9_/-]{1,64}")
MIN_TOKEN_CHARS = 16


@dataclass(frozen=True)
class BrokerConfig:
    """Where the MQTT gateway delivers. `embedded` runs a broker inside the bridge, on loopback."""

    host: str = "127.0.0.1"
    port: int = 1883
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    embedded: bool = False
    discovery_prefix: str = "homeassistant"


@dataclass(frozen=True)
class WebConfig:
    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoreConfig:
    path: Path = Path("run-state/fanwise.db")
    max_age_days: int = 365
    max_mb: int = 512
    telemetry_every_s: int = 10


@dataclass(frozen=True)
class Config:
    site: str
    ports: tuple[str, ...]
    baud: int
    keepalive_s: float
    store: StoreConfig
    broker: BrokerConfig | None
    web: WebConfig | None
    log_level: str = "info"
    print_decisions: bool = False


def load(path: Path | None, flags: dict[str, Any]) -> Config:
    """Configuration from `path` (may be None) with `flags` (None: not given) over it.

    Raises ConfigError naming every problem found.
    """
    problems: list[str] = []
    tree = _read(path, problems) if path else {}
    table = Table("", tree, problems)
    store = table.table("store")
    mqtt = table.table("mqtt")
    web = table.table("web")

    site = table.text("site", flags.get("site"), "home")
    if not NAME.fullmatch(site):
        problems.append(f'site "{site}": use 1 to 32 of a-z, 0-9, _ and -, as in "home"')
    config = Config(
        site=site,
        ports=_ports(table, flags.get("port"), problems),
        baud=table.integer("baud", None, 115200, 1200, 4_000_000),
        keepalive_s=table.number("keepalive_s", flags.get("keepalive_s"), 10.0, 0.05, 20.0),
        store=StoreConfig(
            path=_store_path(
                store.text("path", flags.get("store"), str(StoreConfig.path)), problems
            ),
            max_age_days=store.integer("max_age_days", None, StoreConfig.max_age_days, 1, 36500),
            max_mb=store.integer("max_mb", None, StoreConfig.max_mb, 1, 1_000_000),
            telemetry_every_s=store.integer("telemetry_every_s", None, 10, 1, 3600),
        ),
        broker=_broker(mqtt, flags, problems),
        web=_web(web, flags, problems),
        log_level=table.text("log_level", flags.get("log_level"), "info"),
        print_decisions=bool(flags.get("print_decisions")),
    )
    if config.log_level not in LEVELS:
        problems.append(f'log_level "{config.log_level}": use one of {", ".join(LEVELS)}')
    for each in (table, store, mqtt, web):
        each.refuse_unknown()
    if problems:
        raise ConfigError(problems)
    return config


def _read(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        problems.append(
            f"configuration file {path}: {error.strerror}; check the path given to --config"
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"configuration file {path} is not TOML: {error}")
    return {}


def _ports(table: Table, flag: list[str] | None, problems: list[str]) -> tuple[str, ...]:
    known = len(problems)
    ports = table.texts("ports", flag)
    if not ports and len(problems) == known:
        problems.append("no serial port: give --port /dev/ttyUSB0 (repeatable) or ports = [...]")
    for port in sorted({port for port in ports if ports.count(port) > 1}):
        problems.append(f"serial port {port} is given twice; name each board's port once")
    for port in dict.fromkeys(ports):
        try:
            mode = os.stat(port).st_mode
        except OSError:
            continue  # may be plugged in later: the link waits for it
        if not stat.S_ISCHR(mode):
            problems.append(
                f"serial port {port} is not a serial device; "
                "on Linux those are called /dev/ttyUSB0, /dev/ttyACM0 and the like"
            )
        elif not os.access(port, os.R_OK | os.W_OK):
            problems.append(
                f"serial port {port}: no permission to read and write; "
                "join the group that owns it (often: sudo usermod -aG dialout $USER)"
            )
    return ports


def _store_path(text: str, problems: list[str]) -> Path:
    path = Path(text).expanduser()
    if path.is_dir():
        problems.append(f"store {path} is a folder; give a file in it, as in {path / 'fanwise.db'}")
    return path


def _secret(table: Table, key: str, env: str, problems: list[str]) -> str | None:
    """A secret from the file named in `key`, else from the environment variable `env`."""
    path = table.text(key, None, "") if table.has(key) else ""
    if not path:
        return os.environ.get(env) or None
    try:
        return Path(path).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        problems.append(f"{key} {path}: {reason}; give a readable file with the secret in it")
        return None


def _broker(table: Table, flags: dict[str, Any], problems: list[str]) -> BrokerConfig | None:
    has_url = table.has("url") or flags.get("broker") is not None
    url = table.text("url", flags.get("broker"), "mqtt://127.0.0.1:1883") if has_url else ""
    embedded = table.flag("embedded", flags.get("embedded_broker"))
    embedded_port = table.integer("embedded_port", flags.get("embedded_port"), 1883, 0, 65535)
    password = _secret(table, "password_file", "FANWISE_MQTT_PASSWORD", problems)
    ca_text = table.text("ca_file", None, "") if table.has("ca_file") else ""
    prefix = table.text("discovery_prefix", None, "homeassistant")
    if not TOPIC_PREFIX.fullmatch(prefix):
        problems.append(f'[mqtt] discovery_prefix "{prefix}": use letters, digits, /, _ and -')
    if ca_text and not Path(ca_text).is_file():
        problems.append(f"[mqtt] ca_file {ca_text}: no such file; give the broker's CA in PEM form")
    if embedded and flags.get("broker") is not None and flags.get("embedded_broker"):
        problems.append("--broker and --embedded-broker exclude each other; give one of them")
    if embedded and flags.get("broker") is None:
        return BrokerConfig(port=embedded_port, embedded=True, discovery_prefix=prefix)
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    shown = re.sub(r"//[^@/]*@", "//***@", url)
    extra = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or port == 0 or extra:
        problems.append(
            f"broker {shown}: expected mqtt://[user@]host[:port], or mqtts:// for TLS, "
            "as in mqtt://127.0.0.1:1883"
        )
        return None
    if parts.password:
        problems.append(
            f"broker {shown}: a password in the URL shows in process lists; "
            "put it in [mqtt] password_file or FANWISE_MQTT_PASSWORD"
        )
    tls = parts.scheme == "mqtts"
    return BrokerConfig(
        host=parts.hostname,
        port=port or (8883 if tls else 1883),
        tls=tls,
        username=unquote(parts.username) if parts.username else None,
        password=password,
        ca_file=Path(ca_text) if ca_text else None,
        discovery_prefix=prefix,
    )


def _web(table: Table, flags: dict[str, Any], problems: list[str]) -> WebConfig | None:
    listen = table.text("listen", flags.get("http"), "127.0.0.1:8080")
    token = _secret(table, "token_file", "FANWISE_WEB_TOKEN", problems)
    hosts = tuple(host.lower() for host in table.texts("hosts", None))
    if listen == "off":
        return None
    host, colon, port_text = listen.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port_text.isdecimal() or int(port_text) > 65535:
        problems.append(f'web address "{listen}": expected HOST:PORT, as in 127.0.0.1:8080, or off')
        return None
    if token is not None and len(token) < MIN_TOKEN_CHARS:
        problems.append(
            f"[web] token_file: the token is shorter than {MIN_TOKEN_CHARS} characters; "
            "make one with: openssl rand -hex 16"
        )
    if token is None and not is_loopback(host):
        problems.append(
            f"web address {listen} can be reached from other machines and needs a login: "
            "set [web] token_file (a token: openssl rand -hex 16), or listen on 127.0.0.1"
        )
    return WebConfig(host=host, port=int(port_text), token=token, hosts=hosts)


def is_loopback(host: str) -> bool:
    """Whether every address `host` stands for is this machine's loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(str(f[4][0])).is_loopback for f in found)
