"""A damaged store is set aside whole, and what can still be read of it goes into a new one.

Nothing is deleted: the damaged file stays beside the new one, under a name with the time.
"""

import itertools
import sqlite3
import time
from pathlib import Path
from typing import Any

# What the others depend on first: lives and cursors decide what counts as new and as delivered.
TABLES = ("devices", "cursors", "notes", "commands", "rejected", "records", "telemetry")
BESIDE = ("", "-wal", "-shm")
ROWS_AT_ONCE = 500
# Beyond it boards would rather have the new store than more of the old one.
MAX_S = 60.0
FRONT_BYTES = 65536

DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file itself is broken."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return name.startswith(DAMAGED)


def is_ours(path: Path) -> bool:
    """Whether a file that is no database any more has been a store: its tables' SQL is there."""
    with path.open("rb") as file:
        return b"CREATE TABLE records (" in file.read(FRONT_BYTES)


def set_aside(path: Path, now: float | None = None) -> Path:
    """Rename the file and what SQLite keeps beside it; its new path. Raises OSError."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for number in range(1, 100):
        if not aside.exists():
            break
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    for suffix in BESIDE:
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside


def salvage(aside: Path, db: sqlite3.Connection) -> dict[str, int]:
    """Copy what can be read of the file set aside into the empty store `db`: {table: rows}.

    Ids stay, and new ones start beyond every id and cursor there was: a gateway's cursor must not
    skip what comes from now on.
    """
    until = time.monotonic() + MAX_S
    copied = dict.fromkeys(TABLES, 0)
    try:
        old = sqlite3.connect(f"file:{aside}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error:
        return copied
    try:
        for table in TABLES:
            copied[table] = _copy(old, db, table, until)
    finally:
        old.close()
    highest = db.execute("SELECT max(coalesce(max(record_id), 0), 0) FROM cursors").fetchone()[0]
    known = db.execute("SELECT seq FROM sqlite_sequence WHERE name='records'").fetchone()
    if known is None:
        db.execute("INSERT INTO sqlite_sequence VALUES ('records', ?)", (highest,))
    elif known[0] < highest:
        db.execute("UPDATE sqlite_sequence SET seq=? WHERE name='records'", (highest,))
    return copied


def _copy(old: sqlite3.Connection, db: sqlite3.Connection, table: str, until: float) -> int:
    """Rows from the front until one cannot be read, then from the back likewise."""
    count = 0
    try:
        columns = [row[1] for row in old.execute(f"PRAGMA table_info({table})")]
        known = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        key = ", ".join(row[1] for row in old.execute(f"PRAGMA table_info({table})") if row[5])
    except sqlite3.Error:
        return 0
    shared = [column for column in columns if column in known]
    if not shared:
        return 0
    names, marks = ",".join(shared), ",".join("?" * len(shared))
    for direction in ("", " DESC"):
        order = ", ".join(column + direction for column in key.split(", "))
        try:
            cursor = old.execute(f"SELECT {names} FROM {table} ORDER BY {order}")
            readable = True
            while readable:
                rows, readable = _readable(cursor)
                db.execute("BEGIN")
                sql = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
                count += max(db.executemany(sql, rows).rowcount, 0)
                db.execute("COMMIT")
                if time.monotonic() > until or (readable and len(rows) < ROWS_AT_ONCE):
                    return count
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
    return count


def _readable(cursor: sqlite3.Cursor) -> tuple[list[tuple[Any, ...]], bool]:
    """The next rows up to one that cannot be read, and whether there was none such."""
    rows: list[tuple[Any, ...]] = []
    try:
        rows.extend(itertools.islice(cursor, ROWS_AT_ONCE))
    except sqlite3.Error:
        return rows, False
    return rows, True
