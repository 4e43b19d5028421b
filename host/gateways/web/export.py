"""Decisions and readings as CSV, for spreadsheets: units in the headings, times in UTC."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from host.bridge.core import Core
from host.bridge.records import Record
from host.gateways.payloads import contributions, in_people_units, iso

PAGE = 500
# What a spreadsheet would take for a formula.
FORMULA = ("=", "+", "-", "@", "\t")

Cell = Callable[[Any], Any]


def _thousandth(value: Any) -> Any:
    return round(value / 1000, 3) if isinstance(value, int | float) else None


def _plain(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value.startswith(FORMULA) else value


READINGS: dict[str, tuple[str, Cell]] = {
    "case_c": ("case_mc", _thousandth),
    "ambient_c": ("ambient_mc", _thousandth),
    "power_w": ("power_mw", _thousandth),
    "fan_rpm": ("fan_rpm", _plain),
}
FORECASTS: dict[str, tuple[str, Cell]] = {
    "forecast_off_c": ("fc_off_mc", _thousandth),
    "forecast_on_c": ("fc_on_mc", _thousandth),
    "score": ("score", _plain),
    "threshold": ("thr", _plain),
    "anomaly": ("anom", _plain),
    "rule": ("rule", _plain),
}
DECISION: dict[str, tuple[str, Cell]] = {
    "limit_c": ("limit_mc", _thousandth),
    **FORECASTS,
    "asked": ("ask", _plain),
    "set": ("set", _plain),
    "held": ("held", _plain),
    "model": ("model", _plain),
    "anomaly_model": ("amodel", _plain),
    "why": ("why", _plain),
}
TELEMETRY: dict[str, tuple[str, Cell]] = {**READINGS, "fan": ("fan", _plain), **FORECASTS}


def line(cells: Iterable[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)  # RFC 4180
    return out.getvalue().encode()


async def decisions(core: Core, device: str | None, count: int) -> AsyncIterator[bytes]:
    """A heading, then the newest `count` decisions, newest first."""
    heading = ["time", "device", "boot", "seq", *READINGS, *DECISION]
    yield line([*heading, "contributions_of", "contributions_unit", "contributions"])
    before = None
    while count > 0:
        page = min(count, PAGE)
        found = await core.writer.call(core.store.records, "dec", device, page, before)
        yield b"".join(line(_decision(record)) for record in found)
        if len(found) < page:
            return
        before, count = found[-1].id, count - page


def _decision(record: Record) -> list[Any]:
    body, phi = record.body, record.body.get("phi")
    head = [iso(record.at), _plain(record.device), record.boot, record.seq]
    read = [cell(body["in"].get(key)) for key, cell in READINGS.values()]
    rest = [cell(body.get(key)) for key, cell in DECISION.values()]
    if not phi:
        return [*head, *read, *rest, None, None, None]
    unit, scale = in_people_units(phi)
    parts = "; ".join(f"{name} {value * scale:+.6g}" for name, value in contributions(phi))
    return [*head, *read, *rest, _plain(phi["of"]), _plain(unit), _plain(parts)]


async def telemetry(core: Core, device: str, since: int, count: int) -> AsyncIterator[bytes]:
    """A heading, then the readings kept of a board, oldest first."""
    yield line(["time", "device", *TELEMETRY])
    call, store = core.writer.call, core.store
    since = await call(store.telemetry_start, device, since, count)
    while count > 0:
        found, since = await call(store.telemetry_page, device, since, min(count, PAGE))
        yield b"".join(line(_reading(device, reading)) for reading in found)
        if len(found) < PAGE:
            return
        count -= len(found)


def _reading(device: str, reading: dict[str, Any]) -> list[Any]:
    at = reading.get("received") or reading.get("at") or 0
    cells = [cell(reading.get(key)) for key, cell in TELEMETRY.values()]
    return [iso(at), _plain(device), *cells]
