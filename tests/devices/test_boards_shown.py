"""`./run boards`: drawings as people see them, facts as programs get them."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from host.devices import show
from host.devices.agent_bundles import FIRMWARE_HEAP_KB
from host.devices.boards import list_boards, load_board
from host.devices.errors import BoardFileError
from host.devices.show import BAR, FIRMWARE_FLASH_KB, bar, main, pin_lines

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-m", "host.devices.show"]


@pytest.mark.parametrize("name", ["esp32", "lilygo-relay", "simulated"])
def test_a_board_as_drawn(name, capsys):
    assert main(["--show", name]) == 0
    assert capsys.readouterr().out == (HERE / f"drawings/{name}.txt").read_text()


def test_all_boards_as_a_table(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out == (HERE / "drawings/all.txt").read_text()


@pytest.mark.parametrize("name", list_boards())
def test_every_drawing_is_80_columns_wide_and_shows_every_pin_once(name, capsys):
    main(["--show", name])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    board = load_board(name)
    drawn = [pin for line in pin_lines(board) for pin in range(line.first, line.last + 1)]
    assert drawn == board.pins.all()


def on_a_terminal(**environment):
    master, slave = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    env |= {"TERM": "xterm-256color", **environment}
    words = [*COMMAND, "--show", "esp32"]
    with subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env=env) as process:
        os.close(slave)
        output = b""
        try:
            while chunk := os.read(master, 4096):
                output += chunk
        except OSError:
            pass
    os.close(master)
    assert process.returncode == 0
    return output.decode()


def test_colours_on_a_terminal_and_none_where_they_are_not_wanted():
    text = on_a_terminal(NO_COLOR="1").replace("\r\n", "\n")
    assert "\x1b[3" not in text
    coloured = on_a_terminal()
    assert "\x1b[1;36m# case: DS18B20" in coloured


def facts(capsys, *words):
    assert main([*words, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_all_boards_for_programs(capsys):
    boards = facts(capsys)["boards"]
    assert [board["name"] for board in boards] == list_boards()
    esp32 = boards[0]
    assert esp32["flash"] == {"size_kb": 4096, "offset": 4096, "mode": "keep", "freq": "keep"}
    assert esp32["image"]["stem"] == "ESP32_GENERIC"
    assert esp32["usb_ids"][0] == "10c4:ea60"
    assert boards[-1]["flash"] is None


def test_one_board_for_programs(capsys):
    board = facts(capsys, "--show", "lilygo-relay")["board"]
    pins = {pin["pin"]: pin for pin in board["pins"]}
    assert (pins[21]["state"], pins[19]["state"], pins[5]["state"]) == ("used", "free", "never")
    assert (pins[19]["uses"], pins[5]["uses"], pins[39]["uses"]) == (["relay"], [], ["ntc"])
    assert sum(board["heap_parts_kb"].values()) == board["memory"]["heap_kb"]
    assert sum(board["flash_parts_kb"].values()) == board["flash"]["size_kb"]


def test_a_broken_file_does_not_hide_the_other_boards(capsys, monkeypatch):
    def load(name):
        if name == "esp32-s2":
            raise BoardFileError(["esp32-s2.toml: title: a text is needed, not 3"])
        return load_board(name)

    monkeypatch.setattr(show, "load_board", load)
    assert main([]) == 3
    out, err = capsys.readouterr()
    assert "esp32-s3" in out
    assert err == "error: esp32-s2.toml: title: a text is needed, not 3\n"
    assert main(["--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"] == "BoardFileError"


def test_an_unknown_board(capsys):
    assert main(["--show", "esp23", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"] == "UnknownBoardError"


@pytest.mark.parametrize(
    ("parts", "drawn"),
    [
        ([("a", 50), ("free", 50)], "█" * 25 + "·" * 25),
        ([("a", 0.1), ("b", 0.1), ("free", 99.8)], "█▓" + "·" * 48),
        ([("a", 150), ("b", 20), ("free", -70)], "█" * 50),
    ],
)
def test_a_bar(parts, drawn):
    line, _ = bar("heap", 100, parts)
    assert line.plain == f" heap     100 KB  {drawn}"
    assert len(drawn) == BAR


def test_every_board_has_heap_and_flash_to_spare():
    for name in list_boards():
        board = load_board(name)
        used = FIRMWARE_HEAP_KB * 1024 + board.model_bytes + board.arena_bytes
        assert used < board.heap_kb * 1024, name


@pytest.mark.slow
def test_the_figure_for_the_firmware_is_what_a_board_gets():
    from host.devices.build import board_files

    files = board_files("esp32")
    blocks_kb = sum(-(-len(content) // 4096) * 4 for content in files.values())
    assert 0.8 * FIRMWARE_FLASH_KB < blocks_kb <= 1.1 * FIRMWARE_FLASH_KB
