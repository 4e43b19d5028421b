"""Deploys to simulated boards over mpremote's transport: the real firmware, the real REPL."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from host.devices import board_repl, deploy, deploy_board, deploy_set
from host.devices.boards import load_board
from host.devices.deploy_board import require_chip
from host.devices.deploy_plan import ROOT_FILES, Active
from host.devices.errors import (
    FlashFullError,
    NoAnswerError,
    PortBusyError,
    SettingsError,
    Stopped,
    VerifyError,
    WrongChipError,
)
from host.simulation.errors import VmError
from host.simulation.vm import ensure_vm
from tests.devices.flash_folder import set_files
from tests.devices.live_board import Agent, BadLine, Heard, LiveBoard

pytestmark = pytest.mark.vm
BUNDLES = Path(__file__).resolve().parents[2] / "training" / "bundles"
MODELS = (BUNDLES / "cooling", BUNDLES / "anomaly")


@pytest.fixture
def live(tmp_path):
    try:
        vm = ensure_vm()
    except VmError as error:
        pytest.skip(str(error))
    if not vm.raw_repl:
        pytest.skip("this VM has no raw REPL")
    boards = []

    def make(**options):
        boards.append(LiveBoard(vm, tmp_path, **options))
        return boards[-1]

    yield make
    for board in boards:
        board.close()


def wanted(agent):
    files = deploy_set.wanted(agent)
    return {path: content for path, content in files.items() if path not in ROOT_FILES}


def test_from_the_plain_layout_to_slots_and_on(live):
    board = live()
    (board.flash / "state").mkdir(exist_ok=True)
    first = board.deploy(Agent(MODELS))
    assert first.running
    assert first.hello["set"] == first.set_id
    assert first.hello["models"] == {"cooling": "cooling@2", "anomaly": "anomaly@2"}
    # The firmware was there already.
    assert {path.split("/")[0] for path in first.changed} == {"models"}
    assert set_files(board.flash, "a") == wanted(Agent(MODELS))
    boot = int((board.flash / "state" / "boot").read_text().split()[0])

    board.settle()
    second = board.deploy(Agent(MODELS, limit_mc=40000))
    assert second.changed == ("config.json",)
    assert second.hello["limit_mc"] == 40000
    assert board.active[:1] + board.active[3:5] == ["b", "a", first.set_id]
    # The plain set gives its room back.
    assert not (board.flash / "agent").exists()
    assert int((board.flash / "state" / "boot").read_text().split()[0]) > boot

    again = board.deploy(Agent(MODELS, limit_mc=40000))
    assert (again.changed, again.copied, again.sent_bytes) == ((), (), 0)
    assert again.running


def test_the_verb_on_an_empty_board(live, capsys):
    board = live(plain=False)
    assert deploy.main(["--board", "simulated", "--port", board.port, "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["event"], result["running"]) == ("done", True)
    assert result["hello"]["dev"] == "simulated"
    assert {"boot.py", "main.py"} < set(result["changed"])
    assert board.active[:4] == ["a", result["set_id"], "1", "-"]


def by_name(board, capsys, *words):
    """Exit code, and what `./run deploy --board simulated` said last."""
    capsys.readouterr()
    code = deploy.main(["--board", "simulated", "--port", board.port, "--json", *words])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_without_a_file_the_board_keeps_its_settings_and_models(live, capsys):
    board = live()
    agent = Agent(MODELS, limit_mc=41000, site="cellar")
    first = board.deploy(agent)
    code, told = by_name(board, capsys)
    assert (code, told["set_id"], told["changed"]) == (0, first.set_id, [])
    board.settle()
    # Other models with the settings that are there; then none of it.
    code, told = by_name(board, capsys, "--bundle", str(MODELS[0]))
    assert (code, told["hello"]["models"]) == (0, {"cooling": "cooling@2"})
    assert set_files(board.flash, "b") == wanted(Agent(MODELS[:1], limit_mc=41000, site="cellar"))
    code, told = by_name(board, capsys, "--defaults")
    assert (code, told["hello"]["dev"], told["hello"]["models"]) == (0, "simulated", {})


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (b'{"device": "b1", ', "the board's own settings cannot be read"),
        (b"[]", "the board's own settings cannot be read: they are no object"),
        (
            json.dumps(load_board("esp32").device_config(device="b1")).encode(),
            "they are for the board esp32, not simulated",
        ),
        (
            json.dumps({**Agent().config, "limit_mc": 1}).encode(),
            "the board's own settings: limit_mc: 1, a number from",
        ),
    ],
)
def test_settings_that_cannot_be_kept_are_not_written_over(live, capsys, config, why):
    board = live(files={"config.json": config})
    code, told = by_name(board, capsys)
    assert (code, told["error"]) == (3, "SettingsError")
    assert why in told["message"]
    assert "--defaults" in told["message"]
    assert (board.flash / "config.json").read_bytes() == config
    assert not (board.flash / "a").exists()


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        ("Generic ESP32S3 module with ESP32S3", "could be: esp32-s3;"),
        ("LOLIN_C3_MINI with ESP32-C3FH4", "could be: esp32-c3;"),
        ("Board with RP2040", ""),
        ("Board with ESP32-D0WD", ""),
    ],
)
def test_a_board_of_another_chip(machine, told):
    class Repl:
        def call(self, expression, *_):
            assert expression == "_machine()"
            return machine

    if not told:
        require_chip(Repl(), load_board("lilygo-relay"))
        return
    with pytest.raises(WrongChipError, match=told):
        require_chip(Repl(), load_board("lilygo-relay"))


def test_another_chip_than_the_files_is_left_at_work(live, monkeypatch):
    board = live()
    monkeypatch.setattr(deploy_board, "chip_of", lambda machine: "ESP32C6")
    starts = board.board.resets.total()
    with pytest.raises(WrongChipError, match=r"'Fanwise simulated board', but simulated has an"):
        board.deploy()
    board.until(lambda: board.board.resets.total() == starts + 2)
    assert not (board.flash / "a").exists()


def test_a_full_flash_leaves_what_runs_running(live, monkeypatch):
    """As told by the board; that it is right about a real flash is tested on an emulated chip."""
    board = live()
    real = board_repl.BoardRepl.call

    def call(repl, expression, *args):
        return "4096 20" if expression == "_room()" else real(repl, expression, *args)

    monkeypatch.setattr(board_repl.BoardRepl, "call", call)
    starts = board.board.resets.total()
    with pytest.raises(FlashFullError, match="80 KB free"):
        board.deploy(Agent(limit_mc=41000))
    assert not (board.flash / "a").exists()
    # Stopped, then started again.
    board.until(lambda: board.board.resets.total() == starts + 2)


def test_dry_run_and_no_restart(live):
    board = live()
    before = set_files(board.flash, ".")
    result = board.deploy(Agent(limit_mc=41000), dry_run=True)
    assert (result.changed, result.running) == (("config.json",), False)
    assert set_files(board.flash, ".") == before
    assert not (board.flash / "a").exists()
    assert not board.deploy(Agent(limit_mc=41000), restart=False).running
    assert board.active[:3] == ["a", result.set_id, "0"]


FLOOD = """
import time
while True:
    print("#fw1 88 nonsense", "%" * 60)
    time.sleep_ms(5)
"""
DEAF = """
import time
for _ in range(4):
    try:
        while True:
            time.sleep_ms(10)
    except KeyboardInterrupt:
        print("not now")
"""


@pytest.mark.parametrize(
    "files",
    [
        {"boot.py": FLOOD.encode()},
        {"main.py": DEAF.encode()},
        {"main.py": b"import machine, time\ntime.sleep(1)\nmachine.reset()\n"},
    ],
    ids=["boot pours", "catches Ctrl-C", "resets again and again"],
)
def test_boards_that_are_busy(live, files):
    board = live(plain=False, files=files)
    assert board.deploy().running


def failing(files, how):
    """The firmware with something wrong in its start."""
    from host.devices.mpy import compile_source

    bad = dict(files)
    bad["agent/start.mpy"] = compile_source(how, "start.py")
    return bad


def test_a_set_that_does_not_come_up_gives_way_by_itself(live, monkeypatch):
    board = live()
    good = board.deploy()
    board.settle()
    real = deploy_set.wanted
    how = "raise ValueError('a fault of its own')"
    monkeypatch.setattr(deploy_set, "wanted", lambda target: failing(real(target), how))
    with pytest.raises(VerifyError, match=rf"did not come up.*{good.set_id} by itself") as told:
        board.deploy()
    assert "a fault of its own" in str(told.value)
    assert board.active[:3] == ["a", good.set_id, "back"]
    monkeypatch.undo()
    # The old one is what is wanted now: there is nothing to send.
    assert board.deploy().changed == ()
    assert board.active[2] == "good"


def test_settings_the_board_refuses_are_taken_back_at_once(live, monkeypatch):
    """As those of an older host may be; in safe mode the good minute would come all the same."""
    board = live()
    good = board.deploy()
    board.settle()
    real = deploy_set.wanted
    settings = b'{"device": "b1", "limit_mc": "warm"}'
    monkeypatch.setattr(deploy_set, "wanted", lambda to: real(to) | {"config.json": settings})
    starts = board.board.resets.total()
    with pytest.raises(VerifyError, match=rf"did not come up.*{good.set_id} by itself") as told:
        board.deploy()
    assert "limit_mc: 'warm', a number from" in str(told.value)
    assert board.active[:3] == ["a", good.set_id, "back"]
    # One to stop it, one to the refused set, one back.
    assert board.board.resets.total() == starts + 3


def test_refused_settings_of_the_only_set_are_lived_with(live, monkeypatch):
    board = live(plain=False)
    real = deploy_set.wanted
    settings = b'{"device": "b1"}'
    monkeypatch.setattr(deploy_set, "wanted", lambda to: real(to) | {"config.json": settings})
    with pytest.raises(VerifyError, match=r"runs, but not as meant: .*relay"):
        board.deploy()


class CutError(Exception):
    pass


def cut_after(monkeypatch, changes, cut):
    """Calls cut() in place of the call to the board behind so many that change its flash."""
    real, done = board_repl.BoardRepl.call, []

    def call(repl, expression, *args):
        if expression.startswith(("_many", "_open", "_write", "_close")):
            if len(done) == changes:
                cut()
            done.append(expression)
        return real(repl, expression, *args)

    monkeypatch.setattr(board_repl.BoardRepl, "call", call)


def test_a_host_that_goes_away_and_comes_back(live, monkeypatch):
    board = live()

    def cut():
        raise CutError

    cut_after(monkeypatch, 14, cut)
    with pytest.raises(CutError):
        board.deploy(Agent(MODELS))
    monkeypatch.undo()
    assert not (board.flash / "active").exists()
    assert set_files(board.flash, ".")
    assert board.deploy(Agent(MODELS)).running
    assert set_files(board.flash, "a") == wanted(Agent(MODELS))


@pytest.mark.parametrize("changes", [-1, 14], ids=["entering", "writing"])
def test_ctrl_c_leaves_the_board_at_work(live, monkeypatch, changes):
    board = live()

    def stop(*_):
        raise KeyboardInterrupt

    if changes < 0:
        monkeypatch.setattr(board_repl.BoardRepl, "_soft_reset", stop)
    else:
        cut_after(monkeypatch, changes, stop)
    starts = board.board.resets.total()
    with pytest.raises(Stopped, match="back to work"):
        board.deploy(Agent(MODELS))
    entered = changes >= 0
    board.until(lambda: board.board.resets.total() == starts + 1 + entered)
    assert not (board.flash / "active").exists()


def test_power_that_fails_in_the_middle(live, monkeypatch):
    """The board starts, the old program too; the deploy stops that and goes on."""
    board = live()
    cut_after(monkeypatch, 12, board.cut_power)
    result = board.deploy(Agent(MODELS))
    assert result.running
    assert result.repeats > 0
    assert set_files(board.flash, "a") == wanted(Agent(MODELS))


def test_a_bad_line(live):
    board = live()
    line = BadLine(board.port, one_in=10000)
    try:
        result = board.deploy(Agent(limit_mc=41000), port=line.port)
    finally:
        line.close()
    assert line.damaged
    assert set_files(board.flash, "a") == wanted(Agent(limit_mc=41000))
    assert Active.parse((board.flash / "active").read_text()).id == result.set_id


def test_a_port_that_somebody_has(live):
    board = live()
    with open(os.open(board.port, os.O_RDWR | os.O_NOCTTY), "rb", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(PortBusyError):
            board.deploy()


def test_nobody_there(monkeypatch):
    monkeypatch.setattr(board_repl, "ENTER_S", 0.5)
    master, slave = os.openpty()
    try:
        with pytest.raises(NoAnswerError, match="press EN"):
            deploy.deploy(os.ttyname(slave), Agent(), Heard())
    finally:
        os.close(master)
        os.close(slave)


def test_a_board_that_is_unplugged(monkeypatch):
    monkeypatch.setattr(board_repl, "ENTER_S", 0.5)
    master, slave = os.openpty()
    try:
        with board_repl.BoardRepl(os.ttyname(slave)) as repl:
            os.close(master)
            with pytest.raises(
                NoAnswerError, match=r"unplugged\? What ran on it before still does"
            ):
                repl.enter()
    finally:
        os.close(slave)


def test_all_problems_are_named_before_a_port_is_opened():
    sensors = {"case": {"driver": "ds18b20", "pin": 4}}
    board = load_board("esp32")
    agent = Agent((*MODELS, MODELS[0]), board, relay={"pin": 34}, sensors=sensors, limit_mc=1)
    with pytest.raises(SettingsError) as error:
        deploy.deploy("/dev/none", agent, None)
    for part in ("limit_mc", "pin 34", "power_avg_mw", "second model"):
        assert any(part in problem for problem in error.value.problems), part
