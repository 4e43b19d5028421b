"""Deploys to simulated boards over mpremote's transport: the real firmware, the real REPL."""

import fcntl
import json
import os
import pty

import pytest

from agent.communication.frames import encode
from host.devices import board_repl, deploy, deploy_set
from host.devices.boards import load_board
from host.devices.deploy_plan import Active
from host.devices.errors import (
    FlashFullError,
    NoAnswerError,
    PortBusyError,
    SettingsError,
    Stopped,
    VerifyError,
)
from tests.devices.flash_folder import set_files
from tests.devices.live_board import (  # noqa: F401
    MODELS,
    Agent,
    BadLine,
    Heard,
    live_boards,
    wanted,
)

pytestmark = pytest.mark.vm


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
    board.until(lambda: board.board.resets.total() >= starts + 2)


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
    starts = board.resets
    with pytest.raises(VerifyError, match=rf"did not come up.*{good.set_id} by itself") as told:
        board.deploy()
    assert "limit_mc: 'warm', a number from" in str(told.value)
    assert board.active[:3] == ["a", good.set_id, "back"]
    # One to the refused set, one back; three tries of it would make four.
    assert board.resets < starts + 4


def test_refused_settings_of_the_only_set_are_lived_with(live, monkeypatch):
    board = live(plain=False)
    real = deploy_set.wanted
    settings = b'{"device": "b1"}'
    monkeypatch.setattr(deploy_set, "wanted", lambda to: real(to) | {"config.json": settings})
    with pytest.raises(VerifyError, match=r"runs, but not as meant: .*relay"):
        board.deploy()


def test_what_comes_with_the_first_frame_is_not_lost():
    master, slave = pty.openpty()
    try:
        with board_repl.BoardRepl(os.ttyname(slave)) as repl:
            log = encode({"t": "log", "msg": "limit_mc: a number is needed"})
            os.write(master, encode({"t": "hello", "safe": True}) + log[:20])
            kinds = [next(repl.frames(60))[1]["t"]]
            os.write(master, log[20:] + encode({"t": "bye"}))
            kinds += [next(repl.frames(60))[1]["t"] for _ in range(2)]
        assert kinds == ["hello", "log", "bye"]
    finally:
        os.close(master)
        os.close(slave)


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
    board.until(lambda: board.board.resets.total() >= starts + 1 + entered)
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
