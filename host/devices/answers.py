"""The answers to `./run new-agent`, as text and as parts of /config.json: pure.

sensors   "case=ds18b20:4 ambient=ntc:34 power=ina219:21,22 fan=tach:27", "fan=none" leaves one out
output    "26 nc high": pin, contact the fan hangs on, level that draws the relay
limits    "45 55": the limit the agent keeps, and the trip point, in degrees Celsius
link      "serial", or "mqtt ssid='my net' host=192.168.1.10 tls=yes": network and broker
"""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Mapping
from typing import Any

from agent.config import DRIVERS, LINKS, RELAY, ROLES
from agent.link_config import MQTT, WIFI
from host.devices.errors import SettingsError

_WIRES = ("pin", "sda", "scl")
_LINK_KEYS: dict[str, tuple[str, type]] = {key: ("wifi", kind) for key, kind, *_ in WIFI}
_LINK_KEYS |= {key: ("mqtt", kind) for key, kind, *_ in MQTT}


def wires_of(driver: str) -> list[str]:
    """Members of a driver that are pins, in order."""
    members: Mapping[str, Any] = DRIVERS[driver]  # type: ignore[assignment]
    return [wire for wire in _WIRES if wire in members]


def sensors_text(sensors: Mapping[str, Mapping[str, Any]]) -> str:
    words = []
    for role in ROLES:
        if role in sensors:
            driver = sensors[role]["driver"]
            pins = ",".join(str(sensors[role][wire]) for wire in wires_of(driver))
            words.append(f"{role}={driver}:{pins}")
    return " ".join(words)


def sensors(text: str, default: Mapping[str, Any]) -> dict[str, Any]:
    """The default with what `text` names changed. Raises SettingsError."""
    result = copy.deepcopy(dict(default))
    problems = []
    for word in text.split():
        role, given, value = word.partition("=")
        if role not in ROLES or not given:
            problems.append(f"sensors: {word!r}, e.g. fan=tach:27 or fan=none is needed")
        elif value == "none":
            result.pop(role, None)
        else:
            driver, _, pins = value.partition(":")
            if driver not in ROLES[role]:
                problems.append(f"sensors.{role}: {driver!r}, {' or '.join(ROLES[role])} is needed")
                continue
            wires = wires_of(driver)
            numbers = pins.split(",") if pins else []
            if len(numbers) != len(wires) or not all(n.isdecimal() for n in numbers):
                problems.append(f"sensors.{role}: {driver} needs its {' and '.join(wires)}")
                continue
            # What is not a pin (a shunt's size, say) stays as the board's file has it.
            kept = result.get(role, {})
            kept = kept if kept.get("driver") == driver else {"driver": driver}
            result[role] = {**kept, **dict(zip(wires, map(int, numbers), strict=True))}
    if "case" not in result:
        problems.append("sensors: case is needed, the temperature the fan is there for")
    if problems:
        raise SettingsError(problems)
    return {role: result[role] for role in ROLES if role in result}


def output_text(relay: Mapping[str, Any]) -> str:
    return " ".join(str(relay[key]) for key in ("pin", "contact", "active"))


def output(text: str, default: Mapping[str, Any]) -> dict[str, Any]:
    """The default relay with what `text` names changed, in any order. Raises SettingsError."""
    relay = dict(default)
    choices = {choice: key for key, values, _ in RELAY for choice in values}
    for word in text.split():
        if word.isdecimal():
            relay["pin"] = int(word)
        elif word in choices:
            relay[choices[word]] = word
        else:
            raise SettingsError([f"output: {word!r}, e.g. '26 nc high' is needed"])
    return relay


def limits_text(config: Mapping[str, int]) -> str:
    return f"{config['limit_mc'] / 1000:g} {config['trip_mc'] / 1000:g}"


def limits(text: str, default: Mapping[str, int]) -> dict[str, int]:
    """{limit_mc, trip_mc}: "45" keeps the trip point. Raises SettingsError."""
    words = text.split()
    if not 1 <= len(words) <= 2 or not all(re.fullmatch(r"\d{1,3}(\.\d{1,3})?", w) for w in words):
        raise SettingsError(
            [f"limits: {text!r}, e.g. '45 55' is needed: limit and trip point in C"]
        )
    values = [round(float(word) * 1000) for word in words]
    return dict(default) | dict(zip(("limit_mc", "trip_mc"), values, strict=False))


def link(text: str) -> dict[str, Any]:
    """{} for serial, else {link, wifi, mqtt}, their values not checked. Raises SettingsError."""
    try:
        kind, *words = shlex.split(text) or [""]
    except ValueError:
        kind, words = "", []
    if kind not in LINKS or (kind == LINKS[0] and words):
        raise SettingsError([f"link: {text!r}, serial or 'mqtt ssid=NAME host=NAME' is needed"])
    if kind == LINKS[0]:
        return {}
    tables: dict[str, dict[str, Any]] = {"wifi": {}, "mqtt": {}}
    problems = []
    for word in words:
        key, given, value = word.partition("=")
        if key not in _LINK_KEYS or not given:
            problems.append(f"link: {word!r} is none of {', '.join(f'{k}=' for k in _LINK_KEYS)}")
            continue
        table, kind_of_value = _LINK_KEYS[key]
        tables[table][key] = _typed(value, kind_of_value)
    if problems:
        raise SettingsError(problems)
    return {"link": kind, **tables}


def _typed(value: str, kind: type) -> Any:
    # What is of another type stays text, for the check of the settings to name.
    if kind is bool:
        return {"yes": True, "true": True, "no": False, "false": False}.get(value, value)
    return int(value) if kind is int and value.isdecimal() else value
