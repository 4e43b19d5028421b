"""Boards: one TOML each under boards/, and the /config.json that is made from it.

board = load_board("esp32")
settings = board.device_config(device="esp32-1", limit_mc=42000)
"""

from __future__ import annotations

import copy
import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config import Config, ConfigError
from host.devices.errors import BoardFileError, SettingsError, UnknownBoardError

BOARDS = Path(__file__).resolve().parents[2] / "boards"
DEFAULT_SITE = "home"

# table: {key: type}; tables in OPTIONAL may be left out as a whole.
_TABLES: dict[str, dict[str, type]] = {
    "": {"name": str, "title": str, "chip": str},
    "flash": {"size_kb": int, "firmware_image": str, "offset": int},
    "memory": {"heap_kb": int, "arena_bytes": int, "model_bytes": int},
}
_OPTIONAL = {"flash"}


@dataclass(frozen=True)
class Board:
    """A kind of board. `flash` is empty for one that is not flashed; `relay` and `sensors` are the
    default wiring, in the form of /config.json.
    """

    name: str
    title: str
    chip: str
    heap_kb: int
    arena_bytes: int
    model_bytes: int
    flash: dict[str, Any]
    relay: dict[str, Any]
    sensors: dict[str, Any]

    def device_config(
        self, device: str, site: str = DEFAULT_SITE, **settings: Any
    ) -> dict[str, Any]:
        """The content of /config.json for one device of this kind.

        settings: members that differ from the defaults; `relay={...}` changes single members of the
        wiring, `sensors={...}` whole sensors, None removes one. Raises SettingsError with
        everything the board would refuse.
        """
        settings = copy.deepcopy(settings)
        relay = {**self.relay, **(settings.pop("relay", None) or {})}
        sensors = {**copy.deepcopy(self.sensors), **(settings.pop("sensors", None) or {})}
        config = {
            "device": device,
            "site": site,
            "board": self.name,
            "relay": relay,
            "sensors": {role: sensor for role, sensor in sensors.items() if sensor is not None},
            **settings,
        }
        try:
            Config(config)
        except ConfigError as error:
            raise SettingsError(list(error.problems)) from error
        return config


def list_boards(directory: Path = BOARDS) -> list[str]:
    """Names of the boards there are."""
    return sorted(path.stem for path in directory.glob("*.toml"))


def load_board(name: str, directory: Path = BOARDS) -> Board:
    """Read boards/<name>.toml. Raises UnknownBoardError, or BoardFileError with all problems."""
    known = list_boards(directory)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean {close[0]!r}?" if close else ";"
        raise UnknownBoardError(
            f"there is no board {name!r}{hint} known are: {', '.join(known) or 'none'}"
        )
    path = directory / f"{name}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BoardFileError([_located(path, error)]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BoardFileError([f"{path}: cannot be read: {error}"]) from error
    problems = [f"{path.name}: {problem}" for problem in _problems(raw, name)]
    if problems:
        raise BoardFileError(problems)
    memory = raw["memory"]
    return Board(
        name=name,
        title=raw["title"],
        chip=raw["chip"],
        heap_kb=memory["heap_kb"],
        arena_bytes=memory["arena_bytes"],
        model_bytes=memory["model_bytes"],
        flash=raw.get("flash", {}),
        relay=raw["relay"],
        sensors=raw["sensors"],
    )


def _located(path: Path, error: tomllib.TOMLDecodeError) -> str:
    # tomllib of 3.11 to 3.13 has the place only in its message: "... (at line 3, column 5)".
    message = str(error)
    text, _, place = message.rpartition(" (at ")
    words = place.rstrip(")").replace(",", "").split()
    if len(words) >= 2 and words[0] == "line":
        return f"{path}:{words[1]}: {text}"
    lines = path.read_text(encoding="utf-8").count("\n") + 1
    return f"{path}:{lines}: {message}"


def _problems(raw: dict[str, Any], name: str) -> list[str]:
    problems = []
    known = {*_TABLES[""], *(table for table in _TABLES if table), "relay", "sensors"}
    problems += [f"{key}: there is no such entry" for key in raw if key not in known]
    for table, keys in _TABLES.items():
        if table in _OPTIONAL and table not in raw:
            continue
        values = raw.get(table) if table else raw
        if not isinstance(values, dict):
            problems.append(f"[{table}] is missing")
            continue
        prefix = f"{table}." if table else ""
        for key, kind in keys.items():
            value = values.get(key)
            if not isinstance(value, kind) or isinstance(value, bool):
                words = "a number" if kind is int else "a text"
                problems.append(f"{prefix}{key}: {words} is needed, not {value!r}")
            elif isinstance(value, int) and value <= 0 and key != "offset":
                problems.append(f"{prefix}{key}: {value} is not positive")
        if table:
            problems += [f"{prefix}{k}: there is no such entry" for k in values if k not in keys]
    if raw.get("name") not in (None, name):
        problems.append(f"name: {raw['name']!r} differs from the file's name {name!r}")
    # The wiring is checked by the code the board checks it with.
    wiring = {"device": "x", "site": "x", "board": "x"}
    try:
        Config({**wiring, "relay": raw.get("relay"), "sensors": raw.get("sensors")})
    except ConfigError as error:
        problems += error.problems
    return problems
