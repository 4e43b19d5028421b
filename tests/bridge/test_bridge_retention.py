"""What the store lets go of, in which order, and that it takes small steps to."""

import math
import time
from pathlib import Path

import pytest

from host.bridge import audit, retention
from host.bridge.store import Store
from tests.bridge.test_bridge_store import item, keys

DAY_S = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "s.db")


def pruned(store: Store, max_bytes: int, age_s: float = math.inf, now: float = 0.0) -> int:
    """Records dropped until what is left fits."""
    dropped, more = 0, True
    while more:
        some, more = store.prune(age_s, max_bytes, now)
        dropped += some
    return dropped


def test_retention_by_age_and_by_size(store: Store) -> None:
    now = time.time()
    store.add([item("a", 1, n, received=now - 10 * DAY_S) for n in range(1, 11)])
    store.add([item("a", 2, n, received=now, pad="x" * 2000) for n in range(1, 201)])
    assert store.prune(5 * DAY_S, 10**9, now) == (10, False)
    assert len(keys(store)) == 200
    dropped = pruned(store, 200_000, 5 * DAY_S, now)
    left = keys(store)
    assert 0 < len(left) == 200 - dropped < 200
    assert left[-1] == ("a", 2, 200)
    assert store.used_bytes() <= 200_000


def test_readings_go_before_records_when_they_take_the_room(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 100)
    store.add([item("a", 1, n) for n in range(1, 101)])
    audit.add(store, "web", "anna", "a", "t1", "override", {}, True, "")
    before = store.used_bytes()
    for device in ("a", "b"):
        store.add_telemetry((device, at, {"n": at, "pad": "x" * 300}) for at in range(0, 60000, 10))
    assert pruned(store, before * 8) == 0
    assert store.used_bytes() <= before * 8
    assert len(audit.newest(store, 10)) == 1
    left = {device: store.telemetry(device, 0)[-1]["n"] for device in ("a", "b")}
    assert left == {"a": 59990, "b": 59990}  # the oldest went
    assert pruned(store, 1) == 100
    assert (keys(store), store.telemetry("a", 0)) == ([], [])


def test_ages_are_looked_at_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 10)
    now = 100 * DAY_S
    # A clock that was ahead for a while: old records behind a young one.
    ages = [50] * 15 + [1] * 10 + [50] * 15 + [1] * 5
    store.add([item("a", 1, n, received=now - age * DAY_S) for n, age in enumerate(ages, 1)])
    store.add_telemetry(("a", int(now - 50 * DAY_S) + n * 10, {}) for n in range(25))
    store.add_telemetry([("a", int(now), {"young": 1})])
    for _ in range(20):
        store.prune(10 * DAY_S, 10**9, now)
    assert len(keys(store)) == ages.count(1)
    assert store.telemetry("a", 0) == [{"young": 1}]


def test_readings_by_the_page(store: Store) -> None:
    store.add_telemetry(("a", at, {"n": at}) for at in range(0, 1000, 10))
    since, pages = store.telemetry_start("a", 100, 35), []
    while True:
        page, since = store.telemetry_page("a", since, 10)
        pages.append([reading["n"] for reading in page])
        if len(page) < 10:
            break
    assert [len(page) for page in pages] == [10, 10, 10, 5]
    assert [n for page in pages for n in page] == list(range(650, 1000, 10))
    assert store.telemetry_start("nobody", 7, 35) == 7


def test_how_far_a_gateway_is_behind(store: Store) -> None:
    assert store.behind("mqtt") == 0
    store.add([item("a", 1, n) for n in range(1, 21)])
    assert store.behind("mqtt") == 20
    store.set_cursor("mqtt", 15)
    assert store.behind("mqtt") == 5
    store.transaction(lambda db: db.execute("DELETE FROM records WHERE id <= 18"))
    assert store.behind("mqtt") == 2
