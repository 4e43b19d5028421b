"""A damaged store is set aside, what can be read is saved, and no cursor skips what comes after."""

import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from host.bridge.errors import StoreBusy, StoreDamaged
from host.bridge.records import Incoming
from host.bridge.store import Store
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import FakeBoard

RECORDS = 2000


def item(seq: int) -> Incoming:
    body: dict[str, Any] = {
        "t": "dec",
        "boot": 1,
        "seq": seq,
        "ms": seq,
        "why": f"number {seq} " * 5,
    }
    return Incoming("box", 1, seq, body, 1000.0 + seq)


def born(device: str, boot: int) -> Incoming:
    return Incoming(device, boot, 1, {"t": "hello", "dev": device, "boot": boot}, 1000.0)


def filled(path: Path) -> None:
    store = Store(path)
    for start in range(1, RECORDS, 100):
        store.add([item(seq) for seq in range(start, start + 100)])
    store.set_cursor("mqtt:home", RECORDS)
    store.add([born("box", 1)])
    store.close()


def damage(path: Path, kind: str, seed: int) -> None:
    size = path.stat().st_size
    dice = random.Random(seed)
    with path.open("r+b") as file:
        if kind == "header":
            file.write(bytes(100))
        elif kind == "short":
            file.truncate(size // 2 + 77)
        elif kind == "pages":
            for _ in range(3):
                file.seek(4096 * dice.randrange(3, size // 4096))
                file.write(dice.randbytes(4096))


def works(store: Store) -> None:
    """Use all of the store, as a bridge would; recover when told."""
    for _ in range(3):
        try:
            store.records("dec", "box", RECORDS + 10)
            new = store.add([item(seq) for seq in range(RECORDS + 1, RECORDS + 11)])
            store.after(0, RECORDS + 100)
            store.prune(1e12, 10**12, 2000.0)
            cursor = store.cursor("mqtt:home")
            assert all(record.id > cursor for record in new), "a gateway would skip these"
            return
        except StoreDamaged:
            store.recover()
    raise AssertionError("recovering did not help")


@pytest.mark.parametrize("kind", ["header", "short", "pages"])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_set_aside_and_saved_from(tmp_path: Path, kind: str, seed: int) -> None:
    path = tmp_path / "s.db"
    filled(path)
    damage(path, kind, seed)
    store = Store(path)
    works(store)
    found = store._db.execute("PRAGMA integrity_check").fetchone()[0]
    if store.set_aside is not None:
        aside, saved = store.set_aside
        assert aside.exists()
        assert found == "ok"
        if kind == "pages":
            assert saved["records"] > RECORDS // 4, saved
    elif kind != "pages":
        raise AssertionError("nobody noticed")
    store.close()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    content = path.read_bytes()
    with pytest.raises(Exception, match="another program"):
        Store(path)
    assert path.read_bytes() == content


def test_a_store_that_cannot_be_replaced_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    store = Store(folder / "s.db")
    shutil.rmtree(folder)
    with pytest.raises(StoreBusy, match="cannot be replaced"):
        store.recover()


def test_a_running_bridge_goes_on(bridge: Bridge, board: FakeBoard) -> None:
    bridge.start("--port", str(board.path))
    for _ in range(20):
        board.decide()
    eventually(lambda: not board.queue)
    with bridge.store.open("r+b") as file:
        file.write(bytes(4096))
    for suffix in ("-wal",):
        with Path(f"{bridge.store}{suffix}").open("r+b") as file:
            file.truncate(0)
    for _ in range(20):
        board.decide()
    eventually(lambda: not board.queue, what="records are taken again")
    eventually(lambda: bridge.get("/ready")["ready"])
    assert (7, 40) in bridge.keys("box-one")
