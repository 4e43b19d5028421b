"""What a board with the link mqtt gets besides its settings: passwords, and whom it trusts.

    [secrets]                                # in an agent's file; paths relative to it
    wifi_password_file = "barn.wifi"         # else FANWISE_WIFI_PASSWORD; empty: an open network
    mqtt_password_file = "cellar.mqtt"       # else FANWISE_BOARD_MQTT_PASSWORD
    ca_file = "ca.pem"                       # one certificate

They become /secrets.json and /ca.der in the board's root, beside its sets, and part of neither: a
set's id is told to everybody. What is not given stays as it is on the board.
"""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MQTT = "mqtt"
SECRETS, CA = "secrets.json", "ca.der"
KEYS = ("wifi_password_file", "mqtt_password_file", "ca_file")
WIFI_PASSWORD = "FANWISE_WIFI_PASSWORD"
# Not the bridge's FANWISE_MQTT_PASSWORD: each board is a user of its own.
MQTT_PASSWORD = "FANWISE_BOARD_MQTT_PASSWORD"
# Of WPA2, in bytes; an open network has none.
WIFI_CHARS = (8, 63)
MQTT_CHARS = (1, 256)
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class LinkFiles:
    """Where they are; None: in the environment, or on the board already."""

    wifi_password_file: Path | None = None
    mqtt_password_file: Path | None = None
    ca_file: Path | None = None


NONE_NAMED = LinkFiles()


def parse(table: Any, folder: Path, problems: list[str]) -> LinkFiles:
    """The table [secrets] of an agent's file in `folder`."""
    if not isinstance(table, Mapping):
        problems.append("[secrets]: a table is needed")
        return NONE_NAMED
    problems += [f"secrets.{key}: there is no such entry" for key in table if key not in KEYS]
    problems += [
        f"secrets.{key}: the name of a file is needed"
        for key in KEYS
        if key in table and not isinstance(table[key], str)
    ]
    paths = {key: folder / table[key] for key in KEYS if isinstance(table.get(key), str)}
    return LinkFiles(**paths)


def check(target: Any) -> list[str]:
    """What is wrong with them; no message has a secret in it."""
    problems: list[str] = []
    _collect(target, problems)
    return problems


def files(target: Any) -> dict[str, bytes]:
    """{path on the board: content}, for a target without problems."""
    return _collect(target, [])


def _collect(target: Any, problems: list[str]) -> dict[str, bytes]:
    config = target.config
    found: dict[str, bytes] = {}
    if config.get("link") != MQTT:
        return found
    named = getattr(target, "secrets", NONE_NAMED)
    wifi = _secret(named.wifi_password_file, WIFI_PASSWORD, WIFI_CHARS, problems)
    mqtt = _secret(named.mqtt_password_file, MQTT_PASSWORD, MQTT_CHARS, problems)
    needed = {"wifi": (wifi, WIFI_PASSWORD)}
    if (config.get("mqtt") or {}).get("user"):
        needed["mqtt"] = (mqtt, MQTT_PASSWORD)
    given = {key: value for key, (value, _) in needed.items() if value is not None}
    if given and len(given) < len(needed) and not problems:
        ((key, (_, env)),) = [(k, v) for k, v in needed.items() if k not in given]
        problems.append(
            f"the password for {key} is not given, the other one is: both go into one file; set "
            f"{env} or secrets.{key}_password_file too"
        )
    if given:
        text = json.dumps({key: value for key, value in given.items() if value})
        found[SECRETS] = text.encode()
    if named.ca_file is not None:
        certificate = _certificate(named.ca_file, problems)
        if certificate:
            found[CA] = certificate
    return found


def _secret(path: Path | None, env: str, sizes: tuple[int, int], problems: list[str]) -> str | None:
    # None: not given.
    if path is None:
        value = os.environ.get(env) or None
    else:
        try:
            value = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            problems.append(f"{path}: {reason}; a readable file with the password is needed")
            return None
    low, high = sizes
    if value and not low <= len(value.encode()) <= high:
        problems.append(f"{path or env}: a password has {low} to {high} bytes")
    return value


def _certificate(path: Path, problems: list[str]) -> bytes:
    try:
        found = _PEM.findall(path.read_text(encoding="ascii"))
        if len(found) == 1:
            der = ssl.PEM_cert_to_DER_cert(found[0])
            ssl.create_default_context(cadata=der)
            return der
        problems.append(f"{path}: {len(found)} certificates, one in PEM is needed")
    except (OSError, ValueError) as error:  # ssl.SSLError and UnicodeDecodeError are
        problems.append(f"{path}: no certificate in PEM can be read from it ({error})")
    return b""
