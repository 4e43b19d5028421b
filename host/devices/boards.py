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
from typing import TYPE_CHECKING, Any

from agent.config import Config, ConfigError
from host.devices import board_schema, pins
from host.devices.errors import BoardFileError, SettingsError, UnknownBoardError
from host.devices.pins import Pins

if TYPE_CHECKING:
    from host.devices.build import Chip

BOARDS = Path(__file__).resolve().parents[2] / "boards"
CHIPS = BOARDS / "chips"
SIMULATED = "simulated"
DEFAULT_SITE = "home"


@dataclass(frozen=True)
class FlashLayout:
    """offset: where the image of MicroPython goes. mode and freq as esptool names them, or "keep":
    as the image's header says.
    """

    size_kb: int
    offset: int
    mode: str
    freq: str


@dataclass(frozen=True)
class ImageName:
    """The official image: its name and variant ("" for none) on micropython.org/download."""

    name: str
    variant: str
    min_version: str

    @property
    def stem(self) -> str:
        """What its files begin with, before the date."""
        return f"{self.name}-{self.variant}" if self.variant else self.name


@dataclass(frozen=True)
class Board:
    """A kind of board. `flash` and `image` are None for one that is not flashed; `chip_image_id` is
    the chip's number in the header of its images; `usb_ids` are (vendor, product); `relay` and
    `sensors` are the default wiring, in the form of /config.json.
    """

    name: str
    title: str
    chip: str
    chip_image_id: int | None
    heap_kb: int
    arena_bytes: int
    model_bytes: int
    flash: FlashLayout | None
    image: ImageName | None
    usb_ids: tuple[tuple[int, int], ...]
    pins: Pins
    relay: dict[str, Any]
    sensors: dict[str, Any]

    @property
    def native(self) -> Chip | None:
        """mpy-cross's architecture and the native kernels of the chip; None for a simulated one."""
        # What compiles is loaded only where it is asked for.
        from host.devices.build import CHIPS

        return CHIPS.get(self.chip)

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
        self.check(config)
        return config

    def problems(self, config: dict[str, Any]) -> list[str]:
        """Everything that speaks against running this /config.json on this kind of board."""
        return config_problems(config) + self.pins.problems(config)

    def check(self, config: dict[str, Any]) -> None:
        """Raises SettingsError with the problems of `config`, if there are any."""
        problems = self.problems(config)
        if problems:
            raise SettingsError(problems)


def config_problems(config: Any) -> list[str]:
    """What the code on the board would refuse."""
    try:
        Config(config)
    except ConfigError as error:
        return list(error.problems)
    return []


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
    raw = _read(path)
    problems = board_schema.board_problems(raw, name, sorted(p.stem for p in CHIPS.glob("*.toml")))
    if problems:
        raise BoardFileError([f"{path.name}: {problem}" for problem in problems])
    chip = _load_chip(raw["chip"])
    board = _board(raw, chip)
    problems = config_problems({"device": "x", "site": "x", "board": "x", **_wiring(raw)})
    problems += board_schema.flash_problems(raw, chip) + board.pins.problems(raw)
    if problems:
        raise BoardFileError([f"{path.name}: {problem}" for problem in problems])
    return board


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BoardFileError([_located(path, error)]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BoardFileError([f"{path}: cannot be read: {error}"]) from error


def _located(path: Path, error: tomllib.TOMLDecodeError) -> str:
    # tomllib of 3.11 to 3.13 has the place only in its message: "... (at line 3, column 5)".
    message = str(error)
    text, _, place = message.rpartition(" (at ")
    words = place.rstrip(")").replace(",", "").split()
    if len(words) >= 2 and words[0] == "line":
        return f"{path}:{words[1]}: {text}"
    lines = path.read_text(encoding="utf-8").count("\n") + 1
    return f"{path}:{lines}: {message}"


def _load_chip(name: str) -> dict[str, Any]:
    path = CHIPS / f"{name}.toml"
    raw = _read(path)
    problems = board_schema.chip_problems(raw)
    if problems:
        raise BoardFileError([f"chips/{path.name}: {problem}" for problem in problems])
    return raw


def _wiring(raw: dict[str, Any]) -> dict[str, Any]:
    return {"relay": raw.get("relay"), "sensors": raw.get("sensors")}


def _board(raw: dict[str, Any], chip: dict[str, Any]) -> Board:
    image = raw.get("image")
    memory = raw["memory"]
    return Board(
        name=raw["name"],
        title=raw["title"],
        chip=raw["chip"],
        chip_image_id=chip.get("image_id"),
        heap_kb=memory["heap_kb"],
        arena_bytes=memory["arena_bytes"],
        model_bytes=memory["model_bytes"],
        flash=FlashLayout(**raw["flash"]) if "flash" in raw else None,
        image=ImageName(image["name"], image.get("variant", ""), image["min_version"])
        if image
        else None,
        usb_ids=tuple(board_schema.usb_id(text) for text in raw.get("usb", {}).get("ids", [])),
        pins=_pins(raw.get("pins", {}), chip),
        relay=raw.get("relay"),  # type: ignore[arg-type]
        sensors=raw.get("sensors"),  # type: ignore[arg-type]
    )


def _pins(own: dict[str, Any], chip: dict[str, Any]) -> Pins:
    kinds = {kind: pins.parse(text) for kind, text in chip["pins"].items()}
    for kind in pins.BOARD_KINDS:
        kinds[kind] = kinds.get(kind, frozenset()) | pins.parse(own.get(kind, ""))
    wired = {int(pin): what for pin, what in own.get("wired", {}).items()}
    return Pins(chip["title"], kinds, wired)
