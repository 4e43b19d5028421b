"""What OPC UA clients see of a board: variables, methods and event types as tables. Pure.

Nothing here imports asyncua: the tables are also what docs/opcua.md is checked against.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from host.bridge.records import Record
from host.bridge.registry import Board, Status
from host.gateways.payloads import state

NAMESPACE = "urn:fanwise"


class Variable(NamedTuple):
    """`key`: of payloads.state. `reading`: only there while the board is online."""

    name: str
    type: str
    unit: str
    key: str
    reading: bool
    text: str


VARIABLES = (
    Variable("Status", "String", "", "status", False, "online, sleeping, lost, disconnected"),
    Variable("Firmware", "String", "", "firmware", False, "version on the board"),
    Variable("ReadingTime", "DateTime", "", "at", False, "when the newest reading came"),
    Variable("CaseTemperature", "Double", "°C", "case_c", True, "of the case"),
    Variable("AmbientTemperature", "Double", "°C", "ambient_c", True, "of the inlet air"),
    Variable("ForecastFanOff", "Double", "°C", "forecast_off_c", True, "case, with the fan off"),
    Variable("ForecastFanOn", "Double", "°C", "forecast_on_c", True, "case, with the fan on"),
    Variable("Limit", "Double", "°C", "limit_c", False, "the case is to stay below"),
    Variable("Power", "Double", "W", "power_w", True, "of what is cooled"),
    Variable("FanOn", "Boolean", "", "fan", True, "whether the fan is switched on"),
    Variable("FanSpeed", "Double", "r/min", "rpm", True, "of the fan"),
    Variable("Score", "Double", "", "score", True, "of the anomaly model"),
    Variable("Threshold", "Double", "", "threshold", True, "score of an anomaly"),
    Variable("Anomaly", "Boolean", "", "anomaly", True, "whether the score reached it"),
    Variable("OverrideSeconds", "UInt32", "s", "override_s", True, "a command still holds, 0 none"),
    Variable("Rule", "String", "", "rule", True, "which rule decides"),
    Variable("Reason", "String", "", "reason", False, "of the newest decision, in words"),
    Variable("Alarms", "String[]", "", "alarms", False, "raised and not cleared"),
    Variable("AlarmActive", "Boolean", "", "alarm_active", False, "whether there are any"),
)
# UNECE codes, https://reference.opcfoundation.org/Core/Part8/v105/docs/5.6.3
UNECE = {"°C": "CEL", "W": "WTT", "r/min": "RPM", "s": "SEC"}

# Event type: fields, each a property of the event besides those of BaseEventType.
EVENTS = {
    "DecisionEventType": {
        "Device": "String", "Boot": "Int64", "Sequence": "Int64",
        "Rule": "String", "FanOn": "Boolean", "Record": "String",
    },
    "AlarmEventType": {
        "Device": "String", "Boot": "Int64", "Sequence": "Int64",
        "Kind": "String", "Of": "String", "Active": "Boolean", "Record": "String",
    },
}  # fmt: skip
# OPC UA: 1 to 1000, from 667 on high.
SEVERITY_RAISED, SEVERITY_CLEARED, SEVERITY_DECISION = 800, 300, 100


class Snapshot(NamedTuple):
    """A board at one moment; `values` by variable, None for what is not there."""

    device: str
    live: bool
    at: float
    values: dict[str, Any]


def snapshot(board: Board) -> Snapshot:
    live = board.status is Status.ONLINE
    known = state(board)
    known |= {
        "status": str(board.status),
        "firmware": _text(board.hello.get("fw")),
        "at": board.tel_at or None,
        "fan": _switch(known["fan"]),
        "anomaly": _switch(known["anomaly"]),
        "override_s": _uint32(board.tel.get("ov")),
        "alarm_active": bool(known["alarms"]),
    }
    values: dict[str, Any] = {}
    for each in VARIABLES:
        value: Any = known[each.key] if live or not each.reading else None
        values[each.name] = float(value) if each.type == "Double" and value is not None else value
    return Snapshot(board.device, live, board.tel_at, values)


def _switch(word: str | None) -> bool | None:
    return None if word is None else word == "ON"


def _uint32(value: float | None) -> int | None:
    return None if value is None else min(max(int(value), 0), 0xFFFFFFFF)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def event(record: Record) -> tuple[str, int, dict[str, Any]]:
    """Type, severity and fields of a record's event, without "Record"."""
    body = record.body
    fields = {"Device": record.device, "Boot": record.boot, "Sequence": record.seq}
    if record.kind == "alarm":
        severity = SEVERITY_RAISED if body["on"] else SEVERITY_CLEARED
        about = {"Kind": body["kind"], "Of": body.get("of") or "", "Active": bool(body["on"])}
        return "AlarmEventType", severity, fields | about
    about = {"Rule": body["rule"], "FanOn": bool(body["set"])}
    return "DecisionEventType", SEVERITY_DECISION, fields | about


def table() -> Iterator[str]:
    """The variables as lines of Markdown, for docs/opcua.md."""
    yield "| variable | type | unit | what |"
    yield "|---|---|---|---|"
    for each in VARIABLES:
        yield f"| {each.name} | {each.type} | {each.unit} | {each.text} |"
