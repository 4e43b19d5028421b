"""A board's non-volatile store, kept beside its flash as a JSON file."""

from __future__ import annotations

import json
import os
from pathlib import Path

MAX_ENTRIES = 256


class Nvs:
    """Small values by key; what was set survives the simulation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._values: dict[str, str] = json.loads(path.read_text())
        except (OSError, ValueError):
            self._values = {}

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        value = self._values.get(key.hex())
        return None if value is None else bytes.fromhex(value)

    def set(self, key: bytes, value: bytes | None) -> None:
        """Set, or with None erase; a full store keeps what it has."""
        if value is None:
            self._values.pop(key.hex(), None)
        elif key.hex() in self._values or len(self._values) < MAX_ENTRIES:
            self._values[key.hex()] = value.hex()
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._values))
        os.replace(temporary, self._path)
