"""`./run new-agent`: five questions, answered by a checked file (agent_file.py) for a new board.

    python -m host.devices.new_agent [--name NAME] [--board B] [--sensors S] ... [--yes] [--force]

What an option answers is not asked. Without a terminal nothing is asked: name every answer, or say
--yes to take the default for the rest. How answers are written: answers.py.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

from agent.config import LINKS
from host.devices import agent_file, answers, link_files
from host.devices.agent_bundles import DEFAULT_BUNDLES, choose
from host.devices.agent_file import AgentFile
from host.devices.boards import DEFAULT_SITE, Board, list_boards, load_board
from host.devices.console import Console, Parser, run_verb
from host.devices.errors import DeviceError, ProblemsError, SettingsError

AGENTS = Path(__file__).resolve().parents[2] / "agents"
DEFAULT_BOARD = "esp32"
DEFAULT_LIMITS = {"limit_mc": 45000, "trip_mc": 55000}
MAX_ANSWER = 500
# A question of which every answer is refused is given up.
TRIES = 10

T = TypeVar("T")


class Dialogue:
    """Asks on a terminal; `given` answers, and defaults where `ask` is False, are taken as said.

    problems: what was wrong with given answers; the default stands in, so that all are found.
    """

    def __init__(self, given: argparse.Namespace, ask: bool, inp: TextIO, out: TextIO) -> None:
        self._given = given
        self._ask = ask
        self._in = inp
        self._out = out
        self.problems: list[str] = []

    def answer(
        self, key: str, question: str, hint: str, default: str, parse: Callable[[str], T]
    ) -> T:
        """What `parse` makes of the answer; it raises DeviceError with why an answer is refused."""
        text = getattr(self._given, key)
        if text:
            try:
                return parse(text)
            except ProblemsError as error:
                self.problems += error.problems
                return parse(default)
        if not self._ask or self.problems:
            return parse(default)
        self._say(hint)
        for _ in range(TRIES):
            line = self._line(f"{question} [{default}]: ")
            try:
                return parse(line or default)
            except DeviceError as error:
                problems = error.problems if isinstance(error, ProblemsError) else [str(error)]
                for problem in problems:
                    self._say(f"  no: {problem}")
        raise SettingsError([f"{key}: no answer that can be used; see docs/boards.md"])

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def _line(self, prompt: str) -> str:
        print(prompt, end="", file=self._out, flush=True)
        line = ""
        try:
            line = self._in.readline(MAX_ANSWER)
        finally:
            if not line:
                print(file=self._out)
        if not line:
            raise DeviceError("the questions were not answered: nothing is written")
        return line.strip()


def compose(dialogue: Dialogue, given: argparse.Namespace) -> tuple[Board, str, dict[str, Any]]:
    """(board, link, settings) from the five answers. Raises DeviceErrors."""
    names = ", ".join(list_boards())
    board = dialogue.answer("board", "1/5 board", f"Boards: {names}", DEFAULT_BOARD, load_board)
    name = given.name or next_name(board, AGENTS)
    rest = {"device": name, "site": given.site or DEFAULT_SITE, "board": board.name}

    def sensors_of(text: str) -> dict[str, Any]:
        sensors = answers.sensors(text, board.sensors)
        # Where the relay is put is the next question: a pin both want is refused there.
        board.check({**rest, "relay": _elsewhere(board, sensors), "sensors": sensors})
        return sensors

    def relay_of(text: str) -> dict[str, Any]:
        relay = answers.output(text, default_relay)
        board.check({**rest, "relay": relay, "sensors": sensors})
        return relay

    def limits_of(text: str) -> dict[str, int]:
        limits = answers.limits(text, DEFAULT_LIMITS)
        board.check({**rest, **limits, "relay": relay, "sensors": sensors})
        return limits

    hint = "Sensors as role=driver:pins; name what differs, e.g. ambient=ntc:35 fan=none"
    default = answers.sensors_text(board.sensors)
    sensors = dialogue.answer("sensors", "2/5 sensors", hint, default, sensors_of)
    default_relay = _elsewhere(board, sensors)
    hint = "Output: pin, contact the fan hangs on (nc, no), level that draws (high, low)"
    default = answers.output_text(default_relay)
    relay = dialogue.answer("output", "3/5 output", hint, default, relay_of)
    hint = "Limits in C: what the case stays below, and where the fan runs whatever happens"
    default = answers.limits_text(DEFAULT_LIMITS)
    limits = dialogue.answer("limits", "4/5 limits", hint, default, limits_of)
    hint = "Link: serial, or over Wi-Fi to a broker, e.g. mqtt ssid=barn host=192.168.1.10 user=me"
    config: dict[str, Any] = {**rest, **limits, "relay": relay, "sensors": sensors}

    def link_of(text: str) -> dict[str, Any]:
        link = answers.link(text)
        board.check({**config, **link})
        return link

    config |= dialogue.answer("link", "5/5 link", hint, LINKS[0], link_of)
    if dialogue.problems:
        raise SettingsError(dialogue.problems)
    return board, config.get("link", LINKS[0]), config


def _elsewhere(board: Board, sensors: dict[str, Any]) -> dict[str, Any]:
    # The board's relay, moved to a free pin if a sensor has taken its own.
    taken = {sensor.get(wire) for sensor in sensors.values() for wire in ("pin", "sda", "scl")}
    free = [pin for pin in board.pins.usable("relay") if pin not in taken]
    if board.relay["pin"] in taken and free:
        return {**board.relay, "pin": free[0]}
    return board.relay


def next_name(board: Board, folder: Path) -> str:
    """The board's name and the first number of which there is no file yet."""
    number = 1
    while (folder / f"{board.name}-{number}.toml").exists():
        number += 1
    return f"{board.name}-{number}"


def new_agent(given: argparse.Namespace, console: Console, inp: TextIO) -> None:
    """The verb: asks, checks, writes. Raises DeviceErrors; then nothing is written."""
    open_questions = [
        key for key in ("board", "sensors", "output", "limits", "link") if not getattr(given, key)
    ]
    ask = bool(open_questions) and not given.yes
    if ask and not inp.isatty():
        missing = ", ".join(f"--{key}" for key in open_questions)
        raise SettingsError(
            [f"stdin is no terminal, so nothing is asked: name {missing}, or say --yes"]
        )
    # A bad name, or one that is taken, is told before the questions.
    _check_names(given)
    if given.name or given.out:
        _check_free(given, given.name)
    board, link, config = compose(Dialogue(given, ask, inp, console.err), given)
    _check_free(given, config["device"])
    none = given.bundle == ["none"]
    choice = choose(board, config, [] if none else list(given.bundle or DEFAULT_BUNDLES))
    if given.bundle and choice.left_out:
        raise SettingsError(list(choice.left_out))
    for message in choice.left_out:
        console.step(message)
    if not choice.taken and not none:
        console.step("without models the fan follows a thermostat")
    if config["relay"]["contact"] == "no":
        console.step("on the normally open contact a dead board is a fan that stands still")
    if link == link_files.MQTT:
        console.step(
            f"passwords are none of these answers: set {link_files.WIFI_PASSWORD} and "
            f"{link_files.MQTT_PASSWORD} when you deploy, or see [secrets] in the file"
        )
    path = _path(given, config["device"])
    agent = AgentFile(path, board, link, config, choice.taken)
    agent_file.write(agent)
    agent_file.load(path)
    verb = "flash" if board.flash else "deploy"
    console.done(
        f"{path} is written and checked. Next: ./run {verb} --agent {shlex.quote(str(path))}",
        path=str(path),
        board=board.name,
        bundles=[str(folder) for folder in choice.taken],
        left_out=list(choice.left_out),
        config=config,
    )


def _check_names(given: argparse.Namespace) -> None:
    problems = [
        f"{key}: {value!r}, 1 to 32 characters of a-z 0-9 _ - are needed"
        for key, value in (("name", given.name), ("site", given.site))
        if value and not re.fullmatch(r"[a-z0-9_-]{1,32}", value)
    ]
    if problems:
        raise SettingsError(problems)


def _path(given: argparse.Namespace, name: str) -> Path:
    return given.out or Path(os.path.relpath(AGENTS / f"{name}.toml"))


def _check_free(given: argparse.Namespace, name: str) -> None:
    path = _path(given, name)
    if path.exists() and not given.force:
        raise SettingsError([f"{path} is there already: choose another --name, or say --force"])


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("new-agent", "A file for a new board.")
    parser.add_argument("--name", default="", help="the device's name (default: board and number)")
    parser.add_argument("--board", default="", help="see ./run boards")
    parser.add_argument("--sensors", default="", help="'ambient=ntc:35 fan=none'")
    parser.add_argument("--output", default="", help="'26 nc high'")
    parser.add_argument("--limits", default="", help="'45 55', in degrees Celsius")
    parser.add_argument("--link", default="", help="serial, or 'mqtt ssid=NAME host=NAME'")
    parser.add_argument("--site", default="", help=f"default {DEFAULT_SITE}")
    parser.add_argument(
        "--bundle", action="append", type=_folder, help="a model bundle; may be repeated; or none"
    )
    parser.add_argument("--out", type=Path, help="default agents/NAME.toml")
    parser.add_argument("--yes", action="store_true", help="ask nothing, take the defaults")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args(argv)
    return run_verb(given.json, lambda console: new_agent(given, console, sys.stdin))


def _folder(text: str) -> Path | str:
    return text if text == "none" else Path(text)


if __name__ == "__main__":
    raise SystemExit(main())
