"""What the store lets go of: the old, and, when there is too much, the oldest of what takes most.

In steps of a few thousand rows, so that records and acknowledgements have their turn in between,
and without reading more of the file than that.
"""

import math
import sqlite3

ROWS_AT_ONCE = 5000
# What a record takes besides its body, indexes included.
ROW_BYTES = 120
SAMPLED = 100
# Room to be filled again stays in the file, up to this share.
FREE_SHARE = 0.05
VACUUM_PAGES = 4000


class Retention:
    def __init__(self) -> None:
        # Records up to this id were looked at for their age; then it begins again.
        self._looked_at = 0

    def step(self, db: sqlite3.Connection, oldest: float, max_bytes: int) -> tuple[int, bool]:
        """Drop some of what is from before `oldest`, in unix seconds, and some of the oldest if
        there is more than `max_bytes`: the records dropped, and whether there is more to do.
        """
        dropped, more = 0, False
        if oldest > -math.inf:
            dropped, more = self._aged_records(db, oldest)
            more |= _aged_telemetry(db, oldest)
            db.execute("DELETE FROM commands WHERE at < ?", (oldest,))
        used = used_bytes(db)
        if used > max_bytes:
            mostly_records = _records_bytes(db) * 2 > used
            gone = 0 if mostly_records else _drop_telemetry(db)
            if not gone:
                gone = _drop_records(db)
                dropped += gone
            more |= bool(gone) and used_bytes(db) > max_bytes
        return dropped, more

    def _aged_records(self, db: sqlite3.Connection, oldest: float) -> tuple[int, bool]:
        """A part of the records, at each call the next: a clock that jumped mixed up their times,
        and to look at all of them is to read the whole file.
        """
        part = "SELECT id FROM records WHERE id > ? ORDER BY id LIMIT ?"
        sql = f"SELECT count(*), max(id) FROM ({part})"
        count, last = db.execute(sql, (self._looked_at, ROWS_AT_ONCE)).fetchone()
        if not count:
            self._looked_at = 0
            return 0, False
        sql = "DELETE FROM records WHERE id > ? AND id <= ? AND received < ?"
        dropped = db.execute(sql, (self._looked_at, last, oldest)).rowcount
        self._looked_at = last if count == ROWS_AT_ONCE else 0
        return dropped, dropped == ROWS_AT_ONCE


def used_bytes(db: sqlite3.Connection) -> int:
    """Room that what is kept takes in the file, without what is free in it."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def ends(db: sqlite3.Connection) -> tuple[int, int]:
    """The lowest and the highest id of a record, 1 and 0 if there is none. Asked for in one SELECT
    they would be searched for.
    """
    sql = "SELECT (SELECT min(id) FROM records), (SELECT max(id) FROM records)"
    first, last = db.execute(sql).fetchone()
    return (1, 0) if last is None else (first, last)


def give_back(db: sqlite3.Connection) -> None:
    """Give the file system some of the room that is free in the file, if it is much."""
    pages, free = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")
    )
    if free > pages * FREE_SHARE:
        db.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()


def _records_bytes(db: sqlite3.Connection) -> float:
    """About what all records take, from the size of some: ids have next to no holes."""
    first, last = ends(db)
    if last < first:
        return 0
    some = "SELECT length(body) AS size FROM records ORDER BY id LIMIT ?"
    mean = db.execute(f"SELECT avg(size) FROM ({some})", (SAMPLED,)).fetchone()[0]
    return (last - first + 1) * (mean + ROW_BYTES)


def _drop_records(db: sqlite3.Connection) -> int:
    """The oldest, and what was asked of boards before them; records dropped."""
    cut = "SELECT max(id) FROM (SELECT id FROM records ORDER BY id LIMIT ?)"
    first, last = ends(db)
    if last < first:
        return 0
    part = max(1, min(ROWS_AT_ONCE, (last - first) // 20))
    dropped = db.execute(f"DELETE FROM records WHERE id <= ({cut})", (part,)).rowcount
    oldest = "SELECT received FROM records ORDER BY id LIMIT 1"
    db.execute(f"DELETE FROM commands WHERE at < ({oldest})")
    return dropped


def _devices(db: sqlite3.Connection) -> list[str]:
    """Devices with telemetry: a look-up each, where DISTINCT would read all of it."""
    found = []
    sql = "SELECT min(device) FROM telemetry WHERE device > ?"
    device = db.execute(sql, ("",)).fetchone()[0]
    while device is not None:
        found.append(device)
        device = db.execute(sql, (device,)).fetchone()[0]
    return found


def _nth(db: sqlite3.Connection, device: str, n: int) -> int:
    """When the n-th oldest reading of a device is from, or its newest if it has fewer."""
    some = "SELECT at FROM telemetry WHERE device=? ORDER BY at LIMIT ?"
    return db.execute(f"SELECT max(at) FROM ({some})", (device, n)).fetchone()[0]


def _aged_telemetry(db: sqlite3.Connection, oldest: float) -> bool:
    """Whether there is more to drop."""
    more = False
    devices = _devices(db)
    each = max(1, ROWS_AT_ONCE // max(1, len(devices)))
    for device in devices:
        last = _nth(db, device, each)
        cut = min(oldest, last + 1)
        db.execute("DELETE FROM telemetry WHERE device=? AND at < ?", (device, cut))
        more |= cut < oldest
    return more


def _drop_telemetry(db: sqlite3.Connection) -> int:
    """The oldest readings, of whichever device; their count."""
    devices = _devices(db)
    if not devices:
        return 0
    first = min(devices, key=lambda device: _nth(db, device, 1))
    cut = _nth(db, first, max(1, ROWS_AT_ONCE // len(devices)))
    sql = "DELETE FROM telemetry WHERE device=? AND at <= ?"
    return sum(db.execute(sql, (device, cut)).rowcount for device in devices)
