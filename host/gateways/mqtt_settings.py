"""Settings of what speaks MQTT: brokers, and the table [mqtt] with its flags."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from host.bridge.gateways import Common
from host.bridge.secret import secret
from host.bridge.toml_table import Table
from host.bridge.users import Role, role_of

TOPIC_PREFIX = re.compile(r"[A-Za-z0-9_/-]{1,64}")


@dataclass(frozen=True)
class Broker:
    """A broker and what it takes to be let in."""

    host: str = "127.0.0.1"
    port: int = 1883
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True)
class MqttConfig:
    """Where the MQTT gateway delivers. `embedded` runs a broker inside the bridge, on loopback.

    `role`: what those may do who can write to the command topics.
    """

    broker: Broker = Broker()
    embedded: bool = False
    discovery_prefix: str = "homeassistant"
    role: Role = Role.OPERATOR


def configure(table: Table, flags: dict[str, Any], common: Common) -> MqttConfig | None:
    embedded = table.flag("embedded", flags.get("embedded_broker"))
    embedded_port = table.integer("embedded_port", flags.get("embedded_port"), 1883, 0, 65535)
    prefix = table.text("discovery_prefix", None, "homeassistant")
    if not TOPIC_PREFIX.fullmatch(prefix):
        table.problem(f'discovery_prefix "{prefix}": use letters, digits, /, _ and -')
    role = role_of(table, "operator")
    if embedded and flags.get("broker") is not None and flags.get("embedded_broker"):
        table.problem("--broker and --embedded-broker exclude each other; give one of them")
    found = broker(table, flags.get("broker"))
    if embedded and flags.get("broker") is None:
        found = Broker(port=embedded_port)
    return None if found is None else MqttConfig(found, embedded, prefix, role)


def broker(table: Table, flag: str | None) -> Broker | None:
    """The broker named by `url` in the table, or by the flag; None if by neither."""
    has_url = table.has("url") or flag is not None
    url = table.text("url", flag, "mqtt://127.0.0.1:1883") if has_url else ""
    password = secret(table, "password_file", "FANWISE_MQTT_PASSWORD")
    ca_file, cert_file, key_file = (_file(table, k) for k in ("ca_file", "cert_file", "key_file"))
    if bool(cert_file) != bool(key_file):
        table.problem("cert_file and key_file belong together: give both for mutual TLS")
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
        table.problem(
            f"broker {shown}: expected mqtt://[user@]host[:port], or mqtts:// for TLS, "
            "as in mqtt://127.0.0.1:1883"
        )
        return None
    if parts.password:
        table.problem(
            f"broker {shown}: a password in the URL shows in process lists; "
            "put it in password_file or FANWISE_MQTT_PASSWORD"
        )
    tls = parts.scheme == "mqtts"
    if (ca_file or cert_file) and not tls:
        table.problem(f"broker {shown}: certificates need TLS: write mqtts://")
    return Broker(
        host=parts.hostname,
        port=port or (8883 if tls else 1883),
        tls=tls,
        username=unquote(parts.username) if parts.username else None,
        password=password,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
    )


def _file(table: Table, key: str) -> Path | None:
    text = table.text(key, None, "") if table.has(key) else ""
    if text and not Path(text).is_file():
        table.problem(f"{key} {text}: no such file; it holds PEM")
    return Path(text) if text else None
