"""The serial monitor: frames in words, everything else as it came."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.communication import frames
from host.devices.monitor import Printer, printable, summary
from tests.bridge.conftest import ROOT, eventually
from tests.bridge.fake_board import FakeBoard, decision

SUMMARIES = [
    ({"t": "tel", "case_mc": 41250, "ambient_mc": None, "fan": 1}, "case 41.2 C  ambient -"),
    ({"t": "dec", **decision()}, "fan ON: Fan on because"),
    ({"t": "dec", "set": 0, "held": "min_off", "why": "x"}, "fan off (held: min_off): x"),
    ({"t": "alarm", "on": 1, "kind": "fan", "why": "x"}, "ALARM fan: x"),
    ({"t": "rsp", "seq": 1, "id": "a", "ok": True}, "id=a  ok=True"),
    ({"t": "tel", "case_mc": "hot", "fan": []}, "case -"),
]


@pytest.mark.parametrize(("frame", "start"), SUMMARIES)
def test_summaries(frame: dict[str, object], start: str) -> None:
    assert summary(frame).startswith(start)


def test_text_around_frames_is_kept_in_order() -> None:
    out = io.StringIO()
    printer = Printer(out, as_json=False, raw=False, colour=False)
    frame = frames.encode({"t": "log", "boot": 1, "seq": 2, "lvl": "info", "msg": "hi"})
    for byte in b"rst:0x1\r\n>>> " + frame + b"tail \x1b[2J\nprompt":
        printer.feed(bytes([byte]))
    printer.idle()
    shown = [line.split("  ", 1)[1] for line in out.getvalue().splitlines()]
    assert shown == ["rst:0x1", ">>> ", "log    1/2      info hi", "tail \\x1b[2J", "prompt"]


def test_as_json() -> None:
    out = io.StringIO()
    printer = Printer(out, as_json=True, raw=False, colour=False)
    printer.feed(b"noise\n" + frames.encode({"t": "log", "msg": "hi"}) + b"noise\n")
    assert out.getvalue() == '{"t":"log","msg":"hi"}\n'


def test_no_control_characters_reach_the_terminal() -> None:
    assert printable("a\x1b[31m\tb\x07") == "a\\x1b[31m\tb\\x07"


def test_it_reconnects_and_ends_cleanly(tmp_path: Path) -> None:
    path = tmp_path / "board"
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'firmware'}", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "host.devices.monitor", str(path)]
    shown, said = tmp_path / "out", tmp_path / "err"
    with shown.open("wb") as out, said.open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT, env=env)
    try:
        eventually(lambda: "is not there" in said.read_text())
        for boot in (1, 2):
            with FakeBoard(path, "box-one", boot=boot) as board:
                eventually(lambda boot=boot: said.read_text().count("open") == boot)
                board.tel()
                eventually(lambda boot=boot: f"tel    {boot}/1" in shown.read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
        assert "Traceback" not in said.read_text()
        assert "\x1b" not in shown.read_text()
    finally:
        process.kill()
