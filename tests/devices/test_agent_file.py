"""An agent's file: read back as written, refused with every problem."""

import dataclasses
from pathlib import Path

import pytest

from host.devices import agent_file
from host.devices.agent_bundles import DEFAULT_BUNDLES, choose
from host.devices.agent_file import AgentFile, load
from host.devices.boards import BOARDS, list_boards, load_board
from host.devices.errors import SettingsError

COOLING, ANOMALY = DEFAULT_BUNDLES


def agent(path, board="esp32", **settings):
    kind = load_board(board)
    config = kind.device_config(device="cellar", site="farm", **settings)
    return AgentFile(path, kind, "serial", config, (COOLING,))


@pytest.mark.parametrize("board", list_boards())
def test_written_and_read_back(tmp_path, board):
    given = agent(tmp_path / "new" / "cellar.toml", board, limit_mc=42000, sensors={"fan": None})
    agent_file.write(given)
    assert load(given.path) == given
    assert [path.name for path in given.path.parent.iterdir()] == ["cellar.toml"]


def test_bundles_inside_the_checkout_are_named_relative_to_the_file():
    path = BOARDS.parent / "agents" / "cellar.toml"
    assert 'bundles = ["../training/bundles/cooling"]' in agent_file.text_of(agent(path))


def test_a_site_that_is_not_named_is_home(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(agent_file.text_of(agent(path)).replace('site = "farm"\n', ""))
    assert load(path).config["site"] == "home"


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be written"):
        agent_file.write(agent(tmp_path / "file" / "x.toml"))


GOOD = agent_file.text_of(agent(Path("/x.toml"), limit_mc=45000))


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ("pin = 26", "pin = 12", ["settings.relay.pin: pin 12 is a strapping pin"]),
        (
            "limit_mc = 45000",
            "limit_mc = 1\nspeed = 3",
            ["settings.speed: there is no such setting", "settings.limit_mc: 1, a number from"],
        ),
        ('link = "serial"', 'link = "lora"', ["link: 'lora', serial or mqtt is needed"]),
        (
            'link = "serial"',
            'link = "mqtt"',
            ["settings.wifi: {ssid, ...} is needed", "settings.mqtt: {host, ...} is needed"],
        ),
        (
            "\n[settings]\n",
            '\n[settings]\nlink = "serial"\n',
            ["settings.link: stands above, as link"],
        ),
        ('link = "serial"', "links = 1", ["links: there is no such entry"]),
        ('board = "esp32"', "board = 3", ["board: the name of a board is needed"]),
        (
            "\n[settings]\n",
            '\n[settings]\nboard = "esp32"\n',
            ["settings.board: stands above, as board"],
        ),
        ("bundles = [", "bundles = [3, ", ["bundles: a list of folders is needed"]),
        (
            "bundles/cooling",
            "bundles/x",
            [f"bundles: there is no {COOLING.parent}/x/manifest.json"],
        ),
    ],
)
def test_a_file_with_problems(tmp_path, old, new, problems):
    assert old in GOOD
    path = tmp_path / "x.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert len(caught.value.problems) == len(problems), caught.value.problems
    for message, words in zip(caught.value.problems, problems, strict=True):
        assert message.startswith(f"{path}: {words}")


def test_files_that_are_none(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "nothing.toml")
    (tmp_path / "x.toml").write_text("board = ")
    with pytest.raises(SettingsError, match="Invalid value"):
        load(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("x = 1")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "x.toml")
    assert len(caught.value.problems) == 3


def test_an_unknown_board_is_one_problem_among_all(tmp_path):
    text = 'board = "esp23"\nlink = "string"\n[settings]\ndevice = "x"\nlimit_mc = 1\n'
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "x.toml")
    for words in ("board: there is no board 'esp23', did", "link: 'string'", "limit_mc: 1, a"):
        assert any(words in problem for problem in caught.value.problems), words


def test_a_file_with_a_mark_of_its_encoding(tmp_path):
    path = tmp_path / "x.toml"
    agent_file.write(AgentFile(path, ESP32, "serial", ESP32.device_config(device="x"), ()))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(path).config["device"] == "x"


ESP32 = load_board("esp32")


@pytest.mark.parametrize(
    ("without", "folders", "taken", "left_out"),
    [
        ({}, DEFAULT_BUNDLES, DEFAULT_BUNDLES, []),
        ({"fan": None}, [COOLING], [], ["cooling is left out: it needs the sensor fan"]),
        (
            {"fan": None, "ambient": None, "power": None},
            [ANOMALY],
            [],
            ["anomaly is left out: it needs the sensor ambient and fan and power"],
        ),
        (
            {},
            [COOLING, COOLING],
            [COOLING],
            ["cooling is left out: there is a model for the role cooling already"],
        ),
        ({}, [Path("nowhere")], [], ["nowhere is left out: it cannot be read"]),
    ],
)
def test_which_bundles_go_with_an_agent(without, folders, taken, left_out):
    choice = choose(ESP32, ESP32.device_config(device="d", sensors=without), folders)
    assert choice.taken == tuple(taken)
    assert len(choice.left_out) == len(left_out)
    for message, words in zip(choice.left_out, left_out, strict=True):
        assert message.startswith(words)


@pytest.mark.parametrize(
    ("manifest", "model", "words"),
    [
        ("{", None, "its manifest is not usable"),
        ('{"features": [1]}', None, "its manifest is not usable"),
        (None, b"junk", "not a whole .tflite file"),
    ],
)
def test_a_bundle_that_is_no_bundle(tmp_path, manifest, model, words):
    (tmp_path / "manifest.json").write_text(manifest or (COOLING / "manifest.json").read_text())
    (tmp_path / "model.tflite").write_bytes(model or (COOLING / "model.tflite").read_bytes())
    choice = choose(ESP32, ESP32.device_config(device="d"), [tmp_path])
    assert words in choice.left_out[0]


def test_models_that_do_not_fit_a_board():
    config = ESP32.device_config(device="d")
    small = dataclasses.replace(ESP32, model_bytes=1000)
    assert "model of 2,032 bytes does not fit esp32" in choose(small, config, [COOLING]).left_out[0]
    # There is heap for one of them only.
    tight = dataclasses.replace(ESP32, heap_kb=61)
    choice = choose(tight, config, DEFAULT_BUNDLES)
    assert choice.taken == (COOLING,)
    assert "a heap of 61 KB, which is used up without it" in choice.left_out[0]
