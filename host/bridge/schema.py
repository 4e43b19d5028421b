"""Tables of the store, and opening it. A change raises SCHEMA_VERSION and brings its migration."""

import sqlite3
from pathlib import Path

BUSY_MS = 2000

APPLICATION_ID = 0x46414E57  # "FANW"
SCHEMA_VERSION = 3
# MIGRATIONS[n] makes version n + 2 of version n + 1, in one statement.
NOTES = """
CREATE TABLE IF NOT EXISTS notes (gateway TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (gateway, name)) WITHOUT ROWID;
"""
MIGRATIONS = ("ALTER TABLE commands ADD COLUMN who TEXT NOT NULL DEFAULT ''", NOTES)
SCHEMA = """
CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL, life INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    kind TEXT NOT NULL, at INTEGER NOT NULL, received REAL NOT NULL,
    digest BLOB NOT NULL, body TEXT NOT NULL,
    UNIQUE (device, life, boot, seq));
CREATE INDEX records_by_kind ON records (kind, device, id);
CREATE TABLE devices (device TEXT PRIMARY KEY, life INTEGER NOT NULL, boot INTEGER NOT NULL,
    hello TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE telemetry (device TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (device, at)) WITHOUT ROWID;
CREATE TABLE rejected (id INTEGER PRIMARY KEY, device TEXT NOT NULL, boot INTEGER, seq INTEGER,
    received REAL NOT NULL, reason TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE cursors (gateway TEXT PRIMARY KEY, record_id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE commands (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, source TEXT NOT NULL,
    who TEXT NOT NULL DEFAULT '', device TEXT NOT NULL, txn TEXT NOT NULL,
    name TEXT NOT NULL, args TEXT NOT NULL, ok INTEGER, msg TEXT);
"""


def opened(path: Path) -> sqlite3.Connection:
    """The store at `path`, made or brought up to date as needed. Raises sqlite3.Error."""
    db = sqlite3.connect(
        path, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False
    )
    try:
        _prepare(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    application = db.execute("PRAGMA application_id").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise sqlite3.DatabaseError("is another program's database")
    if version > SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"has schema {version}, newer than this program's")
    if not tables:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA journal_size_limit=4194304")
    if not tables:
        pragmas = f"PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={SCHEMA_VERSION};"
        db.executescript(f"BEGIN;{SCHEMA}{NOTES}{pragmas}COMMIT;")
        return
    # Finds a read-only file or folder now, when a person is looking.
    db.execute("BEGIN IMMEDIATE")
    for step in MIGRATIONS[version - 1 :]:
        db.execute(step)
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    db.execute("COMMIT")
