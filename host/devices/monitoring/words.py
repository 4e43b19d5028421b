"""Frames in words, as the monitor shows them. Any content is fine, also a malformed one."""

import time
from typing import Any

from agent.rare.link_words import words

COLOURS = {"dec": 36, "alarm": 31, "hello": 32, "health": 90, "log": 33, "rsp": 35, "tel": 90}
OTHER_COLOUR = 34
HEAD = ("t", "boot", "seq", "ms", "at")


def celsius(value: Any) -> str:
    return f"{value / 1000:.1f} C" if isinstance(value, int | float) else "-"


def milli(value: Any, unit: str) -> str:
    return f"{value / 1000:.2f} {unit}" if isinstance(value, int | float) else f"- {unit}"


def summary(frame: dict[str, Any]) -> str:
    """One frame in words, without its head."""
    kind = frame.get("t")
    if kind == "tel":
        fan = {"0": "off", "1": "on"}.get(str(frame.get("fan")), "?")
        return (
            f"case {celsius(frame.get('case_mc'))}  ambient {celsius(frame.get('ambient_mc'))}  "
            f"{milli(frame.get('power_mw'), 'W')}  {frame.get('fan_rpm')} rpm  fan {fan}  "
            f"score {frame.get('score')}/{frame.get('thr')}  {frame.get('rule')}"
        )
    if kind == "dec":
        held = f" (held: {frame['held']})" if frame.get("held") else ""
        return f"fan {'ON' if frame.get('set') else 'off'}{held}: {frame.get('why')}"
    if kind == "alarm":
        state = "ALARM" if frame.get("on") else "cleared"
        return f"{state} {frame.get('kind')}: {frame.get('why')}"
    if kind == "log":
        return f"{frame.get('lvl', '')} {frame.get('msg', '')}".strip()
    members = {key: value for key, value in frame.items() if key not in HEAD}
    if isinstance(frame.get("link"), dict):
        members["link"] = f"({link_summary(frame['link'])})"
    return "  ".join(f"{key}={value}" for key, value in members.items())


def link_summary(link: dict[str, Any]) -> str:
    """The link of a board that speaks over a broker."""
    rssi = f" {link['rssi']} dBm" if link.get("rssi") is not None else ""
    why = f" ({words(str(link['why']))})" if link.get("why") else ""
    return f"wifi {link.get('wifi')}{rssi}  broker {link.get('broker')}{why}"


def contributions(record: dict[str, Any]) -> list[tuple[str, float, str]]:
    """(feature, contribution, unit) of a decision record, largest first; [] where it has none."""
    phi = record.get("phi")
    try:
        step = phi["lsb"] / phi["den"]  # type: ignore[index]
        pairs = zip(phi["names"], phi["num"], strict=True)  # type: ignore[index]
        named = [(str(name), num * step, str(phi["unit"])) for name, num in pairs]  # type: ignore[index]
    except (TypeError, KeyError, ValueError, ZeroDivisionError):
        return []
    return sorted(named, key=lambda row: -abs(row[1]))


def printable(text: str) -> str:
    """Without control characters that could drive the terminal; tabs stay."""
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


def paint(text: str, colour: int, coloured: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if coloured else text


def stamp(at_s: float) -> str:
    """Local time to a millisecond."""
    return time.strftime("%H:%M:%S", time.localtime(at_s)) + f".{int(at_s * 1000) % 1000:03d}"


def frame_line(frame: dict[str, Any], at_s: float, coloured: bool) -> str:
    kind = printable(str(frame.get("t")))[:8]
    where = printable(f"{frame.get('boot')}/{frame.get('seq')}")
    name = paint(f"{kind:<6}", COLOURS.get(kind, OTHER_COLOUR), coloured)
    return f"{stamp(at_s)}  {name} {where:<14} {printable(summary(frame))}"


def text_line(line: bytes, at_s: float) -> str:
    text = line.rstrip(b"\r").decode("utf-8", "replace")
    return f"{stamp(at_s)}  {printable(text)}"
