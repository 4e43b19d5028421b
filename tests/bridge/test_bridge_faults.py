"""Whatever goes wrong, in whatever order: stored exactly once, delivered at least once.

FANWISE_FAULTS sets how many faults, FANWISE_FAULTS_SEED which.
"""

import os
import random
from pathlib import Path

from host.bridge.clock import JUMP_S, TRUSTED_AFTER_S, ClockWatch
from tests.bridge.faults import run
from tests.bridge.mosquitto import needs_mosquitto

COUNT = int(os.environ.get("FANWISE_FAULTS", "20"))
SEED = int(os.environ.get("FANWISE_FAULTS_SEED") or random.randrange(10**6))
YEAR_S = 365 * 86400.0


@needs_mosquitto
def test_faults(tmp_path: Path) -> None:
    print(f"seed {SEED}")  # shown when it fails
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


def test_a_start_that_follows_the_run_before_is_trusted() -> None:
    assert ClockWatch(1000.0, 1000.0 + JUMP_S, 0.0).trusted(1600.0 + JUMP_S, 600.0)
    assert not ClockWatch(1000.0, YEAR_S, 0.0).trusted(YEAR_S + 600, 600.0)
    assert not ClockWatch(YEAR_S, 1000.0, 0.0).trusted(1600.0, 600.0)
