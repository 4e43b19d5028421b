"""What a board's flash holds after `build_flash`."""

import pytest

from host.simulation.errors import FlashError
from host.simulation.filesystem import build_flash


@pytest.fixture
def firmware(tmp_path):
    folder = tmp_path / "firmware"
    (folder / "agent" / "action").mkdir(parents=True)
    (folder / "simulated").mkdir()
    for name, text in {
        "boot.py": "import agent.action.relay",
        "main.py": "print('main')",
        "agent/__init__.py": "",
        "agent/action/__init__.py": "",
        "agent/action/relay.py": "def on(): pass\nprint('relay', __file__)",
        "simulated/machine.py": "",
    }.items():
        (folder / name).write_text(text)
    return folder


def listing(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_compiles_the_agent_and_leaves_the_stand_ins_out(firmware, tmp_path):
    root = tmp_path / "flash"
    build_flash(root, firmware, {"config.json": b"{}", "models/m.tflite": b"TFL3"})
    assert listing(root) == [
        "agent/__init__.mpy",
        "agent/action/__init__.mpy",
        "agent/action/relay.mpy",
        "boot.py",
        "config.json",
        "main.py",
        "models/m.tflite",
    ]
    assert (root / "agent/action/relay.mpy").read_bytes()[:2] == b"M\x06"


def test_writes_only_what_changed_and_removes_what_is_gone(firmware, tmp_path):
    root = tmp_path / "flash"
    assert len(build_flash(root, firmware)) == 5
    assert build_flash(root, firmware) == []
    (root / "kept.txt").write_text("the board's own")
    (firmware / "main.py").write_text("print('new')")
    (firmware / "agent/action/relay.py").rename(firmware / "agent/action/fan.py")
    changed = build_flash(root, firmware)
    assert sorted(changed) == ["agent/action/fan.mpy", "agent/action/relay.mpy", "main.py"]
    assert "agent/action/relay.mpy" not in listing(root)
    assert "kept.txt" in listing(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"agent/bad.py": "def f(:"}, "bad.py does not compile"),
        ({"extra": "../outside"}, "not a path on the board's flash"),
        ({"empty": ""}, "name the firmware's folder"),
    ],
)
def test_errors(firmware, tmp_path, change, message):
    source, extra = firmware, {}
    ((name, text),) = change.items()
    if name == "extra":
        extra = {text: b""}
    elif name == "empty":
        source = tmp_path
    else:
        (firmware / name).write_text(text)
    with pytest.raises(FlashError, match=message):
        build_flash(tmp_path / "flash", source, extra)
    assert not (tmp_path / "flash").exists() or listing(tmp_path / "flash") == []


@pytest.mark.vm
def test_the_compiled_firmware_runs_on_the_board(rig, firmware):
    board = rig.board(name="b")
    build_flash(board.flash, firmware)
    assert "relay agent/action/relay.mpy" in rig.until("main", name="b")
