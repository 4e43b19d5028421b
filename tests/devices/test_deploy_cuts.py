"""A deploy cut anywhere leaves a board that boots the old set or the new one, whole.

The plan's operations are done to a folder one by one and cut in the middle; boot.py and main.py say
in the real VM what they take from it.
"""

import json
import shutil

import pytest
from chooser import Chooser
from flash_folder import cuts, deployed, do, put, set_files, state_of

from host.devices.build import FIRMWARE
from host.devices.deploy_plan import PLAIN, SLOTS, Active, make_plan, manifest
from host.simulation.errors import VmError
from host.simulation.vm import ensure_vm

pytestmark = pytest.mark.vm

RELAYS = {"old": 26, "new": 27, "newer": 25}


def files(name, **more):
    """A small set: what it holds does not matter to the choice; the relay's pin tells which."""
    config = {"relay": {"pin": RELAYS[name], "contact": "nc", "active": "high"}}
    return {
        **{path: (FIRMWARE / path).read_bytes() for path in ("boot.py", "main.py")},
        "config.json": json.dumps(config).encode(),
        "agent/start.mpy": b"same in all" * 9,
        "agent/app.mpy": name.encode() * 50,
        "agent/rare/words.mpy": name.encode() * 3,
        "models/cooling/model.tflite": b"model" * 40,
        **more,
    }


OLD, NEW, NEWER = files("old"), files("new"), files("newer")
# Another boot.py and main.py, which do the same.
OTHER_ROOT = {name: OLD[name] + b"# changed\n" for name in ("boot.py", "main.py")}
MOVED = {**files("new"), "agent/more/deep/new.mpy": b"new", **OTHER_ROOT}
del MOVED["agent/rare/words.mpy"]


def plain(root):
    put(root, OLD)


def nothing(root):
    put(root, {name: OLD[name] for name in ("boot.py", "main.py")})


def good(root):
    plain(root)
    deployed(root, OLD)
    settle(root)


def good_with_an_older_one(root):
    good(root)
    deployed(root, NEWER)
    settle(root)
    deployed(root, OLD)
    settle(root)


def on_trial(root):
    good(root)
    deployed(root, NEWER)


def given_up(root):
    on_trial(root)
    record(root, state="3")


def on_trial_after_plain(root):
    plain(root)
    deployed(root, NEWER)


def record_damaged(root):
    good(root)
    (root / "active").write_bytes(b"\xff\x00")


def left_over_from_a_cut(root):
    good_with_an_older_one(root)
    plan = make_plan(state_of(root), NEWER | {"agent/app.mpy": b"neither"})
    for op in plan.ops[: len(plan.ops) // 2]:
        do(root, op)


def record(root, **changes):
    active = Active.parse((root / "active").read_text())
    (root / "active").write_bytes(Active(**{**vars(active), **changes}).line())


def settle(root):
    record(root, state="good")


@pytest.fixture(scope="module")
def chooser():
    try:
        one = Chooser(ensure_vm())
    except VmError as error:
        pytest.skip(str(error))
    yield one
    one.close()


def without_root(wanted):
    return {path: content for path, content in wanted.items() if path not in OTHER_ROOT}


def is_what_its_manifest_says(slot):
    if not (slot / "manifest").exists():
        return True
    found = {path.relative_to(slot).as_posix(): path for path in slot.rglob("*") if path.is_file()}
    found.pop("manifest.new", None)
    del found["manifest"]
    return (
        manifest({name: path.read_bytes() for name, path in found.items()})
        == (slot / "manifest").read_bytes()
    )


@pytest.mark.parametrize("wanted", [NEW, MOVED], ids=["changed", "moved"])
@pytest.mark.parametrize(
    ("before", "old"),
    [
        (plain, OLD),
        (nothing, {}),
        (good, OLD),
        (good_with_an_older_one, OLD),
        (on_trial, OLD),
        (given_up, OLD),
        (on_trial_after_plain, OLD),
        (record_damaged, OLD),
        (left_over_from_a_cut, OLD),
    ],
)
def test_every_cut_leaves_the_old_set_or_the_new_one(chooser, tmp_path, before, old, wanted):
    root = tmp_path / "flash"
    root.mkdir()
    before(root)
    # A set on trial gives way to the one it would go back to: neither is it the new one.
    started = [without_root(old), without_root(NEWER)]
    gone_back = state_of(root).running().state == "back"
    plan = make_plan(state_of(root), wanted)
    taken = []
    for cut in cuts(root, plan.ops):
        assert gone_back or state_of(root).running().state != "back", cut
        assert all(is_what_its_manifest_says(root / slot) for slot in SLOTS), cut
        answer = chooser.ask(root)
        found = set_files(root, answer["path"][1:] or PLAIN)
        assert found in [*started, without_root(wanted)], cut
        if found:
            pin = json.loads(found["config.json"])["relay"]["pin"]
            assert answer["pins"] == {str(pin): 0}, cut
        taken.append(found == without_root(wanted))
        if taken[-1] and before not in (nothing, record_damaged):
            assert state_of(root).running().on_trial, cut
    assert taken[-1]
    assert taken == sorted(taken), "it went back and forth"
    # The new one is on trial, and whoever deploys it again has nothing to do.
    assert Active.parse((root / "active").read_text()).state == "0"
    assert make_plan(state_of(root), wanted).ops == ()
    assert (root / "main.py").read_bytes() == wanted["main.py"]


@pytest.mark.parametrize(
    ("state", "word", "after", "slot"),
    [
        ("0", "count", ("b", "1"), "b"),
        ("1", "count", ("b", "2"), "b"),
        ("2", "count", ("b", "3"), "b"),
        ("3", "count", ("a", "back"), "a"),
        ("0", "good", ("b", "good"), "b"),
        ("2", "excuse", ("b", "2"), "b"),
        ("0", "withdraw", ("b", "3"), "b"),
        ("good", "withdraw", ("b", "good"), "b"),
        ("good", "count", ("b", "good"), "b"),
        ("good", "good", ("b", "good"), "b"),
        ("back", "good", ("b", "back"), "b"),
    ],
)
def test_boots_on_trial_are_counted_and_a_cut_while_counting_changes_nothing(
    chooser, tmp_path, state, word, after, slot
):
    root = tmp_path / "flash"
    root.mkdir()
    on_trial(root)
    record(root, state=state)
    before = (root / "active").read_bytes()
    assert chooser.ask(root, word)["path"] == f"/{slot}"
    written = Active.parse((root / "active").read_text())
    assert (written.slot, written.state) == after
    assert not (root / "active.new").exists()
    line = (root / "active").read_bytes()
    (root / "active").write_bytes(before)
    for length in range(len(line) + 1):
        (root / "active.new").write_bytes(line[:length])
        assert chooser.ask(root)["path"] == f"/{slot}", length


def test_a_refused_set_gives_way_at_the_next_boot_unless_there_is_no_other(chooser, tmp_path):
    root = tmp_path / "flash"
    root.mkdir()
    on_trial(root)
    refused = Active.parse((root / "active").read_text())
    chooser.ask(root, "withdraw")
    told = chooser.ask(root, "count")
    assert (told["path"], told["failed"]) == ("/a", refused.id)
    record(root, slot="b", id=refused.id, state="0", other="a")
    (root / "a" / "manifest").unlink()
    chooser.ask(root, "withdraw")
    assert chooser.ask(root)["path"] == "/b"
    assert Active.parse((root / "active").read_text()).state == "1"


def test_a_board_that_went_back_says_so_until_the_next_deploy(chooser, tmp_path):
    root = tmp_path / "flash"
    root.mkdir()
    given_up(root)
    failed = Active.parse((root / "active").read_text())
    for _ in range(2):
        told = chooser.ask(root, "count")
        assert (told["id"], told["failed"]) == (failed.other_id, failed.id)
    assert set_files(root, "a") == without_root(OLD)
    deployed(root, NEW)
    assert chooser.ask(root, "good")["failed"] == ""


@pytest.mark.parametrize(
    ("damage", "slot"),
    [
        (lambda root: (root / "active").unlink(), "a"),
        (lambda root: (root / "active").write_bytes(b"b x"), "a"),
        (lambda root: (root / "b" / "manifest").unlink(), "a"),
        (lambda root: shutil.rmtree(root / "b"), "a"),
        (lambda root: (root / "a" / "manifest").unlink(), "b"),
        (lambda root: (root / "active").write_bytes((root / "active").read_bytes()[:-3]), "a"),
        (lambda root: (root / "b" / "config.json").write_bytes(b"{"), "b"),
    ],
)
def test_damage_leads_to_a_whole_set_and_a_safe_relay(chooser, tmp_path, damage, slot):
    root = tmp_path / "flash"
    root.mkdir()
    good(root)
    deployed(root, NEW)
    damage(root)
    answer = chooser.ask(root)
    assert answer["path"] == f"/{slot}"
    # Whichever settings can be read.
    assert set(answer["pins"].values()) == {0}


def test_a_state_as_told_and_a_state_as_booted_agree(chooser, tmp_path):
    """The plan's idea of what runs is boot.py's."""
    for before in (plain, good, on_trial, given_up, record_damaged, left_over_from_a_cut):
        root = tmp_path / before.__name__
        root.mkdir()
        before(root)
        running = state_of(root).running()
        assert chooser.ask(root)["path"] == ("" if running.slot == PLAIN else f"/{running.slot}")
