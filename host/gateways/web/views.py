"""The JSON the page and the API show. Pure: state in, values out."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from host.bridge.core import Core
from host.bridge.history import COLUMNS
from host.bridge.link import Link
from host.bridge.records import Record
from host.bridge.registry import Board
from host.gateways import payloads
from host.gateways.payloads import contributions

# Ports without a board that are shown; thousands of boards behind a broker come one by one.
MAX_UNNAMED = 64


def record(item: Record) -> dict[str, Any]:
    """A stored record with its device and store id; Shapley values worked out in their unit."""
    view = {**item.body, "id": item.id, "dev": item.device, "at": item.at}
    phi = item.body.get("phi")
    if phi:
        step = phi["lsb"] / phi["den"]
        view["shapley"] = {
            "of": phi["of"],
            "unit": phi["unit"],
            "base": phi["base_num"] * step,
            "sum": sum(phi["num"]) * step,
            "total": (phi["base_num"] + sum(phi["num"])) * step,
            "err": phi["err"] * step,
            "values": [{"name": name, "value": value} for name, value in contributions(phi)],
        }
    return view


def link(item: Link) -> dict[str, Any]:
    return {
        "port": item.path,
        "state": item.state,
        "detail": item.detail,
        "device": item.device,
        "stats": item.stats.as_dict(),
    }


def board(item: Board) -> dict[str, Any]:
    owner = item.owner
    hello = item.hello
    return {
        "device": item.device,
        "status": item.status,
        "fw": hello.get("fw"),
        "board": hello.get("board"),
        "models": hello.get("models") or {},
        "safe": bool(hello.get("safe")),
        "boot": hello.get("boot"),
        "limit_mc": item.limit_mc,
        "tel": item.tel,
        "tel_at": item.tel_at,
        "health": item.health,
        "reason": item.decision.body["why"] if item.decision else None,
        "alarms": [record(alarm) for alarm in item.alarms.values()],
        "link": link(owner) if isinstance(owner, Link) else None,
    }


def status(item: Board) -> dict[str, Any]:
    """How one board is, in few words and people's units: for other people's pages."""
    alarms = [{"kind": a.body["kind"], "why": a.body["why"]} for a in item.alarms.values()]
    return {**payloads.state(item), "device": item.device, "status": item.status, "alarms": alarms}


BOARDS_AT_ONCE = 40


def boards(core: Core) -> Iterator[bytes]:
    """Everything the page needs to draw, but charts and decisions, as JSON in pieces."""
    unnamed = [each for each in core.links if each.device is None]
    head = {
        "site": core.site,
        "now": time.time(),
        "store_problem": core.writer.problem,
        "stored": core.writer.stored,
        "point": ["at", *COLUMNS],
        "links": [link(each) for each in unnamed[:MAX_UNNAMED]],
    }
    return _with_boards(head, core, board)


def statuses(core: Core) -> Iterator[bytes]:
    """How each board is, in few words, as JSON in pieces."""
    return _with_boards({"site": core.site}, core, status)


def _with_boards(
    head: dict[str, Any], core: Core, view: Callable[[Board], dict[str, Any]]
) -> Iterator[bytes]:
    """A fleet of thousands takes tens of milliseconds: whoever sends the pieces lets others have
    their turn between them.
    """
    yield to_json(head)[:-1] + b',"boards":['
    every = [each for _, each in sorted(core.registry.boards.items())]
    for start in range(0, len(every), BOARDS_AT_ONCE):
        part = to_json([view(each) for each in every[start : start + BOARDS_AT_ONCE]])
        yield (b"," if start else b"") + part[1:-1]
    yield b"]}"


def to_json(value: Any) -> bytes:
    return _encode(value).encode()


_encode = json.JSONEncoder(separators=(",", ":")).encode
