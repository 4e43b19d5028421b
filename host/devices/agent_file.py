"""An agent's file, NAME.toml: which board, which models, which settings; people edit it.

    board = "esp32"
    link = "serial"                              # or "mqtt", with [settings.wifi], [settings.mqtt]
    bundles = ["../training/bundles/cooling"]    # relative to this file

    [settings]                                   # /config.json without `board`
    device = "cellar"
    ...

agent = load(Path("agents/cellar.toml"))
agent.board, agent.config, agent.bundles
"""

from __future__ import annotations

import contextlib
import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config import LINKS
from host.devices import link_files
from host.devices.boards import BOARDS, DEFAULT_SITE, Board, config_problems, load_board
from host.devices.errors import SettingsError, UnknownBoardError
from host.devices.link_files import NONE_NAMED, LinkFiles

_KEYS = ("board", "link", "bundles", "settings", "secrets")


@dataclass(frozen=True)
class AgentFile:
    """config: the checked content of /config.json; bundles: folders of model bundles; secrets:
    where the passwords are.
    """

    path: Path
    board: Board
    link: str
    config: dict[str, Any]
    bundles: tuple[Path, ...]
    secrets: LinkFiles = NONE_NAMED


def load(path: Path) -> AgentFile:
    """Read and check an agent's file. Raises SettingsError with all problems."""
    try:
        # Some editors begin a file with a mark of its encoding.
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {error}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path}: {error}"]) from error
    problems = [f"{key}: there is no such entry" for key in raw if key not in _KEYS]
    secrets = link_files.parse(raw.get("secrets", {}), path.parent, problems)
    name, bundles, settings = raw.get("board"), raw.get("bundles", []), raw.get("settings")
    if not isinstance(name, str):
        problems.append("board: the name of a board is needed, see ./run boards")
    if raw.get("link", LINKS[0]) not in LINKS:
        problems.append(f"link: {raw['link']!r}, {' or '.join(LINKS)} is needed")
    if not isinstance(bundles, list) or not all(isinstance(each, str) for each in bundles):
        problems.append("bundles: a list of folders is needed")
        bundles = []
    folders = tuple((path.parent / each).resolve() for each in bundles)
    problems += [
        f"bundles: there is no {folder}/manifest.json"
        for folder in folders
        if not (folder / "manifest.json").is_file()
    ]
    if not isinstance(settings, dict):
        problems.append("[settings] is missing")
    board = None
    try:
        board = load_board(name) if isinstance(name, str) else None
    except UnknownBoardError as error:
        problems.append(f"board: {error}")
    config: dict[str, Any] = {}
    if isinstance(settings, dict):
        if "board" in settings:
            problems.append("settings.board: stands above, as board")
        if "link" in settings:
            problems.append("settings.link: stands above, as link")
        config = {"site": DEFAULT_SITE, **settings, "board": board.name if board else "unknown"}
        if raw.get("link") == link_files.MQTT:
            config["link"] = link_files.MQTT
        found = board.problems(config) if board else config_problems(config)
        problems += [f"settings.{problem}" for problem in found]
    if problems or board is None:
        raise SettingsError([f"{path}: {problem}" for problem in problems])
    return AgentFile(path, board, raw.get("link", LINKS[0]), config, folders, secrets)


def write(agent: AgentFile) -> None:
    """Write `agent` to its path, whole or not at all. Raises SettingsError."""
    new = agent.path.with_name(f"{agent.path.name}.{os.getpid()}.new")
    try:
        agent.path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text_of(agent), encoding="utf-8")
        new.replace(agent.path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise SettingsError([f"{agent.path} cannot be written: {error}"]) from error


def text_of(agent: AgentFile) -> str:
    """The file's content, with a word on everything people may want to change."""
    bundles = [_relative(folder, agent.path.parent) for folder in agent.bundles]
    lines = [
        f"# {agent.config['device']}: checked whenever it is read. What else [settings] may hold:",
        "# firmware/agent/config.py; the pins of this board: ./run boards --show "
        + agent.board.name,
        "",
        f"board = {_value(agent.board.name)}",
        f"link = {_value(agent.link)}",
        "# Model bundles, relative to this file; without any the fan follows a thermostat.",
        f"bundles = {_value(bundles)}",
        "",
        "[settings]",
    ]
    settings = {k: value for k, value in agent.config.items() if k not in ("board", "link")}
    notes = {"limit_mc": " # milli-degrees Celsius", "trip_mc": " # the fan runs, whatever happens"}
    for key, value in settings.items():
        if not isinstance(value, dict):
            lines.append(f"{key} = {_value(value)}{notes.get(key, '')}")
    tables = {"relay": agent.config["relay"]}
    tables |= {f"sensors.{role}": sensor for role, sensor in agent.config["sensors"].items()}
    tables |= {name: agent.config[name] for name in ("wifi", "mqtt") if name in agent.config}
    for name, table in tables.items():
        lines += ["", f"[settings.{name}]"]
        lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    if agent.link == link_files.MQTT:
        lines += _secrets(agent)
    return "\n".join(lines) + "\n"


def _secrets(agent: AgentFile) -> list[str]:
    # Paths only; what is not there yet is shown how to add.
    lines = [
        "",
        "[secrets]",
        f"# Files with nothing but the password; else {link_files.WIFI_PASSWORD} and",
        f"# {link_files.MQTT_PASSWORD} in the environment. Keep them out of the repository.",
    ]
    for key in link_files.KEYS:
        path = getattr(agent.secrets, key)
        shown = _value(os.path.relpath(path, agent.path.parent)) if path else '"..."'
        lines.append(f"{'' if path else '# '}{key} = {shown}")
    return lines


def _relative(folder: Path, start: Path) -> str:
    # Inside the checkout a path that survives moving that; elsewhere one that survives moving this.
    folder, start = folder.resolve(), start.resolve()
    root = BOARDS.parent
    if folder.is_relative_to(root) and start.is_relative_to(root):
        return Path(os.path.relpath(folder, start)).as_posix()
    return folder.as_posix()


def _value(value: Any) -> str:
    # JSON's numbers, lists and strings are TOML's, too, for the characters checked settings hold.
    return json.dumps(value, ensure_ascii=False)
