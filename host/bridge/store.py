"""The store: one SQLite file with every durable record exactly once.

WAL with synchronous=FULL: a record is on disk before `add` returns, and acknowledged only then.

A record is known by (device, life, boot, seq). `life` counts how often a device's boot counter
began anew (its flash was erased): without it the records after that would pass for copies.

Blocking; used from one thread at a time. `StoreBusy`: nothing of this call was kept, try later.
"""

import errno
import json
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from host.bridge import encoding, retention, salvage
from host.bridge.encoding import encode
from host.bridge.errors import StoreBusy, StoreDamaged, StoreFull, StoreUnusable
from host.bridge.records import Incoming, Record
from host.bridge.schema import opened

MAX_REJECTED = 1000
# A full disk shows as either, depending on what SQLite was writing.
FULL = ("SQLITE_FULL", "SQLITE_IOERR")
T = TypeVar("T")


class Store:
    def __init__(self, path: Path, telemetry_every_s: int = 10) -> None:
        """Open or make the store at `path`; a damaged one is set aside. Raises StoreUnusable."""
        self.path = path
        self._telemetry_every_s = telemetry_every_s
        self._synced: bool | None = None
        self._retention = retention.Retention()
        # The file set aside and what was saved of it, if that happened in this run.
        self.set_aside: tuple[Path, dict[str, int]] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._db = opened(path)
            except sqlite3.DatabaseError as error:
                if not salvage.is_damage(error) or not salvage.is_ours(path):
                    raise
                self._replace()
        except (OSError, sqlite3.Error) as error:
            raise unusable(path, error) from error

    def close(self) -> None:
        self._db.close()

    def recover(self) -> None:
        """Set the damaged file aside and go on with a new one. Raises StoreBusy."""
        try:
            self._db.close()
            self._replace()
        except (OSError, sqlite3.Error) as error:
            raise StoreBusy(f"damaged, and cannot be replaced: {error}") from error

    def _replace(self) -> None:
        aside = salvage.set_aside(self.path)
        self._synced = None
        self._db = opened(self.path)
        self.set_aside = aside, salvage.salvage(aside, self._db)

    # -- records -------------------------------------------------------------------------------

    def add(self, batch: Iterable[Incoming]) -> list[Record]:
        """Commit `batch` as a whole; the records that were new, in order. Raises StoreBusy.

        A `hello` among them is remembered as the board's birth: a boot counter that went back
        starts a new life for the records after it.
        """

        def work(db: sqlite3.Connection) -> list[Record]:
            lives: dict[str, int] = {}
            new = []
            for item in batch:
                if item.reason is not None:
                    self._reject(db, item)
                    continue
                if item.frame["t"] == "hello":
                    self._hello(db, item)
                    lives.pop(item.device, None)
                    continue
                if item.device not in lives:
                    lives[item.device] = self._life(db, item.device)
                record = self._insert(db, item, lives)
                if record:
                    new.append(record)
            return new

        return self.transaction(work)

    def _insert(
        self, db: sqlite3.Connection, item: Incoming, lives: dict[str, int]
    ) -> Record | None:
        body, digest = encoding.body(item.frame)
        at = item.frame.get("at") or int(item.received)
        kind = item.frame["t"]
        while True:
            key = (item.device, lives[item.device], item.boot, item.seq)
            made = db.execute(
                "INSERT INTO records (device,life,boot,seq,kind,at,received,digest,body) "
                "VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
                (*key, kind, at, item.received, digest, body),
            )
            if made.rowcount:
                assert made.lastrowid is not None
                return Record(
                    made.lastrowid, item.device, item.boot, item.seq, kind, at, item.frame
                )
            known = db.execute(
                "SELECT digest FROM records WHERE device=? AND life=? AND boot=? AND seq=?", key
            ).fetchone()
            if known[0] == digest:
                return None
            lives[item.device] = self._next_life(db, item.device)

    def _reject(self, db: sqlite3.Connection, item: Incoming) -> None:
        db.execute(
            "INSERT INTO rejected (device,boot,seq,received,reason,body) VALUES (?,?,?,?,?,?)",
            # Not checked: only ASCII and Python's words for what is no number pass whatever it is.
            (item.device, item.boot, item.seq, item.received, item.reason, json.dumps(item.frame)),
        )
        db.execute(
            "DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?", (MAX_REJECTED,)
        )

    def records(
        self,
        kind: str | None = None,
        device: str | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> list[Record]:
        """The newest records first; `before` a record id, to page on."""
        where, values = ["1"], []
        # Decisions are most of all records: found sooner from the newest on than sorted by id.
        by_kind = "+kind" if kind == "dec" and device is None else "kind"
        for column, op, value in (
            (by_kind, "=", kind),
            ("device", "=", device),
            ("id", "<", before),
        ):
            if value is not None:
                where.append(f"{column} {op} ?")
                values.append(value)
        return self._select(f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?", *values, limit)

    def record(self, device: str, boot: int, seq: int) -> Record | None:
        where = "WHERE device=? AND boot=? AND seq=? ORDER BY life DESC LIMIT 1"
        found = self._select(where, device, boot, seq)
        return found[0] if found else None

    def after(self, record_id: int, limit: int) -> list[Record]:
        """Records after `record_id`, oldest first: what a gateway delivers next."""
        return self._select("WHERE id > ? ORDER BY id LIMIT ?", record_id, limit)

    def _select(self, rest: str, *values: object) -> list[Record]:
        rows = self.read(f"SELECT id,device,boot,seq,kind,at,body FROM records {rest}", values)
        return [Record._make((*row[:6], json.loads(row[6]))) for row in rows]

    # -- devices, telemetry, cursors, commands -------------------------------------------------

    def _hello(self, db: sqlite3.Connection, item: Incoming) -> None:
        known = db.execute("SELECT boot FROM devices WHERE device=?", (item.device,)).fetchone()
        if known and item.boot < known[0]:
            self._next_life(db, item.device)
        db.execute(
            "INSERT INTO devices VALUES (?,0,?,?) ON CONFLICT (device) "
            "DO UPDATE SET boot=excluded.boot, hello=excluded.hello",
            (item.device, item.boot, encode(item.frame)),
        )

    def devices(self) -> dict[str, dict[str, Any]]:
        rows = self.read("SELECT device, hello FROM devices WHERE hello != '{}'", ())
        return {device: json.loads(hello) for device, hello in rows}

    def _life(self, db: sqlite3.Connection, device: str) -> int:
        row = db.execute("SELECT life FROM devices WHERE device=?", (device,)).fetchone()
        return row[0] if row else 0

    def _next_life(self, db: sqlite3.Connection, device: str) -> int:
        db.execute("INSERT OR IGNORE INTO devices VALUES (?,0,0,'{}')", (device,))
        db.execute("UPDATE devices SET life=life+1 WHERE device=?", (device,))
        return self._life(db, device)

    def add_telemetry(self, rows: Iterable[tuple[str, int, dict[str, Any]]]) -> None:
        """Keep one reading per `telemetry_every_s` of each (device, unix seconds, reading)."""
        every = self._telemetry_every_s
        values = [(device, at - at % every, encode(body)) for device, at, body in rows]
        self.transaction(
            lambda db: db.executemany("INSERT OR REPLACE INTO telemetry VALUES (?,?,?)", values),
            synced=False,
        )

    def telemetry(self, device: str, since: int, limit: int = 2000) -> list[dict[str, Any]]:
        """The newest readings from `since` on, oldest of them first."""
        rows = self.read(
            "SELECT body FROM telemetry WHERE device=? AND at>=? ORDER BY at DESC LIMIT ?",
            (device, since, limit),
        )
        return [json.loads(row[0]) for row in reversed(rows)]

    def telemetry_start(self, device: str, since: int, limit: int) -> int:
        """From when on there are at most `limit` readings."""
        some = "SELECT at FROM telemetry WHERE device=? AND at>=? ORDER BY at DESC LIMIT ?"
        first = self.read(f"SELECT min(at) FROM ({some})", (device, since, limit))[0][0]
        return since if first is None else first

    def telemetry_page(
        self, device: str, since: int, limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """The oldest readings from `since` on, and from when on to ask for the next."""
        rows = self.read(
            "SELECT at, body FROM telemetry WHERE device=? AND at>=? ORDER BY at LIMIT ?",
            (device, since, limit),
        )
        return [json.loads(body) for _, body in rows], rows[-1][0] + 1 if rows else since

    def cursor(self, gateway: str) -> int:
        """Id of the last record `gateway` delivered; 0 before the first."""
        rows = self.read("SELECT record_id FROM cursors WHERE gateway=?", (gateway,))
        return rows[0][0] if rows else 0

    def set_cursor(self, gateway: str, record_id: int) -> None:
        self.transaction(
            lambda db: db.execute(
                "INSERT OR REPLACE INTO cursors VALUES (?,?)", (gateway, record_id)
            ),
            synced=False,
        )

    def behind(self, gateway: str) -> int:
        """How many records `gateway` has not delivered yet; ids that were dropped by age out of
        their order count, too: counting rows would read them all.
        """
        first, last = self._guarded(retention.ends)
        return max(0, last - max(self.cursor(gateway), first - 1))

    def notes(self, gateway: str) -> dict[str, str]:
        """What a gateway keeps for itself from one start to the next."""
        return dict(self.read("SELECT name, value FROM notes WHERE gateway=?", (gateway,)))

    def note(self, gateway: str, name: str, value: str) -> None:
        row = (gateway, name, value)
        self.transaction(lambda db: db.execute("INSERT OR REPLACE INTO notes VALUES (?,?,?)", row))

    # -- retention -----------------------------------------------------------------------------

    def prune(self, max_age_s: float, max_bytes: int, now: float) -> tuple[int, bool]:
        """A step of dropping what is older than `max_age_s`, and the oldest until the rest fits:
        records dropped, and whether there is more to do.
        """
        step = self._retention.step
        dropped, more = self.transaction(lambda db: step(db, now - max_age_s, max_bytes))
        if not more:
            self._guarded(retention.give_back)
        return dropped, more

    def used_bytes(self) -> int:
        """Room that records take in the file, without what is free in it. Raises StoreBusy."""
        return self._guarded(retention.used_bytes)

    def transaction(self, work: Callable[[sqlite3.Connection], T], synced: bool = True) -> T:
        """What `work` returns; all that it did is kept, or nothing. Raises StoreBusy.

        synced: on disk when this returns. What a power cut may take back needs no wait: a cursor
        that is an old one again only delivers twice.
        """
        db = self._db
        try:
            if synced != self._synced:
                self._synced = None
                db.execute(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
                self._synced = synced
            db.execute("BEGIN IMMEDIATE")
            result = work(db)
            db.execute("COMMIT")
            return result
        except BaseException as error:
            try:
                db.execute("ROLLBACK")
            except sqlite3.Error:
                pass  # SQLite rolls back by itself when the disk is full
            if isinstance(error, sqlite3.Error):
                raise _trouble(error) from error
            raise

    def read(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        return self._guarded(lambda db: db.execute(sql, values).fetchall())

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._db)
        except sqlite3.Error as error:
            raise _trouble(error) from error


def unusable(path: Path, error: Exception) -> StoreUnusable:
    """What to raise when the store at `path` cannot be opened."""
    if is_full(error):
        return StoreFull(f"store {path}: {error}; is there room on the disk?")
    return StoreUnusable(
        f"store {path}: {getattr(error, 'strerror', None) or error}; it must be a file "
        "this program can write, made by it or new. Give another with --store FILE"
    )


def is_full(error: Exception) -> bool:
    """Whether there is no room, rather than something wrong with the file."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorname", "").startswith(FULL)
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _trouble(error: sqlite3.Error) -> StoreBusy:
    return StoreDamaged(str(error)) if salvage.is_damage(error) else StoreBusy(str(error))
