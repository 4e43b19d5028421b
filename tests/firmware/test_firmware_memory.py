"""The heap a board is promised: steady in it, whatever the host does, and alive without more."""

import shutil
import sys

import pytest
from firmware_world import BOARD, HotBox

from agent.communication.frames import encode
from agent.decision import policy, records

KB = 1024
LEAST_AFTER_START = 12 * KB
LEAST_EVER = 6 * KB
SILENT_S = 480


def talk(w, seconds):
    """The host acknowledges and tells the time; the board hears from it every 10 s."""
    w.acks = True
    end = w.now_s + seconds
    while w.now_s < end:
        w.write(encode({"t": "clock", "at": 1795258800 + int(w.now_s)}))
        w.run(min(10, end - w.now_s), 0.5)


def be_silent(w, seconds):
    """Reads along and says nothing."""
    w.acks = False
    w.run(seconds, 0.5)


def twenty_minutes(w):
    """Records and alarms all the time, eight minutes of silence, a fan that gets stuck in them."""
    talk(w, 240)
    be_silent(w, 120)
    w.machine.turning_rpm, w.machine.current_a = 30.0, 1.2
    be_silent(w, 120)
    w.machine.turning_rpm, w.machine.current_a = 1200.0, 0.5
    be_silent(w, SILENT_S - 240)
    talk(w, 480)
    w.command("explain")
    w.run(3)


@pytest.mark.vm
@pytest.mark.timeout(900)
@pytest.mark.parametrize("less_kb", [0, 10])
def test_twenty_minutes_with_a_silent_host_and_an_explained_alarm(world, less_kb):
    """less_kb: what nobody sees between two collections fits, too, with that much to spare."""
    assert BOARD.heap_kb == 110
    w = world(machine=HotBox(40.0), heap_kb=BOARD.heap_kb - less_kb)
    twenty_minutes(w)
    hello = w.of("hello")[0]
    assert set(hello["models"]) == {"cooling", "anomaly"}
    health = w.of("health")
    assert w.now_s >= 1200
    assert len(health) >= 19
    assert hello["free"] >= LEAST_AFTER_START - less_kb * KB
    assert health[-1]["min_free"] >= LEAST_EVER - less_kb * KB
    last = health[-1]
    assert (last["err"], last["late"], last["crashes"], last["last_err"]) == (0, 0, 0, "")
    assert not [frame for frame in w.of("log") if frame["lvl"] == "error"]
    assert w.board.resets.total() == 1
    assert w.periods() == {1000}

    raised = [alarm for alarm in w.alarms("anomaly") if alarm["on"]]
    assert raised
    assert all(alarm["phi"]["err"] == 0 for alarm in raised)
    outbox = last["outbox"]
    assert outbox["spilled"] >= 6
    assert (outbox["queued"], outbox["dropped"]) == (0, 0)
    durable = {(f["boot"], f["seq"]) for kind in ("dec", "alarm") for f in w.of(kind)}
    assert w.seen == durable
    assert sorted(seq for _, seq in durable) == list(range(1, len(durable) + 1))


@pytest.mark.vm
def test_without_the_code_that_is_loaded_now_and_then_it_goes_on_cooling(world):
    """As where memory or flash fails: words and answers are lost, told, and nothing else."""
    w = world(machine=HotBox(30.0), models=False)
    shutil.rmtree(w.flash / "agent" / "rare")
    w.run(90, 0.5)
    w.write(encode({"t": "cmd", "id": "c", "name": "ping", "args": {}}))
    w.run(5)
    assert {f["rule"] for f in w.of("tel")[3:]} == {"thermostat"}
    assert not w.machine.fan_powered  # the relay never went to its safe state again
    assert w.of("dec")[-1]["why"] == "Fan off because of the rule thermostat"
    assert not w.of("rsp")
    assert len(w.of("log")) >= 3
    assert len(w.of("tel")) >= 93
    assert w.periods() == {1000}


def test_a_record_without_words_names_its_rule(monkeypatch):
    monkeypatch.setitem(sys.modules, "agent.rare.words", None)
    situation = policy.Situation(45000, 55000, 1000, 1000)
    situation.rule = policy.OVERTEMP
    assert records.reason(situation, 1) == "Fan on because of the rule overtemp"
    assert records.addition({"t": "alarm"}, []) == ""
