"""Whatever goes wrong, in whatever order: stored exactly once, delivered at least once.

FANWISE_FAULTS sets how many faults, FANWISE_FAULTS_SEED which.
"""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from host.bridge import writer as writer_module
from host.bridge.clock import JUMP_S, TRUSTED_AFTER_S, ClockWatch
from host.bridge.store import Store
from host.bridge.store_settings import StoreConfig
from host.bridge.writer import Writer
from tests.bridge.faults import run
from tests.bridge.mosquitto import needs_mosquitto
from tests.bridge.test_bridge_store import item, keys

COUNT = int(os.environ.get("FANWISE_FAULTS", "20"))
SEED = int(os.environ.get("FANWISE_FAULTS_SEED", "1"))
YEAR_S = 365 * 86400.0


@needs_mosquitto
@pytest.mark.timeout(600)
def test_faults(tmp_path: Path) -> None:
    counts = run(tmp_path, COUNT, SEED)
    print(counts)
    assert counts["stored"] == counts["file"] == counts["webhook"] == counts["mqtt"]
    assert counts["stored"] >= COUNT


def test_a_clock_that_jumped_deletes_nothing_for_a_day() -> None:
    watch = ClockWatch(None, 1000.0, 0.0)
    assert watch.trusted(1600.0, 600.0)
    assert not watch.trusted(1600.0 + YEAR_S, 601.0), "ahead"
    assert not watch.trusted(2200.0, 1201.0), "and back again"
    assert not watch.trusted(2200.0 + TRUSTED_AFTER_S - 600, 1201.0 + TRUSTED_AFTER_S - 600)
    assert watch.trusted(2200.0 + TRUSTED_AFTER_S, 1201.0 + TRUSTED_AFTER_S)


def test_a_clock_that_jumps_before_the_first_look_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(time=lambda: 1e9, monotonic=lambda: 0.0)
    monkeypatch.setattr(writer_module, "time", clock)
    store = Store(tmp_path / "s.db")
    store.add([item("a", 1, 1, received=1e9)])

    async def scenario() -> None:
        writer = Writer(store, StoreConfig(), lambda record: None)
        clock.time = lambda: 1e9 + 10 * YEAR_S
        await writer.prune()

    asyncio.run(scenario())
    assert keys(store) == [("a", 1, 1)]


def test_a_start_that_follows_the_run_before_is_trusted() -> None:
    assert ClockWatch(1000.0, 1000.0 + JUMP_S, 0.0).trusted(1600.0 + JUMP_S, 600.0)
    assert not ClockWatch(1000.0, YEAR_S, 0.0).trusted(YEAR_S + 600, 600.0)
    assert not ClockWatch(YEAR_S, 1000.0, 0.0).trusted(1600.0, 600.0)
