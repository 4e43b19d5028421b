"""The register map of a board, the same in each unit. Pure: a board in, registers and bits out.

Integers are big-endian, of two registers the high word comes first. A value that is not there (the
sensor is lost, or the board is not online) is the type's own mark: NONE below.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from host.bridge.registry import Board, Status
from host.bridge.validate import ALARM_KINDS, RULES

LAYOUT = 1
NAME_REGISTERS = 16
# Type: registers, lowest, highest value, mark of no value.
TYPES = {
    "uint16": (1, 0, 0xFFFE, 0xFFFF),
    "int16": (1, -0x7FFF, 0x7FFF, -0x8000),
    "uint32": (2, 0, 0xFFFFFFFE, 0xFFFFFFFF),
}
STATUS = (Status.ONLINE, Status.SLEEPING, Status.LOST, Status.DISCONNECTED, Status.OFFLINE)
# Holding registers that can be written, and what HOLD holds.
SECONDS, HOLD = 100, 101
MAX_SECONDS = 0xFFFF
HOLDS = (None, 0, 1)

Value = float | None


@dataclass(frozen=True)
class View:
    """A board as it is now; `tel` is empty unless it is online."""

    board: Board
    tel: dict[str, Any]
    now: float


def view(board: Board, now: float) -> View:
    return View(board, board.tel if board.status is Status.ONLINE else {}, now)


@dataclass(frozen=True)
class Register:
    name: str
    type: str
    unit: str
    text: str
    value: Callable[[View], Value]


def _reading(key: str, divisor: int = 1) -> Callable[[View], Value]:
    def read(of: View) -> Value:
        value = of.tel.get(key)
        return None if value is None else value / divisor

    return read


def _age(of: View) -> Value:
    return of.now - of.board.tel_at if of.board.tel_at else None


def _limit(of: View) -> Value:
    limit = of.board.limit_mc
    return limit / 100 if limit else None


def _rule(of: View) -> Value:
    rule = of.tel.get("rule")
    return RULES.index(rule) if rule in RULES else None


def _alarms(of: View) -> int:
    kinds = {alarm.body["kind"] for alarm in of.board.alarms.values()}
    return sum(1 << bit for bit, kind in enumerate(ALARM_KINDS) if kind in kinds)


def _listed(names: Any) -> str:
    return ", ".join(f"{number} {name}" for number, name in enumerate(names))


REGISTERS = (
    Register("layout", "uint16", "", "version of this table", lambda of: LAYOUT),
    Register("status", "uint16", "", _listed(STATUS), lambda of: STATUS.index(of.board.status)),
    Register("age", "uint16", "s", "since the newest reading", _age),
    Register("case", "int16", "0.1 °C", "temperature of the case", _reading("case_mc", 100)),
    Register("ambient", "int16", "0.1 °C", "temperature of the inlet", _reading("ambient_mc", 100)),
    Register("forecast_off", "int16", "0.1 °C", "with the fan off", _reading("fc_off_mc", 100)),
    Register("forecast_on", "int16", "0.1 °C", "with the fan on", _reading("fc_on_mc", 100)),
    Register("limit", "int16", "0.1 °C", "the case is to stay below", _limit),
    Register("power", "uint32", "mW", "power of what is cooled", _reading("power_mw")),
    Register("fan", "uint16", "", "0 off, 1 on", _reading("fan")),
    Register("rpm", "uint16", "1/min", "speed of the fan", _reading("fan_rpm")),
    Register("score", "uint32", "", "of the anomaly model", _reading("score")),
    Register("threshold", "uint32", "", "score of an anomaly", _reading("thr")),
    Register("override", "uint32", "s", "a command holds for, 0 none", _reading("ov")),
    Register("anomaly", "uint16", "", "0 no, 1 yes", _reading("anom")),
    Register("rule", "uint16", "", _listed(RULES), _rule),
    Register("alarms", "uint16", "bits", _listed(ALARM_KINDS), _alarms),
)
NAME_AT = sum(TYPES[each.type][0] for each in REGISTERS)
COUNT = NAME_AT + NAME_REGISTERS

INPUTS: tuple[tuple[str, Callable[[View], bool]], ...] = (
    ("online", lambda of: of.board.status is Status.ONLINE),
    ("fan is on", lambda of: bool(of.tel.get("fan"))),
    ("a command overrides", lambda of: bool(of.tel.get("ov"))),
    ("anomaly", lambda of: bool(of.tel.get("anom"))),
    ("an alarm is raised", lambda of: bool(of.board.alarms)),
)
COILS = ("fan held on", "fan held off")


def registers(of: View) -> list[int]:
    """COUNT registers, each 0..65535."""
    words: list[int] = []
    for each in REGISTERS:
        words += _words(each.type, each.value(of))
    name = of.board.device.encode("ascii", "replace")[: 2 * NAME_REGISTERS]
    name = name.ljust(2 * NAME_REGISTERS, b"\0")
    return words + [int.from_bytes(name[at : at + 2]) for at in range(0, len(name), 2)]


def inputs(of: View) -> list[bool]:
    return [state(of) for _, state in INPUTS]


def held(of: View) -> int | None:
    """What a command holds the fan at, None if none does."""
    if not of.tel.get("ov"):
        return None
    decision = of.board.decision.body if of.board.decision else {}
    if decision.get("rule") == "override":
        return int(decision["ask"])
    return of.tel.get("fan")


def coils(fan: int | None) -> list[bool]:
    return [fan == 1, fan == 0]


def _words(kind: str, value: Value) -> list[int]:
    count, low, high, none = TYPES[kind]
    number = none if value is None else min(max(round(value), low), high)
    data = number.to_bytes(2 * count, signed=low < 0)
    return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]


def table() -> Iterator[str]:
    """The map as lines of Markdown, for docs/modbus.md and the command line."""
    yield "| register | name | type | unit | what |"
    yield "|---|---|---|---|---|"
    at = 0
    for each in REGISTERS:
        yield f"| {at} | {each.name} | {each.type} | {each.unit} | {each.text} |"
        at += TYPES[each.type][0]
    yield f"| {NAME_AT} | name | {2 * NAME_REGISTERS} × ASCII | | of the board, padded with zeros |"
    yield f"| {SECONDS} | hold_for | uint16 | s | write: how long a hold is to last |"
    hold = "0 auto, 1 held off, 2 held on"
    yield f"| {HOLD} | hold | uint16 | | write: {hold} |"
    yield ""
    yield "| bit | coil | discrete input |"
    yield "|---|---|---|"
    for bit, (name, _) in enumerate(INPUTS):
        yield f"| {bit} | {COILS[bit] if bit < len(COILS) else ''} | {name} |"
