"""Sets of files on the real firmware: tried, kept after a good minute, or given up."""

import json

import pytest
from firmware_world import BOARD

from host.devices.build import board_files
from host.devices.deploy_plan import Active, make_plan
from host.devices.mpy import compile_source
from tests.devices.flash_folder import deployed, do, state_of

pytestmark = pytest.mark.vm


def files(limit_mc, **more):
    config = BOARD.device_config(device="b1", limit_mc=limit_mc)
    files = {**board_files(""), "config.json": json.dumps(config).encode(), **more}
    # A hang keeps a processor busy for as long as the watchdog takes.
    patient, hasty = b"START_WDT_MS = 30000\n", b"START_WDT_MS = 5000\n"
    assert patient in files["main.py"]
    return {**files, "main.py": files["main.py"].replace(patient, hasty)}


def with_start(source):
    return {"agent/start.mpy": compile_source(source, "start.py")}


def active(w):
    return Active.parse((w.flash / "active").read_text())


def settled(w):
    w.until(lambda: active(w).state == "good", 80, step_s=1)


def test_a_new_set_is_kept_after_a_good_minute(world):
    w = world(models=False)
    deployed(w.flash, files(40000))
    w.run(5)
    (hello,) = w.of("hello")
    assert (hello["set"], hello["limit_mc"]) == (active(w).id, 40000)
    assert "failed" not in hello
    assert active(w).state == "1"
    boot, fails = (w.flash / "state" / "boot").read_text().split()[:2]
    assert fails == "1"
    w.run(60, 0.5)
    assert active(w).state == "good"
    assert (w.flash / "state" / "boot").read_text().split()[:2] == [boot, "0"]
    # Models and settings are the set's own.
    assert not hello["models"]


@pytest.mark.parametrize(
    "fault",
    [
        with_start("raise ValueError('a fault')"),
        with_start("while True:\n    pass"),
        with_start("def make(state):\n    raise MemoryError"),
        {"agent/start.mpy": b"no module"},
    ],
    ids=["import raises", "import hangs", "start raises", "no .mpy"],
)
def test_a_set_that_fails_three_boots_gives_way(world, fault):
    w = world(models=False)
    deployed(w.flash, files(40000))
    w.run(3)
    settled(w)
    good = active(w)
    deployed(w.flash, files(41000, **fault))
    bad = active(w)
    w.frames.clear()
    w.board.hard_reset()
    w.until(lambda: w.of("hello"), 40, step_s=0.5)
    w.run(2)
    assert active(w) == Active(good.slot, good.id, "back", bad.slot, bad.id)
    hello = w.of("hello")[0]
    assert (hello["set"], hello["failed"], hello["limit_mc"]) == (good.id, bad.id, 40000)
    # The old set does not answer for the boots of the new one.
    assert not hello["safe"]
    assert any(bad.id in frame["msg"] for frame in w.of("log") if frame["lvl"] == "error")
    assert w.machine.fan_powered


def test_ctrl_c_is_no_bad_boot(world):
    w = world(models=False)
    deployed(w.flash, files(40000))
    for _ in range(4):
        w.run(4)
        assert active(w).state == "1"
        w.write(b"\x03")
        w.until(lambda: active(w).state == "0", 5, pause_s=0.005)
        w.board.hard_reset()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.97, 1.0])
def test_a_deploy_cut_at_some_point_boots(world, share):
    """The full firmware, not its choice alone."""
    w = world(models=False)
    plan = make_plan(state_of(w.flash), files(40000))
    done = plan.ops[: int(len(plan.ops) * share)]
    for op in done:
        do(w.flash, op)
    if share < 1:
        nxt = plan.ops[len(done)]
        do(w.flash, nxt, len(nxt.content) // 2)
    w.run(5)
    (hello,) = w.of("hello")
    new = share == 1
    assert hello.get("set") == (plan.set_id if new else None)
    assert hello["limit_mc"] == (40000 if new else 45000)
    assert not hello["safe"]
    assert len(w.of("tel")) >= 3
