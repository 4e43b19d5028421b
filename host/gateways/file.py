"""Alarms as JSON lines in a file, for whatever reads files.

    [file]
    path = "/var/log/fanwise/alarms.jsonl"
    kinds = ["alarms"]        # or "decisions" too
    max_mb = 16               # then it becomes alarms.jsonl.1, of which `keep` stay
    keep = 4

One line a record: {"site", "device", ...} and the record as the board wrote it. A line is whole or
not there: what a crash tore off is cut away at the next start, and delivered again.
"""

import asyncio
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.bridge.backoff import Backoff
from host.bridge.core import Core
from host.bridge.errors import StartError
from host.bridge.gateways import Common
from host.bridge.logs import event
from host.bridge.records import Record
from host.bridge.toml_table import Table
from host.gateways.delivery import Delivery
from host.gateways.kinds import kinds

LOG = logging.getLogger("fanwise.file")


@dataclass(frozen=True)
class FileConfig:
    path: Path
    kinds: tuple[str, ...]
    max_bytes: int
    keep: int


def configure(table: Table, flags: dict[str, Any], common: Common) -> FileConfig | None:
    text = table.text("path", None, "run-state/alarms.jsonl")
    path = Path(text).expanduser()
    if path.is_dir():
        table.problem(f"path: {path} is a folder; give a file in it")
    return FileConfig(
        path,
        kinds(table),
        table.integer("max_mb", None, 16, 1, 100_000) * 1_000_000,
        table.integer("keep", None, 4, 1, 1000),
    )


def make(core: Core, settings: FileConfig) -> "FileGateway":
    return FileGateway(core, settings)


class FileGateway:
    name = "file"

    def __init__(self, core: Core, config: FileConfig) -> None:
        self._config = config
        self._site = core.site
        self._delivery = Delivery(core, f"file:{config.path}", config.kinds)
        self._backoff = Backoff(1.0, 30.0)
        self._told = False

    async def start(self) -> None:
        """Raises StartError if the file cannot be written."""
        path = self._config.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(_cut_torn_line, path)
        except OSError as error:
            raise StartError(
                f"[file] path {path}: {error.strerror}; give a file this program can write"
            ) from error

    async def run(self) -> None:
        while True:
            try:
                await self._delivery.run(self._send)
            except OSError as error:
                if not self._told:
                    fields = {"path": self._config.path, "reason": error.strerror}
                    event(LOG, logging.WARNING, "file takes nothing now, alarms wait", **fields)
                    self._told = True
            await asyncio.sleep(self._backoff.delay_s())

    async def stop(self) -> None:
        self._delivery.close()

    async def _send(self, records: list[Record]) -> None:
        lines = [
            json.dumps({"site": self._site, "device": r.device, **r.body}, ensure_ascii=False)
            for r in records
        ]
        await asyncio.to_thread(self._append, "".join(line + "\n" for line in lines).encode())
        self._backoff.reset()
        self._told = False

    def _append(self, data: bytes) -> None:
        """All of `data`, on disk, or an OSError and the file as it was."""
        path = self._config.path
        if path.exists() and path.stat().st_size + len(data) > self._config.max_bytes:
            self._rotate()
        # Unbuffered: closing would try once more, and might write the second half of a line.
        with path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise

    def _rotate(self) -> None:
        path = self._config.path
        for number in range(self._config.keep, 1, -1):
            older = Path(f"{path}.{number - 1}")
            if older.exists():
                older.replace(f"{path}.{number}")
        path.replace(f"{path}.1")


def _cut_torn_line(path: Path) -> None:
    with path.open("a+b") as file:
        size = file.tell()
        file.seek(max(0, size - 65536))
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        if len(tail) > whole:
            os.ftruncate(file.fileno(), size - (len(tail) - whole))
