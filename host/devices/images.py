"""Official MicroPython images for boards: found, fetched, checked, pinned by their SHA-256."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from host.devices.boards import BOARDS, Board
from host.devices.console import Console

LOCK = BOARDS / "images.lock"
CACHE = BOARDS.parent / ".cache" / "images"


@dataclass(frozen=True)
class Image:
    """A checked image on this machine. version is "" where the file does not say."""

    path: Path
    version: str
    sha256: str


def resolve(
    board: Board,
    *,
    version: str | None = None,
    image: Path | None = None,
    lock: Path = LOCK,
    cache: Path = CACHE,
    console: Console,
) -> Image:
    """The image for a board: the file `image`, or the official one, from the cache or fetched.

    version: "1.25.0"; None: the one in the lock, else the newest. Raises DownloadError, ImageError.
    """
    raise NotImplementedError
