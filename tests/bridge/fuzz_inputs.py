"""Valid inputs of the bridge, and mutations of them."""

import json
import random
from typing import Any

from agent.communication import frames
from tests.bridge.fake_board import decision

DEVICES = ("box-one", "box-two", "box-three")
HEAD = {"boot": 1, "seq": 1, "ms": 5, "at": 1795258800}
PHI = decision()["phi"]
FRAMES: list[dict[str, Any]] = [
    {"t": "hello", **HEAD, "dev": "box-one", "fw": "0.1.0", "board": "esp32", "cause": "power_on",
     "models": {"cooling": "cooling@3"}, "feat": ["case"], "free": 81234, "limit_mc": 45000},
    {"t": "tel", **HEAD, "case_mc": 44310, "ambient_mc": 23100, "fan": 0, "score": 31, "thr": 90,
     "anom": 0, "rule": "forecast", "ov": 0, "fc_off_mc": 45000, "fc_on_mc": 43000},
    {"t": "dec", **HEAD, **decision()},
    {"t": "alarm", **HEAD, "kind": "anomaly", "on": 1, "why": "strange", "val": 99, "phi": PHI},
    {"t": "rsp", **HEAD, "id": "who-1", "ok": True, "msg": "fine", "data": {"ok": 1}},
    {"t": "health", **HEAD, "free": 1, "min_free": 1, "loop_ms": 4, "up_s": 9, "outbox": [0, 0, 0]},
    {"t": "log", **HEAD, "lvl": "info", "msg": "hello"},
    {"t": "bye", **HEAD, "sleep_s": 60},
]  # fmt: skip
COMMANDS = [
    {"id": "a1", "name": "override", "args": {"fan": 1, "for_s": 60}},
    {"id": "a2", "name": "set_limit", "args": {"limit_mc": 45000}},
    {"name": "ping"},
    {"id": "a3", "name": "self-test", "args": {}},
]
PATHS = [
    "/", "/login", "/logout", "/health", "/ready", "/metrics", "/api/session", "/api/boards",
    "/api/status", "/api/status/box-one", "/api/history/box-one", "/api/decisions?device=box-one",
    "/api/decisions?limit=5&before=9", "/api/decisions/box-one/1/1", "/api/alarms?limit=500",
    "/api/decisions.csv?limit=3", "/api/telemetry.csv?device=box-one&hours=1", "/api/commands",
    "/api/openapi.json", "/static/page.js", "/static/../app.py",
]  # fmt: skip
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1, 0.5, 2**31, 2**53, -(2**53) - 1, 2**64, 1e308, "", "x" * 500,
    "\ud800", "\x00", "\u202e", "é", [], {}, [[]], {"a": {}}, [[[[[[[[1]]]]]]]], list(range(70)),
    {"x" * 50: 1}, {"\n": 1}, "box-two", "tel", "dec",
]  # fmt: skip
BYTES = [
    b"#fw1 ",
    b"\n",
    b"\r\n",
    b"\x00",
    b"{",
    b"}",
    b'"',
    b"\xff\xfe",
    b"1e999",
    b"NaN",
    b"[" * 99,
]


def changed(value: Any, dice: random.Random) -> Any:
    """A value with one member somewhere replaced, removed or doubled."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(list(value))
        kind = dice.random()
        copy = dict(value)
        if kind < 0.1:
            del copy[key]
        elif kind < 0.2:
            copy[dice.choice(["x", "phi", "on", "of", "id", "\ud800", "k" * 41])] = copy[key]
        else:
            copy[key] = changed(copy[key], dice)
        return copy
    if isinstance(value, list) and value and dice.random() < 0.7:
        at = dice.randrange(len(value))
        return [*value[:at], changed(value[at], dice), *value[at + 1 :]]
    if type(value) is int and dice.random() < 0.5:
        return value + dice.randrange(-3, 4)
    return dice.choice(STRANGE)


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Bytes with a few of them changed, removed, put in or repeated."""
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(data) + 1)
        kind = dice.randrange(4)
        if kind == 0:
            data = data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[at + dice.randrange(1, 30) :]
        elif kind == 2:
            data = data[:at] + dice.choice(BYTES) + data[at:]
        else:
            data = data[:at] + data[max(0, at - dice.randrange(60)) :]
    return data


def packed(obj: dict[str, Any], dice: random.Random) -> bytes:
    """A frame whose checksum fits, whatever is in it."""
    text = json.dumps({"t": obj.get("t", "tel"), **obj}, separators=(",", ":"))
    if dice.random() < 0.02:
        text = text.replace("0", "1e999", 1)
    return frames.pack(text.encode()[: frames.MAX_JSON])


def line(number: int, dice: random.Random) -> bytes:
    """What a board might say: frames of any kind, wrong in content, in form, or not at all."""
    said = b""
    for _ in range(dice.randrange(1, 4)):
        obj = {**dice.choice(FRAMES), "seq": number + 1}
        if obj["t"] == "hello" and dice.random() < 0.2:
            obj["boot"] = dice.randrange(4)
        kind = dice.random()
        if kind < 0.6:
            wrong = changed(obj, dice)
            obj = wrong if isinstance(wrong, dict) else obj
        frame = packed(obj, dice)
        said += damaged(frame, dice) if kind > 0.8 else frame
    return said
