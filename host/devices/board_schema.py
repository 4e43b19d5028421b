"""What the files boards/*.toml and boards/chips/*.toml must look like: all problems at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from host.devices.pins import BOARD_KINDS, CHIP_KINDS, parse

MODES = ("keep", "qio", "qout", "dio", "dout")
FREQUENCIES = ("keep", "20m", "26m", "40m", "80m")
VERSION = re.compile(r"\d+\.\d+(\.\d+)?")

# table: {key: type}; a key in _MAY may be left out, and so may a table in _MAY.
_TABLES: dict[str, dict[str, type]] = {
    "": {"name": str, "title": str, "chip": str},
    "flash": {"size_kb": int, "offset": int, "mode": str, "freq": str},
    "image": {"name": str, "variant": str, "min_version": str},
    "usb": {"ids": list},
    "pins": {**dict.fromkeys(BOARD_KINDS, str), "wired": dict},
    "memory": {"heap_kb": int, "arena_bytes": int, "model_bytes": int},
}
_CHIP: dict[str, dict[str, type]] = {
    "": {"title": str, "image_id": int, "flash_offset": int},
    "pins": dict.fromkeys(CHIP_KINDS, str),
}
_MAY = {"flash", "image", "usb", "pins", "image.variant", "image_id", "flash_offset"}
_MAY |= {f"pins.{kind}" for kind in (*BOARD_KINDS, *CHIP_KINDS, "wired") if kind != "all"}
_MAY_BE_ZERO = {"flash.offset", "image_id", "flash_offset"}
_WORDS = {str: "a text", int: "a number", list: "a list", dict: "a table"}


def board_problems(raw: Mapping[str, Any], name: str, chips: Sequence[str]) -> list[str]:
    """Problems of form in a board's file; the wiring is not looked at."""
    found = _shape(raw, _TABLES, ("relay", "sensors"))
    if raw.get("name") not in (None, name):
        found.append(f"name: {raw['name']!r} differs from the file's name {name!r}")
    chip = raw.get("chip")
    if isinstance(chip, str) and chip not in chips:
        found.append(f"chip: there is no {chip!r}; known are: {', '.join(chips)}")
    if ("flash" in raw) != ("image" in raw):
        found.append("[flash] and [image] go together: one of them is missing")
    return found + _usb(raw) + _image(raw) + _flash(raw) + _pins(_table(raw, "pins"))


def chip_problems(raw: Mapping[str, Any]) -> list[str]:
    """Problems in a chip's file."""
    return _shape(raw, _CHIP, ()) + _pins(_table(raw, "pins"))


def flash_problems(raw: Mapping[str, Any], chip: Mapping[str, Any]) -> list[str]:
    """What of a board's [flash] does not go with its chip."""
    expected = chip.get("flash_offset")
    if "flash" not in raw:
        return []
    if expected is None:
        return [f"[flash]: a {chip['title']} board is not flashed"]
    if raw["flash"]["offset"] != expected:
        given = raw["flash"]["offset"]
        return [f"flash.offset: {given:#x}, but the {chip['title']} starts from {expected:#x}"]
    return []


def usb_id(text: str) -> tuple[int, int]:
    """(vendor, product) from "10c4:ea60". Raises ValueError."""
    if not re.fullmatch(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{4}", text):
        raise ValueError(text)
    vendor, _, product = text.partition(":")
    return int(vendor, 16), int(product, 16)


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = raw.get(name)
    return table if isinstance(table, Mapping) else {}


def _shape(
    raw: Mapping[str, Any], tables: Mapping[str, Mapping[str, type]], others: Sequence[str]
) -> list[str]:
    known = {*tables[""], *tables, *others}
    found = [f"{key}: there is no such entry" for key in raw if key not in known]
    for table, keys in tables.items():
        values = raw.get(table) if table else raw
        if table in _MAY and table not in raw:
            continue
        if not isinstance(values, Mapping):
            found.append(f"[{table}] is missing")
            continue
        prefix = f"{table}." if table else ""
        for key, kind in keys.items():
            if key in values or f"{prefix}{key}" not in _MAY:
                found += _value(f"{prefix}{key}", values.get(key), kind)
        if table:
            found += [f"{prefix}{key}: there is no such entry" for key in values if key not in keys]
    return found


def _value(name: str, value: Any, kind: type) -> list[str]:
    if not isinstance(value, kind) or isinstance(value, bool):
        return [f"{name}: {_WORDS[kind]} is needed, not {value!r}"]
    if isinstance(value, int) and value < (0 if name in _MAY_BE_ZERO else 1):
        return [f"{name}: {value} is not positive"]
    return []


def _usb(raw: Mapping[str, Any]) -> list[str]:
    found = []
    ids = _table(raw, "usb").get("ids")
    for text in ids if isinstance(ids, list) else ():
        try:
            usb_id(str(text))
        except ValueError:
            found.append(f'usb.ids: {text!r}, "vendor:product" is needed, e.g. "10c4:ea60"')
    return found


def _image(raw: Mapping[str, Any]) -> list[str]:
    found = []
    image = _table(raw, "image")
    for key in ("name", "variant"):
        # They become part of an address and of a file's name.
        if not re.fullmatch(r"[A-Z0-9_]*", str(image.get(key, ""))):
            found.append(f"image.{key}: {image[key]!r} has other characters than A-Z 0-9 _")
    version = image.get("min_version", "0.0")
    if isinstance(version, str) and not VERSION.fullmatch(version):
        found.append(f'image.min_version: {version!r} is no version like "1.24"')
    return found


def _flash(raw: Mapping[str, Any]) -> list[str]:
    flash = _table(raw, "flash")
    return [
        f"flash.{key}: {flash[key]!r}, {' or '.join(choices)} is needed"
        for key, choices in (("mode", MODES), ("freq", FREQUENCIES))
        if isinstance(flash.get(key), str) and flash[key] not in choices
    ]


def _pins(table: Mapping[str, Any]) -> list[str]:
    found = []
    for kind in (*CHIP_KINDS, *BOARD_KINDS):
        try:
            parse(table[kind] if isinstance(table.get(kind), str) else "")
        except ValueError:
            found.append(f'pins.{kind}: {table[kind]!r}, pins like "0 2 12-15" are needed')
    for pin, what in _table(table, "wired").items():
        if not pin.isdecimal() or not isinstance(what, str):
            found.append(f"pins.wired.{pin}: a pin and what is soldered to it is needed")
    return found
