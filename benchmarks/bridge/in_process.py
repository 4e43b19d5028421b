"""Links, checks, store and its writer alone, in this process: no port, no other process."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.communication import frames
from benchmarks.bridge.board import DECISION, HELLO
from host.bridge.hub import Hub
from host.bridge.link import Intake, Link
from host.bridge.registry import Registry
from host.bridge.store import Store
from host.bridge.store_settings import StoreConfig
from host.bridge.writer import Writer

RECORDS = 20_000
LINKS = 16


class Wire(Link):
    """What the bridge says is not carried anywhere."""

    def write(self, data: bytes) -> bool:
        return True


def records_per_cpu_s(records: int = RECORDS) -> float:
    """Decision records through links into a store on disk; CPU time is that of all threads."""
    each = records // LINKS
    head = {"boot": 1, "ms": 1}
    lines = [frames.encode({"t": "dec", **head, "seq": n + 1, **DECISION}) for n in range(each)]
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder), lines, head))


async def _run(folder: Path, lines: list[bytes], head: dict[str, Any]) -> float:
    registry = Registry(Hub())
    writer = Writer(Store(folder / "s.db"), StoreConfig(), registry.stored)
    intake = Intake(writer, registry, lambda *_: None)
    wires = [Wire(f"wire-{n}", 10.0, intake) for n in range(LINKS)]
    for n, wire in enumerate(wires):
        wire.opened()
        hello = {"t": "hello", **head, "seq": 1, "dev": f"board-{n}", **HELLO}
        wire.received(frames.encode(hello))
    running = asyncio.create_task(writer.run())
    begun = time.process_time()
    for start in range(0, len(lines), 16):
        for wire in wires:
            wire.received(b"".join(lines[start : start + 16]))
        while writer.stored < min(start + 16, len(lines)) * LINKS:
            await asyncio.sleep(0.0005)
    spent = time.process_time() - begun
    running.cancel()
    await writer.drain()
    return writer.stored / spent
