"""The doctor on ports: ptys that play what boards print, simulated boards, and a real broker."""

import contextlib
import json
import os
import pty
import select
import shutil
import threading
import time
import tty
from pathlib import Path
from unittest.mock import patch

import pytest
from boot_texts import BANNER, EMPTY, RTC_WDT

from agent.version import VERSION
from host import doctor
from host.devices.doctoring import look
from host.simulation.errors import VmError
from host.simulation.fleet import Fleet
from host.simulation.vm import ensure_vm
from tests.bridge.conftest import ROOT, eventually
from tests.bridge.fake_board import FakeBoard
from tests.simulation.simulation_rig import Bench

# What comes is waited for as long as it takes; SILENT: what a test knows not to come.
PATIENT = dict.fromkeys(("ANSWER_S", "AGENT_S", "PROMPT_S", "START_S", "SETTLE_S"), 60.0)
SILENT = 0.5


def run(capsys, *arguments, **limits):
    """Exit code, and the findings as {what: (state, detail)}."""
    with patch.multiple(look, **PATIENT | limits):
        code = doctor.main([*map(str, arguments), "--listen", "0.3", "--json"])
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {o["what"]: (o["state"], o["detail"]) for o in objects if o["event"] == "finding"}
    return code, found


def wrong(found):
    return {what: detail for what, (state, detail) in found.items() if state == "wrong"}


class Player:
    """A pty that says `text` over and over, and answers what it is sent by `answers`."""

    def __init__(self, text: str, answers: dict[bytes, str]) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self.heard = b""
        self._text = text.encode()
        self._answers = dict(answers)
        self._stop = threading.Event()
        os.set_blocking(self._master, False)
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _play(self) -> None:
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.05)[0]:
                self._say(self._text)
                continue
            self.heard += os.read(self._master, 4096)
            for asked, answer in list(self._answers.items()):
                if asked in self.heard:
                    del self._answers[asked]
                    self._say(answer.encode())

    def _say(self, text: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # nobody reads it
            os.write(self._master, text)

    def __enter__(self) -> "Player":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)


LISTING = b"import os;print('files:',os.listdir('/'))\r"
ECHO = LISTING.decode() + "\n"
LISTED = "files: ['boot.py']\r\n>>> "
PLAYED = [
    (RTC_WDT + EMPTY, {}, "firmware", "empty"),
    ("busy 1\r\n", {}, "program", "'busy 1'"),
    ("", {}, "silence", "nothing comes"),
    (
        "",
        {b"\x02": BANNER, LISTING: ECHO + "files: ['boot.py']\r\n>>> "},
        "agent",
        "MicroPython alone",
    ),
]


@pytest.mark.parametrize(("text", "answers", "what", "words"), PLAYED)
def test_boards_that_only_print(capsys, text, answers, what, words):
    prompt_s = PATIENT["PROMPT_S"] if answers else SILENT
    with Player(text, answers) as player:
        code, found = run(capsys, "--port", player.path, ANSWER_S=SILENT, PROMPT_S=prompt_s)
    assert code == 1
    assert found[what][0] == "wrong"
    assert words in found[what][1]
    assert b"\x03" not in player.heard  # nothing is interrupted
    assert b"\x04" not in player.heard


def test_a_port_without_a_reset_line(capsys):
    limits = dict.fromkeys(("ANSWER_S", "PROMPT_S", "START_S"), SILENT)
    with Player("busy 1\r\n", {}) as player:
        code, found = run(capsys, "--port", player.path, "--restart", **limits)
    assert (code, found["restart"][0]) == (1, "optional")
    assert found["program"][0] == "wrong"


class Slow(FakeBoard):
    """Speaks at once, but answers late."""

    def _frame(self, frame):
        self.tel()
        threading.Timer(1.5, super()._frame, [frame]).start()


def test_an_agent_with_a_lot_to_do_gets_more_time(capsys, tmp_path):
    with Slow(tmp_path / "board", "box-one") as board:
        code, found = run(capsys, "--port", board.path, ANSWER_S=1)
    assert code == 0, wrong(found)


class Unplugged(FakeBoard):
    """Its port goes away when it is asked something."""

    def _frame(self, frame):
        threading.Thread(target=self.close).start()


def test_a_port_that_goes_away(capsys, tmp_path):
    with Unplugged(tmp_path / "board", "box-one") as board:
        code, found = run(capsys, "--port", board.path)
    assert (code, wrong(found).keys()) == (1, {"port"})


class Replugged(FakeBoard):
    """Its port goes away and comes back as it restarts, as the USB of some chips does."""

    def _frame(self, frame):
        super()._frame(frame)
        if frame.get("name") == "reboot":
            threading.Thread(target=self._restart).start()

    def _restart(self):
        self.close()
        time.sleep(0.3)
        asked = len(self.received)
        self.open()
        # Until it is heard: opening a port throws away what came before.
        while len(self.received) == asked and not self._stop.wait(0.05):
            self.hello()


def test_a_port_that_comes_back_with_the_restart(capsys, tmp_path):
    with Replugged(tmp_path / "board", "box-one") as board:
        code, found = run(capsys, "--port", board.path, "--restart", SETTLE_S=0.2)
    assert (code, wrong(found)) == (0, {})
    assert found["agent"][0] == "ok"


def test_a_running_board_is_only_listened_to_and_asked(capsys, tmp_path):
    with FakeBoard(tmp_path / "board", "box-one") as board:
        code, found = run(capsys, "--port", board.path)
        board.decide()
    assert code == 0
    assert found["agent"][0] == "ok"
    assert [frame["name"] for frame in board.received] == ["rebirth"]
    assert board.host_text == b""


def test_what_cannot_be_meant_or_opened(capsys, tmp_path):
    assert run(capsys, "--port", tmp_path / "none")[0] == 4
    assert run(capsys, "--port", "/dev/null", "--board", "esp31")[0] == 3
    assert run(capsys, "--port", "/dev/null", "--agent", tmp_path / "none.toml")[0] == 3
    for words in (["--restart"], ["--broker", "localhost"]):
        with pytest.raises(SystemExit) as caught:
            doctor.main(words)
        assert caught.value.code == 2


def test_people_read_one_line_each(capsys, tmp_path):
    with FakeBoard(tmp_path / "board", "box-one") as board, patch.multiple(look, **PATIENT):
        words = ["--port", str(board.path), "--listen", "0.2", "--board", "esp32"]
        assert doctor.main(words) == 1
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith("ok port ")
    at = next(i for i, line in enumerate(lines) if line.startswith("!! board "))
    assert lines[at + 1].strip().startswith("-> ./run deploy")
    assert "\x1b" not in out


# -- simulated boards --------------------------------------------------------------------------


BUSY = "import time\nwhile True:\n    time.sleep_ms(100)\n    print('busy')\n"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """One that runs, one with refused settings, one bare, and one with a program of its own."""
    try:
        vm = ensure_vm()
    except VmError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("fleet")
    made = Fleet(folder, count=2, speed=10, vm=vm)
    settings = json.loads((folder / "esp32-2" / "config.json").read_text())
    (folder / "esp32-2" / "config.json").write_text(json.dumps({**settings, "limit_mc": 7}))
    for name, main in (("bare", ""), ("busy", BUSY)):
        (folder / name).mkdir()
        if main:
            (folder / name / "main.py").write_text(main)
        made.simulation.add_board(name, folder / name, Bench(), link=folder / f"{name}.tty")
    made.simulation.start()
    made.folder = folder
    yield made
    made.simulation.stop()


def port(fleet: Fleet, name: str) -> Path:
    return fleet.folder / f"{name}.tty"


AGENT = """
board = "simulated"
bundles = {bundles}

[settings]
device = "esp32-1"
limit_mc = {limit_mc}
relay = {{ pin = 26 }}
sensors = {{ case = {{ driver = "ds18b20", pin = 4 }} }}
"""


@pytest.mark.vm
def test_simulated_boards(capsys, fleet, tmp_path):
    eventually(lambda: fleet.simulation.clock.now_s > 8)
    code, found = run(capsys, "--port", port(fleet, "esp32-1"), "--board", "simulated")
    assert code == 0, wrong(found)
    assert VERSION in found["agent"][1]
    assert found["sensors"] == ("ok", "case, ambient, power, fan read")

    # What it runs against a file that says something else.
    shutil.copytree(ROOT / "training" / "bundles" / "cooling", tmp_path / "cooling")
    manifest = tmp_path / "cooling" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version":', '"version":9'))
    (tmp_path / "box.toml").write_text(AGENT.format(bundles='["cooling"]', limit_mc=41000))
    code, found = run(capsys, "--port", port(fleet, "esp32-1"), "--agent", tmp_path / "box.toml")
    assert code == 1
    assert found["cooling model"][0] == found["anomaly model"][0] == "wrong"
    assert "41000 in box.toml" in found["limit"][1]

    code, found = run(capsys, "--port", port(fleet, "esp32-2"))
    assert code == 1
    assert "settings are refused" in found["safe mode"][1]
    assert "limit_mc: 7" in found["settings"][1]

    code, found = run(capsys, "--port", port(fleet, "busy"), ANSWER_S=SILENT, PROMPT_S=SILENT)
    assert (code, found["program"][0]) == (1, "wrong")
    assert fleet.simulation.boards["busy"].state.name != "OFF"

    if ensure_vm().raw_repl:
        code, found = run(capsys, "--port", port(fleet, "bare"), ANSWER_S=SILENT)
        assert (code, found["agent"][1]) == (1, "MicroPython alone: no agent is there")
        assert found["MicroPython"][0] == "ok"


@pytest.mark.vm
def test_a_stopped_board_starts_again(capsys, fleet):
    if not ensure_vm().raw_repl:
        pytest.skip("this VM has no raw REPL")
    device = port(fleet, "esp32-1")
    with open(device, "wb", buffering=0) as line:
        line.write(b"\x03")
    code, found = run(capsys, "--port", device, ANSWER_S=SILENT, AGENT_S=SILENT)
    assert (code, found["agent"][1]) == (1, "is there, but was stopped and left at the REPL")
    assert found["MicroPython"][0] == "ok"
    starts = sum(fleet.boards["esp32-1"].resets.values())
    code, found = run(capsys, "--port", device, "--restart", ANSWER_S=SILENT)
    assert code == 0, wrong(found)
    assert sum(fleet.boards["esp32-1"].resets.values()) == starts + 1
    code, found = run(capsys, "--port", device, "--restart")  # now by command
    assert code == 0, wrong(found)
    assert sum(fleet.boards["esp32-1"].resets.values()) == starts + 2
