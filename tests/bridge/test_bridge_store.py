"""Each record once, whatever comes in whatever order; nothing half."""

import asyncio
import resource
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.bridge import writer as writer_module
from host.bridge.errors import StoreBusy, StoreUnusable
from host.bridge.records import Incoming
from host.bridge.store import Store
from host.bridge.store_settings import StoreConfig
from host.bridge.writer import Writer
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import FakeBoard
from tests.bridge.waiting import PATIENCE_S


def item(device: str, boot: int, seq: int, received: float = 1000.0, **more: Any) -> Incoming:
    body = {"t": "dec", "boot": boot, "seq": seq, "ms": seq, "why": f"{device} {boot} {seq}"}
    return Incoming(device, boot, seq, {**body, **more}, received)


def born(device: str, boot: int) -> Incoming:
    return Incoming(device, boot, 1, {"t": "hello", "dev": device, "boot": boot}, 1000.0)


def keys(store: Store) -> list[tuple[str, int, int]]:
    return [(r.device, r.boot, r.seq) for r in store.after(0, 10**6)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "s.db")


KEYS = st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.integers(1, 8))


@settings(max_examples=40)
@given(st.lists(st.lists(KEYS, max_size=8), max_size=8))
def test_every_record_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, int, int]]]
) -> None:
    store = Store(tmp_path_factory.mktemp("s") / "s.db")
    new: list[tuple[str, int, int]] = []
    for batch in batches:
        new += [(r.device, r.boot, r.seq) for r in store.add([item(*key) for key in batch])]
    wanted = {key for batch in batches for key in batch}
    assert sorted(new) == sorted(wanted)
    assert keys(store) == new
    store.close()


def test_a_copy_that_learned_the_time_is_a_copy(store: Store) -> None:
    assert len(store.add([item("a", 1, 1)])) == 1
    assert store.add([item("a", 1, 1, at=1795258800, ms=99)]) == []


def test_a_board_with_erased_flash_starts_a_new_life(store: Store) -> None:
    store.add([item("a", 1, 1), item("a", 1, 2)])
    assert len(store.add([item("a", 1, 1, why="other"), item("a", 1, 2, why="other")])) == 2
    assert store.add([item("a", 1, 1, why="other")]) == []
    assert len(keys(store)) == 4
    newest = store.record("a", 1, 1)
    assert newest
    assert newest.body["why"] == "other"


def test_a_boot_counter_that_went_back_starts_a_new_life(store: Store) -> None:
    store.add([born("a", 9)])
    store.add([item("a", 1, 1)])
    store.add([born("a", 1)])
    assert len(store.add([item("a", 1, 1)])) == 1


def test_full_disk_keeps_nothing_and_recovers(store: Store) -> None:
    db = store._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count={pages + 2}")
    batch = [item("a", 1, n, pad="x" * 3000) for n in range(1, 11)]
    with pytest.raises(StoreBusy, match="full"):
        store.add(batch)
    assert keys(store) == []
    db.execute("PRAGMA max_page_count=100000")
    assert len(store.add(batch)) == 10


def test_a_full_disk_is_full_until_something_is_taken(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though boards have nothing to say meanwhile: /ready must not say yes and no by turns."""
    monkeypatch.setattr(writer_module, "Backoff", lambda *_: SimpleNamespace(**no_pause))
    tried: list[str] = []
    no_pause = {"delay_s": lambda: 0.001, "reset": lambda: tried.append("recovered")}
    taken, transaction = False, store.transaction

    def full(*args: Any, **how: Any) -> Any:
        if taken:
            return transaction(*args, **how)
        tried.append("refused")
        raise StoreBusy("database or disk is full")

    monkeypatch.setattr(store, "transaction", full)

    async def scenario() -> None:
        nonlocal taken
        writer = Writer(store, StoreConfig(), lambda record: None)
        running = asyncio.create_task(writer.run())
        writer.add(item("a", 1, 1), lambda keys: None)
        while tried.count("refused") < 10:
            await asyncio.sleep(0.001)
            assert "recovered" not in tried
        assert writer.problem
        taken = True
        while writer.problem:
            await asyncio.sleep(0.001)
        running.cancel()
        await writer.drain()

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))


def test_locked_database_is_busy_not_broken(store: Store) -> None:
    store._db.execute("PRAGMA busy_timeout=50")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="locked"):
        store.add([item("a", 1, 1)])
    other.execute("ROLLBACK")
    assert len(store.add([item("a", 1, 1)])) == 1


def test_telemetry_is_thinned(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db", telemetry_every_s=10)
    store.add_telemetry([("a", at, {"n": at}) for at in range(100, 130)])
    assert [row["n"] for row in store.telemetry("a", 0)] == [109, 119, 129]


def test_rejected_frames_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host.bridge.store.MAX_REJECTED", 5)
    store.add([item("a", 1, n)._replace(reason="bad") for n in range(1, 20)])
    assert keys(store) == []
    kept = store._db.execute("SELECT seq FROM rejected ORDER BY id").fetchall()
    assert [row[0] for row in kept] == [15, 16, 17, 18, 19]


def test_cursor_survives(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    assert store.cursor("mqtt") == 0
    store.set_cursor("mqtt", 7)
    store.close()
    assert Store(tmp_path / "s.db").cursor("mqtt") == 7


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (x)")


UNUSABLE = [
    (lambda p: p.write_text("this is no database at all " * 50), "not a database"),
    (other_database, "another program"),
    (lambda p: p.mkdir(), "unable to open"),
]


@pytest.mark.parametrize(("spoil", "word"), UNUSABLE)
def test_unusable_stores_say_so(tmp_path: Path, spoil: Any, word: str) -> None:
    spoil(tmp_path / "s.db")
    with pytest.raises(StoreUnusable, match=word) as error:
        Store(tmp_path / "s.db")
    assert "--store" in str(error.value)


def test_a_second_bridge_on_one_store_is_refused(
    bridge: Bridge, board: FakeBoard, tmp_path: Path
) -> None:
    bridge.start("--port", str(board.path))
    other = Bridge(tmp_path)
    assert bridge.process
    other.start("--port", str(tmp_path / "elsewhere"), wait=False)
    assert other.process
    assert other.process.wait(PATIENCE_S) == 2
    assert f"another bridge (process {bridge.process.pid}) has it" in other.log.read_text()
    bridge.kill()
    other.start("--port", str(tmp_path / "elsewhere"))  # a lock does not outlive its holder
    other.kill()


def test_a_bridge_that_starts_on_a_full_disk_waits_for_room(
    bridge: Bridge, board: FakeBoard
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))  # the bridge inherits it
    try:
        bridge.start("--port", str(board.path), wait=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    eventually(lambda: "not started yet" in bridge.log.read_text())
    assert bridge.process
    assert bridge.process.poll() is None
    # Without a loop that serves it still has to go when told.
    bridge.stop()
    bridge.log.write_text("")
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        bridge.start("--port", str(board.path), wait=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    eventually(lambda: "not started yet" in bridge.log.read_text())
    resource.prlimit(bridge.process.pid, resource.RLIMIT_FSIZE, before)
    eventually(bridge.ready)
    board.decide()
    eventually(lambda: not board.queue)


def test_a_console_that_takes_nothing_holds_nothing_up(bridge: Bridge, board: FakeBoard) -> None:
    bridge.out = Path("/dev/full")
    bridge.start("--port", str(board.path))
    for _ in range(3):
        board.decide()
        eventually(lambda: not board.queue)
    bridge.stop()
    assert bridge.keys("box-one") == [(7, 1), (7, 2), (7, 3)]
    log = bridge.log.read_text()
    assert log.count("decisions cannot be printed") == 1
    assert "Traceback" not in log
