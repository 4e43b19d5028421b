"""What is wrong with a board, from what it said. Pure: values in, findings out.

findings = classify(text, frames, Facts(...))
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from host.bridge import validate
from host.bridge.errors import InvalidFrame
from host.devices.doctoring import agent, boot_text
from host.devices.doctoring.finding import Finding, note, ok, wrong

DEPLOY = "./run deploy"
# More than this share of bytes that are no text: the line runs at another speed, or is noisy.
NOISE = 0.3
NOISE_CHARS = 20
TORN = "#fw1 "
MIN_MICROPYTHON = (1, 24)
STOPPED = "fanwise: stopped"


@dataclass(frozen=True)
class Expected:
    """What the board should be. models: {role: "id@version"}; `source` says where that stands.

    strict: from the board's own agent file, so that a difference is wrong. set_id: of the files
    that would be deployed, a hash of them all.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    source: str = "training/bundles"
    strict: bool = False
    chip: str = ""
    board: str = ""
    device: str = ""
    limit_mc: int | None = None
    set_id: str = ""


@dataclass(frozen=True)
class Facts:
    """files: what lies in the board's root, where it was at its REPL to be asked, else None.
    hello_at_s: this machine's time when the newest hello came. gone: why the port went away, if it
    did.
    """

    listened_s: float
    fw: str
    expected: Expected = Expected()
    files: Sequence[str] | None = None
    hello_at_s: float | None = None
    restarted: bool = False
    gone: str = ""


def classify(text: str, frames: Sequence[dict[str, Any]], facts: Facts) -> list[Finding]:
    """text: all that came and was no frame; frames: those of the board, in order."""
    good, bad = _checked(frames)
    found = boot_text.starts(text, facts.listened_s, facts.restarted)
    if facts.gone:
        step = "plug it in anew; another cable or socket, if it goes on"
        found.append(wrong("port", f"went away while it was looked at: {facts.gone}", step))
    found += _chip(text, facts.expected)
    if good:
        found += agent.findings(good, facts)
        if bad:
            found.append(
                note("frames", f"{len(bad)} malformed, the first: {bad[0]}", "./run deploy")
            )
        torn = text.count(TORN)
        if torn:
            found.append(note("line", f"{torn} frames were damaged on the way", "shorter cable"))
    elif facts.gone:
        pass
    elif not any(finding.next_step for finding in found):
        found += _without_frames(text, facts)
    return found


def _checked(frames: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    good, bad = [], []
    for frame in frames:
        if frame.get("t") in validate.FROM_HOST:
            continue  # the board's console echoes what it is sent
        try:
            good.append(validate.frame(frame))
        except InvalidFrame as error:
            bad.append(str(error))
    return good, bad


def _chip(text: str, expected: Expected) -> list[Finding]:
    chip = boot_text.chip(text)
    if not chip:
        return []
    if expected.chip and chip != expected.chip:
        step = "name the kind that it is with --board (./run boards)"
        return [wrong("chip", f"{chip}, not {expected.chip} as {expected.board} has", step)]
    return [ok("chip", chip)]


def _without_frames(text: str, facts: Facts) -> list[Finding]:
    banner = boot_text.BANNER.search(text)
    if banner or facts.files is not None or text.rstrip().endswith(">>>"):
        return [*_micropython(banner), _at_repl(text, facts)]
    if boot_text.IDF_APP.search(text):
        name = boot_text.IDF_NAME.search(text)
        program = f" ({name[1]})" if name else ""
        step = "./run flash puts MicroPython there, ./run deploy the agent"
        return [wrong("firmware", f"another firmware runs, not MicroPython{program}", step)]
    if _noise(text):
        step = "115,200 baud is expected; another cable, or GND is not connected"
        return [wrong("line", "bytes come that are no text", step)]
    if text.strip():
        last = text.strip().splitlines()[-1].strip()[:60]
        step = f"{DEPLOY} stops it and puts the agent there"
        detail = f"another program runs and does not read: its last words are {last!r}"
        return [wrong("program", detail, step)]
    return [
        wrong(
            "silence",
            "the port is there, but nothing comes from it",
            "press EN, or let --restart do it; if it stays silent: is it the right port, is the "
            "board's LED on, is it flashed (./run flash)?",
        )
    ]


def _micropython(banner: re.Match[str] | None) -> list[Finding]:
    if banner is None:
        return [ok("MicroPython", "at its prompt")]
    version = int(banner[1]), int(banner[2])
    detail = f"{banner[1]}.{banner[2]}{banner[3]}, {banner[4].strip()[:60]}"
    if version < MIN_MICROPYTHON:
        return [wrong("MicroPython", f"{detail}: 1.24 or newer is needed", boot_text.FLASH)]
    return [ok("MicroPython", detail)]


def _at_repl(text: str, facts: Facts) -> Finding:
    files = set(facts.files or ())
    if STOPPED in text or {"main.py", "agent"} <= files:
        step = "./run doctor --restart starts it again, as does EN"
        return wrong("agent", "is there, but was stopped and left at the REPL", step)
    if "main.py" in files:
        step = f"{DEPLOY} puts the agent in its place"
        return wrong("agent", "another program's main.py is there, and has ended", step)
    if facts.files is None:
        return wrong("agent", "none runs: the board is at its REPL", DEPLOY)
    return wrong("agent", "MicroPython alone: no agent is there", DEPLOY)


def _noise(text: str) -> bool:
    odd = sum(not (c.isprintable() or c in "\r\n\t\x1b") or c == "\ufffd" for c in text)
    return len(text) >= NOISE_CHARS and odd > NOISE * len(text)
