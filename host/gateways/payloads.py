"""What gateways say of a board, in units people use. Pure."""

import time
from typing import Any

from host.bridge.records import Record
from host.bridge.registry import Board

TOP = 3


def celsius(milli: float | None) -> float | None:
    return None if milli is None else round(milli / 1000, 2)


def on_off(value: Any) -> str | None:
    return None if value is None else ("ON" if value else "OFF")


def iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def state(board: Board) -> dict[str, Any]:
    """The retained `state` payload, docs/topics.md."""
    tel = board.tel
    power = tel.get("power_mw")
    decision = board.decision.body if board.decision else {}
    return {
        "case_c": celsius(tel.get("case_mc")),
        "ambient_c": celsius(tel.get("ambient_mc")),
        "forecast_off_c": celsius(tel.get("fc_off_mc")),
        "forecast_on_c": celsius(tel.get("fc_on_mc")),
        "limit_c": celsius(board.limit_mc),
        "power_w": None if power is None else round(power / 1000, 3),
        "rpm": tel.get("fan_rpm"),
        "fan": on_off(tel.get("fan")),
        "score": tel.get("score"),
        "threshold": tel.get("thr"),
        "anomaly": on_off(tel.get("anom")),
        "rule": tel.get("rule"),
        "override_s": tel.get("ov") or 0,
        "reason": decision.get("why"),
        "alarms": sorted(board.alarms),
        "at": iso(board.tel_at) if board.tel_at else None,
    }


def contributions(phi: dict[str, Any]) -> list[tuple[str, float]]:
    """(feature, Shapley value in the unit of `phi`), the largest first."""
    values = [num / phi["den"] * phi["lsb"] for num in phi["num"]]
    pairs = zip(phi["names"], values, strict=True)
    return sorted(pairs, key=lambda pair: -abs(pair[1]))


def in_people_units(phi: dict[str, Any]) -> tuple[str, float]:
    """Unit to show contributions in, and the factor from the unit of `phi`."""
    if phi["unit"] in ("mK", "m°C"):
        return "K", 0.001
    return phi["unit"], 1.0


def explanation(record: Record) -> dict[str, Any] | None:
    """The retained `explanation` payload: the largest contributions in words, and all of `phi`."""
    phi = record.body.get("phi")
    if not phi:
        return None
    unit, scale = in_people_units(phi)
    top = [f"{name} {value * scale:+.2f} {unit}" for name, value in contributions(phi)[:TOP]]
    return {
        "boot": record.boot,
        "seq": record.seq,
        "at": iso(record.at),
        "reason": record.body["why"],
        "top": top,
        "phi": phi,
    }
