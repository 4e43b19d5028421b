"""What the store lets go of: the old, and the oldest when there is too much."""

import sqlite3


def by_age(db: sqlite3.Connection, oldest: float) -> int:
    """Drop what is from before `oldest`, in unix seconds; records dropped."""
    db.execute("DELETE FROM telemetry WHERE at < ?", (oldest,))
    db.execute("DELETE FROM commands WHERE at < ?", (oldest,))
    return db.execute("DELETE FROM records WHERE received < ?", (oldest,)).rowcount


def a_twentieth(db: sqlite3.Connection) -> int:
    """Drop the oldest twentieth of everything; records dropped."""
    for table in ("telemetry", "commands"):
        count = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        cut = f"SELECT at FROM {table} ORDER BY at LIMIT 1 OFFSET {count // 20}"
        db.execute(f"DELETE FROM {table} WHERE at < ({cut})")
    count = db.execute("SELECT count(*) FROM records").fetchone()[0]
    last = "SELECT id FROM records ORDER BY id LIMIT ?"
    part = (max(1, count // 20),)
    return db.execute(f"DELETE FROM records WHERE id IN ({last})", part).rowcount
