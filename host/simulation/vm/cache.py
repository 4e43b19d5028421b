"""Where VMs are kept: `.cache/vm/<content hash>/` in the project, one builder at a time, all or
nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from host.simulation.errors import VmError

PROJECT = Path(__file__).resolve().parents[3]
CACHE = PROJECT / ".cache" / "vm"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(files: Iterable[Path], *words: str) -> str:
    """A short hash of file names, contents and words that decide what a build comes out as."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.name}\0{file_hash(path)}\0".encode())
    for word in words:
        digest.update(f"{word}\0".encode())
    return digest.hexdigest()[:20]


@contextlib.contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Hold the cache's lock; a second process waits here until the first has built."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        file = open(cache / "lock", "a")  # noqa: SIM115
    except OSError as error:
        raise VmError(f"the VM cache {cache} is not writable: {error.strerror}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _sweep(cache)
        yield


def _sweep(cache: Path) -> None:
    # Only the holder of the lock works in these folders, so what is there now was interrupted.
    for left in cache.glob("tmp-*"):
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def under_construction(final: Path) -> Iterator[Path]:
    """A temporary folder that takes the place `final` when the block ends well, and vanishes
    otherwise.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="tmp-", dir=final.parent))
    try:
        yield folder
        if final.exists():
            shutil.rmtree(final)
        os.rename(folder, final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
