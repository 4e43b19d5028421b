"""Settings and models a board has already, for a deploy that names none.

own = kept(repl, read_state(repl), target, ALL, folder)    # target, if the board has no settings
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.devices import deploy_set
from host.devices.boards import Board
from host.devices.deploy_board import Caller
from host.devices.deploy_plan import PLAIN, BoardState, sha256
from host.devices.deploy_set import Target
from host.devices.errors import NoAnswerError, SettingsError

SETTINGS, ALL = "settings", "settings and models"
PIECE_BYTES = 512
TRIES = 3
INSTEAD = "name others with --agent FILE, or take the board's defaults with --defaults"


@dataclass(frozen=True)
class Kept:
    """What the board has."""

    board: Board
    config: dict[str, Any]
    bundles: Sequence[Path]


def kept(repl: Caller, state: BoardState, target: Target, what: str, folder: Path) -> Target:
    """`target` with what the set has that runs on the board: its SETTINGS, or ALL, with its models,
    whose files are put into `folder`. Raises SettingsError where those do not do.
    """
    slot = state.running().slot
    base = "" if slot == PLAIN else f"/{slot}"
    if f"{base}/config.json" not in state.files:
        return target
    bundles = [] if what == ALL else list(target.bundles)
    for role in deploy_set.ROLES if what == ALL else ():
        paths = {name: f"{base}/models/{role}/{name}" for name in deploy_set.BUNDLE_FILES}
        if all(path in state.files for path in paths.values()):
            bundles.append(folder / role)
            bundles[-1].mkdir()
            for name, path in paths.items():
                (bundles[-1] / name).write_bytes(_read(repl, state, path))
    try:
        config = json.loads(_read(repl, state, f"{base}/config.json"))
        if not isinstance(config, dict):
            raise ValueError("they are no object")
    except ValueError as error:
        raise SettingsError([f"the board's own settings cannot be read: {error}; {INSTEAD}"]) from (
            error
        )
    problems = []
    if config.get("board") != target.board.name:
        problems.append(f"they are for the board {config.get('board')}, not {target.board.name}")
    own = Kept(target.board, config, tuple(bundles))
    try:
        deploy_set.check(own)
    except SettingsError as error:
        problems += [problem.replace(f"{folder}/", "model ") for problem in error.problems]
    if problems:
        raise SettingsError([f"the board's own settings: {one}" for one in problems] + [INSTEAD])
    return own


def _read(repl: Caller, state: BoardState, path: str) -> bytes:
    size, expected = state.files[path]
    for _ in range(TRIES):
        content = b"".join(
            base64.b64decode(repl.call(f"_read({path!r}, {start}, {PIECE_BYTES})"))
            for start in range(0, size, PIECE_BYTES)
        )
        if sha256(content) == expected:
            return content
    raise NoAnswerError(f"{path} reads differently each time: the flash or the line is bad")
