"""What the frames of a running agent tell about it. Pure; the frames have been validated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agent.rare.link_words import words
from host.devices.doctoring.finding import Finding, note, ok, wrong

if TYPE_CHECKING:
    from host.devices.doctoring.classify import Expected, Facts

Frame = dict[str, Any]
CLOCK_OFF_S = 5.0
LOW_HEAP = 8192
# The firmware itself takes a sensor's silence for a loss only after so long.
SETTLED_MS = 5000
ROLES = ("cooling", "anomaly")
# The telemetry member of each sensor a hello may list.
READINGS = {"case": "case_mc", "ambient": "ambient_mc", "power": "power_mw", "fan": "fan_rpm"}
MODEL_PROBLEM = re.compile(r"model (refused|out of use)|models need")
LOOP_ERROR = "loop: "
# Below it an ESP32 loses packets.
WEAK_DBM = -80


def findings(frames: Sequence[Frame], facts: Facts) -> list[Finding]:
    hello = _newest(frames, "hello")
    if hello is None:
        step = "is its RX wired? Press EN, or let --restart do it"
        return [wrong("agent", "sends frames but does not answer who it is", step)]
    found = [*_who(hello, facts), *_mode(hello, frames), *_models(hello, facts)]
    found += _clock(hello, facts)
    found += _sensors(hello, _newest(frames, "tel"))
    found += _health(hello, _newest(frames, "health"))
    found += _alarms(frames)
    found += _link(hello)
    return found


def _newest(frames: Sequence[Frame], kind: str) -> Frame | None:
    return next((frame for frame in reversed(frames) if frame["t"] == kind), None)


def _who(hello: Frame, facts: Facts) -> list[Finding]:
    expected = facts.expected
    fw, board, device = hello.get("fw"), hello.get("board"), hello["dev"]
    found = [ok("agent", f"{device}: firmware {fw} on {board}, boot {hello['boot']}")]
    if fw != facts.fw:
        detail = f"{fw} on the board, {facts.fw} here"
        found.append(wrong("firmware", detail, "./run deploy brings it up to date"))
    found += _files(hello, expected)
    if hello.get("failed"):
        detail = f"the set {hello['failed']} did not start, the one before runs again"
        found.append(
            wrong("deploy", detail, "./run deploy once more, and watch with ./run monitor")
        )
    if expected.board and board != expected.board:
        detail = f"its settings are for {board}, not {expected.board}"
        found.append(wrong("board", detail, "./run deploy with the board that it is"))
    if expected.device and device != expected.device:
        detail = f"this is {device}, not {expected.device} of {expected.source}"
        found.append(wrong("device", detail, "another --port, or deploy this file"))
    limit_mc = hello.get("limit_mc")
    if expected.limit_mc is not None and limit_mc != expected.limit_mc:
        detail = f"limit_mc is {limit_mc}, {expected.limit_mc} in {expected.source}"
        found.append(note("limit", detail, "a command holds until the next start; else deploy"))
    return found


def _files(hello: Frame, expected: Expected) -> list[Finding]:
    runs = hello.get("set")
    if not expected.set_id:
        return []
    if not runs:
        return [note("files", "were not put there by deploy, so they cannot be compared")]
    if runs == expected.set_id:
        return [ok("files", f"set {runs}, byte for byte what {expected.source} gives here")]
    detail = f"set {runs} on the board, {expected.set_id} from {expected.source} here"
    return [wrong("files", detail, "./run deploy; program, settings or a model differ")]


def _mode(hello: Frame, frames: Sequence[Frame]) -> list[Finding]:
    problems = [str(f["msg"]) for f in frames if f["t"] == "log" and f.get("lvl") == "error"]
    problems = list(dict.fromkeys(problems))
    loop = [text for text in problems if text.startswith(LOOP_ERROR)]
    models = [text for text in problems if MODEL_PROBLEM.search(text) and text not in loop]
    settings = [text for text in problems if text not in loop and text not in models]
    found = []
    if hello.get("safe"):
        why = "its settings are refused" if settings else "three starts in a row failed"
        step = "./run deploy, which checks settings first"
        found.append(wrong("safe mode", f"no models, the fan stays safe: {why}", step))
    step = "correct the agent's file, then ./run deploy"
    found += [wrong("settings", text[:160], step) for text in settings]
    step = "./run deploy with a bundle that ./run check-model accepts"
    found += [wrong("model", text[:160], step) for text in models]
    step = "the fan is safe meanwhile; ./run monitor, and report it"
    found += [wrong("error", text[:160], step) for text in loop]
    if hello.get("cause") == "watchdog":
        step = "if it happens again: ./run monitor --log FILE"
        found.append(note("last start", "by the watchdog: the program hung or kept failing", step))
    return found


def _models(hello: Frame, facts: Facts) -> list[Finding]:
    expected = facts.expected
    there = hello.get("models") or {}
    if hello.get("safe"):
        return []
    found = []
    for role in ROLES:
        has, wants = there.get(role), expected.models.get(role)
        if has == wants or (has and not wants and not expected.strict):
            if has:
                found.append(
                    ok(f"{role} model", f"{has}, as in {expected.source}" if wants else has)
                )
            continue
        detail = f"{has or 'none'} on the board, {wants or 'none'} in {expected.source}"
        step = "./run deploy"
        tell = wrong if expected.strict else note
        found.append(tell(f"{role} model", detail, step))
    return found


def _clock(hello: Frame, facts: Facts) -> list[Finding]:
    at, heard_s = hello.get("at"), facts.hello_at_s
    if at is None:
        return [note("clock", "was not told the time yet; the bridge does")]
    if heard_s is None:
        return []
    off_s = at - heard_s
    if abs(off_s) > CLOCK_OFF_S:
        detail = f"{abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} this machine"
        return [wrong("clock", detail, "let the bridge run; is this machine's clock right?")]
    return [ok("clock", "as this machine's")]


def _sensors(hello: Frame, tel: Frame | None) -> list[Finding]:
    if tel is None:
        return [note("telemetry", "none came while it was looked at")]
    fitted = [name for name in READINGS if name in (hello.get("feat") or ())]
    missing = [name for name in fitted if tel.get(READINGS[name]) is None]
    found = []
    if missing and tel["ms"] < SETTLED_MS:
        found.append(note("sensors", f"no reading yet from {', '.join(missing)}: it just started"))
        missing, fitted = [], []
    for name in missing:
        step = "check its wires and the pins in the agent's file; alarms name the reason"
        found.append(wrong(f"sensor {name}", "gives no reading", step))
    if fitted and not missing:
        found.append(ok("sensors", f"{', '.join(fitted)} read"))
    if tel.get("ov"):
        step = 'ends by itself, or: ./run monitor --send "override clear" --wait'
        found.append(note("override", f"the fan is switched by hand, {tel['ov']} s more", step))
    return found


def _health(hello: Frame, health: Frame | None) -> list[Finding]:
    found = []
    free = hello.get("free")
    if isinstance(free, int | float) and free < LOW_HEAP:
        step = "a smaller model, or one model only"
        found.append(wrong("memory", f"{free} bytes are left", step))
    elif free is not None:
        found.append(ok("memory", f"{free} bytes of heap free"))
    if hello.get("dropped"):
        detail = f"{hello['dropped']} records were lost: no bridge took them for too long"
        found.append(note("records", detail, "let ./run bridge run"))
    elif hello.get("queued"):
        found.append(note("records", f"{hello['queued']} wait for a bridge"))
    test = (health or {}).get("self_test")
    if isinstance(test, dict) and not test.get("ok"):
        step = "./run monitor --send self-test --wait; then ./run deploy"
        found.append(wrong("self-test", "the newest one failed", step))
    return found


def _link(hello: Frame) -> list[Finding]:
    link = hello.get("link")
    if not isinstance(link, dict):
        return [note("Wi-Fi", "not used: this board speaks through the serial line")]
    why = words(str(link.get("why"))) if link.get("why") else ""
    wifi, broker, rssi = link.get("wifi"), link.get("broker"), link.get("rssi")
    found = []
    if wifi != "up":
        step = "are name and password in the agent's file right? ./run deploy"
        return [wrong("Wi-Fi", f"{wifi}: {why or 'not joined yet'}", step)]
    if isinstance(rssi, int) and rssi < WEAK_DBM:
        found.append(note("Wi-Fi", f"weak, {rssi} dBm", "move the board or the access point"))
    else:
        found.append(ok("Wi-Fi", f"joined, {rssi} dBm"))
    if broker != "up":
        step = "is it reached from here? ./run doctor --broker URL; then [settings.mqtt]"
        return [*found, wrong("board's broker", f"{broker}: {why or 'not connected yet'}", step)]
    before = f"; trouble before: {why}" if why else ""
    return [*found, ok("board's broker", f"connected for the {link.get('up')}. time{before}")]


def _alarms(frames: Sequence[Frame]) -> list[Finding]:
    alarms = sorted(
        (frame for frame in frames if frame["t"] == "alarm"), key=lambda f: (f["boot"], f["seq"])
    )
    newest = {(frame["kind"], frame.get("of")): frame for frame in alarms}
    raised = [frame for frame in newest.values() if frame.get("on")]
    return [note(f"alarm {frame['kind']}", str(frame["why"])[:160]) for frame in raised]
