"""Board files: what is there, what is refused, in which words."""

import pytest

from host.devices.boards import BOARDS, list_boards, load_board
from host.devices.errors import BoardFileError, SettingsError, UnknownBoardError


@pytest.mark.parametrize("name", list_boards())
def test_every_board_of_the_project_is_good(name):
    board = load_board(name)
    config = board.device_config(device="d1", limit_mc=42000, sensors={"fan": None})
    assert config["board"] == name
    assert config["limit_mc"] == 42000
    assert "fan" not in config["sensors"]
    assert board.relay["contact"] == "nc"


def test_the_wiring_of_one_device_may_differ():
    board = load_board("esp32")
    config = board.device_config(device="d1", relay={"active": "low"})
    assert config["relay"] == {"pin": 26, "contact": "nc", "active": "low"}
    assert board.relay["active"] == "high"


def test_settings_a_board_would_refuse_are_refused_here():
    with pytest.raises(SettingsError) as caught:
        load_board("esp32").device_config(device="Kitchen", limit_mc=1)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("esp23", "did you mean 'esp32'"),
        ("arduino", "known are: esp32, esp32-c3"),
        ("", "known are"),
    ],
)
def test_an_unknown_board(name, words):
    with pytest.raises(UnknownBoardError, match=words):
        load_board(name)


GOOD = (BOARDS / "esp32.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ('chip = "esp32"', "chip = ", ["esp32.toml:6: Invalid value"]),
        ("heap_kb = 160", "heap_kb = -1", ["esp32.toml: memory.heap_kb: -1 is not positive"]),
        ("heap_kb = 160", 'heap_kb = "x"', ["memory.heap_kb: a number is needed, not 'x'"]),
        ("pin = 27", "pin = 26", ["sensors.fan.pin: pin 26 is relay.pin"]),
        ('name = "esp32"', 'name = "esp"', ["name: 'esp' differs from the file's name 'esp32'"]),
        (
            "[memory]\nheap_kb = 160",
            "[memory]\nheap = 160",
            ["memory.heap_kb: a number is needed, not None", "memory.heap: there is no such entry"],
        ),
        ('driver = "tach"', 'driver = "tacho"', ["sensors.fan.driver: 'tacho', tach is needed"]),
    ],
)
def test_a_board_file_with_problems(tmp_path, old, new, problems):
    assert old in GOOD
    (tmp_path / "esp32.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(BoardFileError) as caught:
        load_board("esp32", tmp_path)
    assert len(caught.value.problems) == len(problems)
    for message, words in zip(caught.value.problems, problems, strict=True):
        assert words in message
