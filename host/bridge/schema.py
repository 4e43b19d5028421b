"""Tables of the store. A change raises SCHEMA_VERSION and brings its migration."""

APPLICATION_ID = 0x46414E57  # "FANW"
SCHEMA_VERSION = 2
# MIGRATIONS[n] makes version n + 2 of version n + 1, in one statement.
MIGRATIONS = ("ALTER TABLE commands ADD COLUMN who TEXT NOT NULL DEFAULT ''",)
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
