"""An agent's file, NAME.toml: which board, which models, which settings; people edit it.

    board = "esp32"
    link = "serial"
    bundles = ["../training/bundles/cooling"]    # relative to this file

    [settings]                                   # /config.json without `board`
    device = "cellar"
    ...

agent = load(Path("agents/cellar.toml"))
agent.board, agent.config, agent.bundles
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.devices.boards import DEFAULT_SITE, Board, load_board
from host.devices.errors import SettingsError

# What the firmware speaks today.
LINKS = ("serial",)
_KEYS = ("board", "link", "bundles", "settings")


@dataclass(frozen=True)
class AgentFile:
    """config: the checked content of /config.json; bundles: folders of model bundles."""

    path: Path
    board: Board
    link: str
    config: dict[str, Any]
    bundles: tuple[Path, ...]


def load(path: Path) -> AgentFile:
    """Read and check an agent's file. Raises SettingsError with all problems, UnknownBoardError."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {error}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path}: {error}"]) from error
    problems = [f"{key}: there is no such entry" for key in raw if key not in _KEYS]
    name, bundles, settings = raw.get("board"), raw.get("bundles", []), raw.get("settings")
    if not isinstance(name, str):
        problems.append("board: the name of a board is needed, see invoke boards")
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
    board = load_board(name) if isinstance(name, str) else None
    config: dict[str, Any] = {}
    if board and isinstance(settings, dict):
        if "board" in settings:
            problems.append("settings.board: stands above, as board")
        config = {"site": DEFAULT_SITE, **settings, "board": board.name}
        problems += [f"settings.{problem}" for problem in board.problems(config)]
    if problems or board is None:
        raise SettingsError([f"{path}: {problem}" for problem in problems])
    return AgentFile(path, board, raw.get("link", LINKS[0]), config, folders)
