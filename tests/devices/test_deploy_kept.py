"""What a deploy leaves alone: a board's own settings and models, and a board of another chip."""

import json

import pytest

from host.devices import deploy, deploy_board
from host.devices.boards import load_board
from host.devices.deploy_board import require_chip
from host.devices.errors import WrongChipError
from tests.devices.flash_folder import set_files
from tests.devices.live_board import MODELS, Agent, live_boards, wanted  # noqa: F401

pytestmark = pytest.mark.vm


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
    board.until(lambda: board.board.resets.total() >= starts + 2)
    assert not (board.flash / "a").exists()
