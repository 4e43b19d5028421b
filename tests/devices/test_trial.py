"""Sets whose models the board refuses: taken back at once, where that makes things better."""

import dataclasses
import hashlib
import json
import shutil

import pytest

from agent.rare.comparison import new_faults
from host.devices import deploy, deploy_set, trial
from host.devices.deploy_plan import Active
from host.devices.errors import VerifyError
from host.devices.mpy import compile_source
from tests.devices.live_board import (  # noqa: F401
    BOARD,
    BUNDLES,
    MODELS,
    Agent,
    live_boards,
)

# Room enough for the agent, not for a large model, of which its board's file says that it fits.
SMALL_HEAP_KB = 84
LARGE_BYTES = 48000
ROOMY = dataclasses.replace(BOARD, model_bytes=LARGE_BYTES)


def model(folder, role="cooling", change=bytes):
    """A bundle whose model.tflite was changed and whose manifest knows."""
    bundle = folder / role
    shutil.copytree(BUNDLES / role, bundle)
    content = change((bundle / "model.tflite").read_bytes())
    (bundle / "model.tflite").write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return bundle


def large(content):
    return content.ljust(LARGE_BYTES, b"\0")


def files_of(bundle):
    names = ("manifest.json", "model.tflite")
    return {f"models/{bundle.name}/{name}": (bundle / name).read_bytes() for name in names}


def other_golden_rows():
    """The files of a bundle that computes otherwise than its golden rows say."""
    files = files_of(MODELS[0])
    manifest = json.loads(files["models/cooling/manifest.json"])
    row = manifest["golden"][-1]["out"]
    row[0] += -1 if row[0] > 0 else 1
    return files | {"models/cooling/manifest.json": json.dumps(manifest).encode()}


@pytest.fixture
def meddle(monkeypatch):
    """Other files reach the board than the host has checked: as those of another host may be."""
    real = deploy_set.wanted

    def put(files):
        monkeypatch.setattr(deploy_set, "wanted", lambda to: real(to) | files)

    return put


def taken_back(board, good, agent):
    """Deploys, and the board goes back to the good set in one boot. The error."""
    starts = board.resets
    with pytest.raises(VerifyError, match=r"did not come up; the board went back to") as told:
        board.deploy(agent)
    # One to the refused set, one back; three tries of it would make four.
    assert board.resets < starts + 4
    slot, runs, state, _, given_up, _ = board.active
    assert told.value.facts["set_id"] == given_up
    assert (slot, runs, state) == (*good, "back")
    assert told.value.facts["runs"] == runs
    return told.value


PLAIN = (".", "-")


@pytest.mark.vm
def test_a_model_that_has_no_room_on_the_heap(live, tmp_path):
    board = live(heap_kb=SMALL_HEAP_KB)
    error = taken_back(board, PLAIN, Agent((model(tmp_path, change=large),), ROOMY))
    assert "cooling model refused: memory allocation" in error.facts["why"]
    assert "heap is too small for this set: deploy a smaller model" in str(error)


@pytest.mark.vm
def test_golden_rows_that_come_out_otherwise_on_the_board(live, meddle, capsys):
    board = live()
    meddle(other_golden_rows())
    command = ["--board", "simulated", "--port", board.port, "--bundle", str(MODELS[0]), "--json"]
    assert deploy.main(command) == VerifyError.exit_code
    assert board.active[:3] == [*PLAIN, "back"]
    told = capsys.readouterr()
    last = json.loads(told.out.splitlines()[-1])
    assert (last["event"], last["error"]) == ("error", "VerifyError")
    assert (last["set_id"], last["runs"]) == (board.active[4], "-")
    assert "a golden row gives" in last["why"]
    assert "the board computes otherwise; train it again" in told.err


@pytest.mark.vm
def test_firmware_that_refuses_a_model_the_one_before_took(live, meddle):
    board = live()
    good = board.deploy(Agent(MODELS[:1]))
    board.settle()
    operator = compile_source("raise ValueError('not on this board')", "fully_connected.py")
    meddle({"agent/cognition/engine/ops/fully_connected.mpy": operator})
    error = taken_back(board, ("a", good.set_id), Agent(MODELS[:1]))
    assert "cooling model refused: " in error.facts["why"]
    assert "not on this board" in error.facts["why"]


@pytest.mark.vm
def test_a_model_the_set_before_was_refused_too_stands_in_no_deploys_way(live, meddle):
    board = live(plain=False)
    bad = other_golden_rows()
    meddle(bad)
    # There is nothing to go back to.
    with pytest.raises(VerifyError, match=r"runs, but not as meant: cooling model refused") as told:
        board.deploy(Agent(MODELS[:1]))
    first = told.value.facts["runs"]
    assert (board.active[1], board.active[3]) == (first, "-")
    board.settle()

    with pytest.raises(VerifyError, match=r"runs, but not as meant: cooling model refused") as told:
        board.deploy(Agent(MODELS[:1], limit_mc=41000))
    second = told.value.facts["runs"]
    assert (board.active[1], board.active[4]) == (second, first)
    assert second != first

    board.settle()
    meddle({})
    assert board.deploy(Agent(MODELS)).hello["models"]["cooling"] == "cooling@2"


SAME, OTHER = b"the same", b"another one"
FOLDERS = {
    "the same": (SAME, SAME),
    "another": (SAME, OTHER),
    "none before": (SAME, None),
    "of another size": (SAME, SAME * 100),
    "other far inside": (SAME * 100, SAME * 99 + OTHER[:8]),
}


@pytest.mark.parametrize(
    ("files", "before", "found"),
    [
        ("the same", None, []),
        ("the same", ["cooling"], []),
        ("the same", ["anomaly"], ["cooling"]),
        ("the same", [], ["cooling"]),
        *(
            (files, before, ["cooling"])
            for files in FOLDERS
            if files != "the same"
            for before in (None, [], ["cooling"])
        ),
    ],
)
def test_what_speaks_against_a_set(files, before, found, tmp_path, monkeypatch):
    for slot, content in zip("ab", FOLDERS[files], strict=True):
        folder = tmp_path / slot / "models" / "cooling"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_bytes(b"{}")
        if content is not None:
            (folder / "model.tflite").write_bytes(content)
    monkeypatch.setattr("agent.rare.comparison.folder", lambda slot: str(tmp_path / slot))
    record = Active("a", "1" * 8, "1", "b", "2" * 8).line().decode().split()[:5]
    assert new_faults(record, ["cooling"], before) == found


BOOT = "ets Jul 29 2019 12:21:46\r\n\r\nrst:0xc (SW_CPU_RESET),boot:0x13\r\n" + "load:0x4\r\n" * 60
TRACE = 'Traceback (most recent call last):\r\n  File "main.py", line 9, in main\r\n'


@pytest.mark.parametrize(
    ("text", "why", "remedy"),
    [
        ("", "", ""),
        (BOOT, "", ""),
        (f"{TRACE}ValueError: a fault\r\n{BOOT}", "ValueError: a fault", ""),
        (f"{TRACE}MemoryError: \r\n{BOOT}", "MemoryError:", "heap is too small"),
        (f"{TRACE}ConfigError: limit_mc: 3\r\n", "limit_mc: 3", "correct the settings"),
        (
            f"{TRACE}BundleError: cooling model refused: x: a golden row gives 1\r\n{BOOT}",
            "cooling model refused: x: a golden row gives 1",
            "train it again and deploy that",
        ),
        (
            f"{TRACE}BundleError: anomaly model refused: memory allocation\r\n",
            "anomaly model refused: memory allocation",
            "heap is too small",
        ),
        (f"{TRACE}OSError: 5\r\n{TRACE}BundleError: cooling model refused: y\r\n",
         "cooling model refused: y", "leave it out"),
    ],
)  # fmt: skip
def test_why_a_set_was_given_up(text, why, remedy):
    found = trial.why_given_up(text)
    assert found[0] == why
    assert remedy in found[1]
    assert bool(remedy) == bool(found[1])


class SlowBoard:
    """Says each thing so many seconds after the one before."""

    patience = 1.0

    def __init__(self, *says):
        self._says = list(says)

    def frames(self, timeout_s):
        while self._says and self._says[0][0] <= timeout_s:
            after_s, frame = self._says.pop(0)
            timeout_s -= after_s
            yield "frame", frame


HELLO = {"t": "hello", "set": "1" * 8}
FAULT = {"t": "log", "lvl": "error", "msg": "a sensor too many"}
TEL = {"t": "tel"}


@pytest.mark.parametrize("says", [[(30, HELLO), (4, FAULT), (1, TEL)], [(0, HELLO), (0, FAULT)]])
def test_what_a_slow_board_has_to_say_is_waited_for(says):
    with pytest.raises(VerifyError, match="runs, but not as meant: a sensor too many"):
        trial.wait(SlowBoard(*says), HELLO["set"], [], 90)


def test_what_comes_once_the_board_works_is_no_matter_of_the_deploy():
    board = SlowBoard((1, HELLO), (1, TEL), (1, FAULT))
    assert trial.wait(board, HELLO["set"], [], 90) == HELLO
