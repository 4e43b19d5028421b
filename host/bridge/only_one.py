"""One bridge to a store: two would both be right, and boards would be told two things."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.bridge.errors import StoreUnusable
from host.bridge.store import unusable


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the store at `path`. Raises StoreUnusable, StoreFull.

    The lock is on a file beside it, which stays: the store's own is SQLite's to lock, and is
    renamed when it is damaged.
    """
    beside = path.with_name(path.name + "-lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unusable(path, error) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 32).decode("ascii", "replace").strip() or "?"
            raise StoreUnusable(
                f"store {path}: another bridge (process {holder}) has it; stop that one, or give "
                "another file with --store FILE"
            ) from None
        try:
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        except OSError:
            pass  # a full disk: the lock holds without a name
        yield
    finally:
        os.close(file)
