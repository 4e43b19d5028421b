"""What the bridge knows of each board right now, and which link speaks for it."""

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from host.bridge.history import History, share
from host.bridge.hub import BoardChanged, Hub, Reading, Stored
from host.bridge.records import Record

MAX_DEVICES = 4096
MAX_ALARMS = 32


class Status(StrEnum):
    """Status of a board as published, docs/topics.md."""

    ONLINE = "online"
    SLEEPING = "sleeping"
    LOST = "lost"
    DISCONNECTED = "disconnected"
    OFFLINE = "offline"


@dataclass
class Board:
    """One device. `owner` is the link that speaks for it, None when no link does."""

    device: str
    status: Status = Status.DISCONNECTED
    owner: object | None = None
    hello: dict[str, Any] = field(default_factory=dict)
    tel: dict[str, Any] = field(default_factory=dict)
    tel_at: float = 0.0
    health: dict[str, Any] = field(default_factory=dict)
    decision: Record | None = None
    last_alarms: dict[str, Record] = field(default_factory=dict)
    history: History = field(default_factory=History)

    @property
    def alarms(self) -> dict[str, Record]:
        """Alarms raised and not cleared, by kind and what they are of."""
        return {key: last for key, last in self.last_alarms.items() if last.body["on"]}

    @property
    def limit_mc(self) -> float | None:
        """The limit now: a decision names the one it used, the birth the one at the start."""
        decided = self.decision
        if decided and decided.boot == self.hello.get("boot") and decided.body.get("limit_mc"):
            return decided.body["limit_mc"]
        return self.hello.get("limit_mc")


class Registry:
    """All boards by device id; every change is published on the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.boards: dict[str, Board] = {}

    def restore(self, device: str, hello: dict[str, Any], newest: list[Record]) -> None:
        """A board known from the store; `newest` its latest records, newest first."""
        board = self._board(device)
        if board is None:
            return
        board.hello = hello
        for record in reversed(newest):
            _apply(board, record)

    def restore_history(self, device: str, readings: list[dict[str, Any]]) -> None:
        board = self.boards[device]
        for tel in readings:
            at = tel.get("received", tel.get("at") or 0)
            board.history.add(at, tel, share(len(self.boards)))

    def claim(self, device: str, owner: object) -> bool:
        """Whether `owner` now speaks for `device`. Not while another live link does."""
        board = self._board(device)
        if board is None:
            return False
        if board.owner not in (None, owner) and board.status is Status.ONLINE:
            return False
        board.owner = owner
        return True

    def owns(self, device: str, owner: object) -> bool:
        board = self.boards.get(device)
        return board is not None and board.owner is owner

    def status(self, device: str, status: Status, owner: object) -> None:
        """Set the status, if `owner` still speaks for the board."""
        board = self.boards.get(device)
        if board is None or board.owner is not owner:
            return
        if status in (Status.DISCONNECTED, Status.OFFLINE):
            board.owner = None
        if board.status is not status:
            board.status = status
            self._hub.publish(BoardChanged(device))

    def hello(self, device: str, hello: dict[str, Any]) -> None:
        self.boards[device].hello = hello
        self._hub.publish(BoardChanged(device))

    def health(self, device: str, health: dict[str, Any]) -> None:
        self.boards[device].health = health
        self._hub.publish(BoardChanged(device))

    def telemetry(self, device: str, tel: dict[str, Any]) -> float:
        """Take a reading; when it was made, in unix seconds by the host's clock.

        A board that was alone sends its ring of old readings between new ones: those go into the
        chart, and are never shown as what is now.
        """
        board = self.boards[device]
        now = time.time()
        newest = board.tel
        if tel["boot"] == newest.get("boot") and tel["seq"] < newest["seq"]:
            at = board.tel_at - (newest["ms"] - tel["ms"]) / 1000
            board.history.add(at, tel, share(len(self.boards)))
            return at
        board.tel, board.tel_at = tel, now
        board.history.add(now, tel, share(len(self.boards)))
        self._hub.publish(Reading(device, now, tel))
        return now

    def stored(self, record: Record) -> None:
        board = self.boards.get(record.device)
        if board:
            _apply(board, record)
        self._hub.publish(Stored(record))
        if record.kind == "alarm":
            self._hub.publish(BoardChanged(record.device))

    def changed(self, device: str) -> None:
        self._hub.publish(BoardChanged(device))

    def _board(self, device: str) -> Board | None:
        board = self.boards.get(device)
        if board is None and len(self.boards) < MAX_DEVICES:
            board = self.boards[device] = Board(device)
        return board


def _apply(board: Board, record: Record) -> None:
    if record.kind == "dec" and _newer(board, record, board.decision):
        board.decision = record
    elif record.kind == "alarm":
        # A sensor alarm names its sensor: two sensors lost are two alarms.
        key = " ".join(filter(None, (record.body["kind"], record.body.get("of"))))
        if _newer(board, record, board.last_alarms.get(key)):
            board.last_alarms[key] = record
            while len(board.last_alarms) > MAX_ALARMS:
                del board.last_alarms[next(iter(board.last_alarms))]


def _newer(board: Board, record: Record, known: Record | None) -> bool:
    """Repeated records may come out of order; one of an earlier start never beats this start's."""
    if known is None:
        return True
    if record.boot == known.boot:
        return record.seq > known.seq
    return known.boot != board.hello.get("boot")
