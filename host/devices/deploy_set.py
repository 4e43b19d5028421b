"""The files a board is to have, and whether they fit together, before any port is opened.

check(target)             raises SettingsError with every problem
files = wanted(target)    {path on the board: content}, boot.py and main.py included
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from agent.cognition import bundle as board_bundle
from agent.cognition.mind import NEEDS
from host.devices import link_files
from host.devices.boards import Board
from host.devices.build import board_files
from host.devices.errors import SettingsError

BUNDLE_FILES = ("manifest.json", "model.tflite")
ROLES = (board_bundle.COOLING, board_bundle.ANOMALY)


class Target(Protocol):
    """What to deploy: an AgentFile, or like one."""

    @property
    def board(self) -> Board: ...
    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def bundles(self) -> Sequence[Path]: ...


def check(target: Target) -> list[str]:
    """Names of the models ("cooling@2"). Raises SettingsError: pins, settings, models that the
    board would refuse, that have no room, or whose features lack a sensor.
    """
    problems = target.board.problems(target.config) + link_files.check(target)
    names, roles = [], []
    for folder in target.bundles:
        name, role, found = _check_bundle(folder, target.board, target.config)
        problems += found
        names.append(name)
        if role and role in roles:
            problems.append(f"{folder}: a second model for the role {role}; leave one out")
        roles.append(role)
    if problems:
        raise SettingsError(problems)
    return names


def wanted(target: Target) -> dict[str, bytes]:
    """Raises BuildError."""
    files = dict(board_files(target.board.chip if target.board.native else ""))
    files["config.json"] = json.dumps(target.config, separators=(",", ":")).encode()
    files |= link_files.files(target)
    for folder in target.bundles:
        role = _manifest(folder)["role"]
        for name in BUNDLE_FILES:
            files[f"models/{role}/{name}"] = (folder / name).read_bytes()
    return files


def _manifest(folder: Path) -> dict[str, Any]:
    manifest = json.loads((folder / BUNDLE_FILES[0]).read_bytes())
    if not isinstance(manifest, dict):
        raise ValueError("the manifest is no object")
    return manifest


def _check_bundle(
    folder: Path, board: Board, config: Mapping[str, Any]
) -> tuple[str, str, list[str]]:
    # By the code the board checks it with, in the folders the board has.
    try:
        role = str(_manifest(folder).get("role"))
    except (OSError, ValueError) as error:
        return "", "", [f"{folder}: no manifest to read ({error}); train it again"]
    if role not in ROLES:
        return "", "", [f"{folder}: its role is {role!r}, {' or '.join(ROLES)} is needed"]
    with tempfile.TemporaryDirectory() as root:
        try:
            (Path(root) / role).mkdir()
            for name in BUNDLE_FILES:
                shutil.copy(folder / name, Path(root) / role / name)
            loaded = board_bundle.load(role, root)
        except (OSError, board_bundle.BundleError) as error:
            return "", role, [f"{folder}: {str(error).replace(root, '').lstrip('/')}"]
    problems = []
    size = (folder / BUNDLE_FILES[1]).stat().st_size
    for what, needed, there in (
        ("an arena", loaded.model.ram, board.arena_bytes),
        ("a model", size, board.model_bytes),
    ):
        if needed > there:
            problems.append(
                f"{folder}: {what} of {needed} B, the board {board.name} has room for {there} B"
            )
    fitted = config.get("sensors") or {}
    for feature in loaded.names:
        sensor = NEEDS.get(feature)
        if sensor and sensor not in fitted:
            problems.append(
                f"{folder}: the feature {feature} needs the sensor {sensor!r}, which the settings "
                "do not have"
            )
    return loaded.name, role, problems
