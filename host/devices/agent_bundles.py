"""Which model bundles go with an agent: what they need to read, and whether they fit its board."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.cognition.mind import NEEDS
from host.devices.boards import Board

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_BUNDLES = (ROOT / "training/bundles/cooling", ROOT / "training/bundles/anomaly")
# Of the heap, without models: measured, docs/firmware.md.
FIRMWARE_HEAP_KB = 58
MQTT_HEAP_KB = 16


@dataclass(frozen=True)
class Choice:
    """taken: folders; left_out: one message each."""

    taken: tuple[Path, ...]
    left_out: tuple[str, ...]


def choose(board: Board, config: dict[str, Any], folders: Sequence[Path]) -> Choice:
    """Of `folders`, what this board with these settings can use, in order."""
    taken: list[Path] = []
    left_out = []
    roles: set[str] = set()
    heap = FIRMWARE_HEAP_KB * 1024
    heap += MQTT_HEAP_KB * 1024 if config.get("link") == "mqtt" else 0
    for folder in folders:
        problem, role, cost = _judge(folder, board, config)
        if not problem and role in roles:
            problem = f"there is a model for the role {role} already"
        if not problem and heap + cost > board.heap_kb * 1024:
            problem = f"{board.name} has a heap of {board.heap_kb} KB, which is used up without it"
        if problem:
            left_out.append(f"{folder.name} is left out: {problem}")
        else:
            heap += cost
            roles.add(role)
            taken.append(folder)
    return Choice(tuple(taken), tuple(left_out))


def _judge(folder: Path, board: Board, config: dict[str, Any]) -> tuple[str, str, int]:
    # What is wrong ("": nothing), the model's role, and the bytes of heap it takes.
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        model = (folder / "model.tflite").read_bytes()
        role = str(manifest["role"])
        names = [feature["name"] for feature in manifest["features"]]
    except OSError as error:
        return f"it cannot be read ({error})", "", 0
    except (ValueError, KeyError, TypeError):
        return "its manifest is not usable, see python -m training.check", "", 0
    missing = sorted({NEEDS[name] for name in names if name in NEEDS} - set(config["sensors"]))
    if missing:
        return f"it needs the sensor {' and '.join(missing)}", role, 0
    # The engine takes a moment to load, and is needed only here.
    from host.check_model import check_model

    report = check_model(model, board)
    if not report.ok:
        return "; ".join(report.problems), role, 0
    return "", role, report.file_bytes + (report.kept_arena_bytes or 0)
