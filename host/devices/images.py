"""Official MicroPython images for boards: found, fetched, checked, pinned by their SHA-256.

The first download of a version over checked HTTPS is trusted and written to boards/images.lock
(image_lock.py); whatever differs from the lock later, on the server or in the cache, is refused. A
file of one's own needs no lock. Every image is looked into (image_file.py) before it is handed out.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from host.devices import download, image_lock
from host.devices.boards import BOARDS, Board, ImageName
from host.devices.console import Console
from host.devices.errors import DownloadError, ImageError
from host.devices.image_file import check, version_key
from host.devices.image_lock import Entry

LOCK = BOARDS / "images.lock"
CACHE = BOARDS.parent / ".cache" / "images"
NEWEST = "newest"
MAX_IMAGE = 16 << 20
MAX_PAGE = 4 << 20
# "1.25.0", or "20250415-v1.25.0" where the download page cannot be read.
_VERSION = re.compile(r"(?:(\d{8})-v)?(\d+\.\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Image:
    """A checked image on this machine. version is "" where the file does not say."""

    path: Path
    version: str
    sha256: str


@dataclass(frozen=True)
class Site:
    """Where official images are. context: certificates other than the system's."""

    base: str = "https://micropython.org"
    context: ssl.SSLContext | None = None

    def page(self, name: ImageName) -> str:
        return f"{self.base}/download/{name.name}/"

    def file(self, name: ImageName, date: str, version: str) -> str:
        return f"{self.base}/resources/firmware/{name.stem}-{date}-v{version}.bin"


MICROPYTHON_ORG = Site()


def resolve(
    board: Board,
    *,
    version: str | None = None,
    image: Path | None = None,
    lock: Path = LOCK,
    cache: Path = CACHE,
    console: Console,
    site: Site = MICROPYTHON_ORG,
) -> Image:
    """The image for a board: the file `image`, or the official one, from the cache or fetched.

    version: "1.25.0", "20250415-v1.25.0" (with the date, then the download page is not asked),
    "newest", or None: the newest in the lock, else on the page. Raises DownloadError, ImageError.
    """
    name = board.image
    if name is None:
        raise ImageError(f"a {board.name} board is not flashed, so there is no image for it")
    entries = image_lock.read(lock)
    if image is not None and version is not None:
        raise ImageError("a file has its own version: give --image or --version, not both")
    if image is not None:
        return _local(board, image, entries)
    date, number = _parsed(version)
    if number and version_key(number) < version_key(name.min_version):
        raise ImageError(
            f"{board.name} needs MicroPython {name.min_version} or newer: not {number}"
        )
    locked = image_lock.find(entries, name.stem, number) if number else None
    if version is None:
        locked = image_lock.newest(entries, name.stem)
    try:
        if locked:
            return _locked(board, locked, cache, console, site)
        if not date or not number:
            date, number = _choose(name, number, site)
        known = image_lock.find(entries, name.stem, number)
        if known:
            return _locked(board, known, cache, console, site)
        return _first(
            board, name, site.file(name, date, number), number, lock, cache, console, site
        )
    except DownloadError as error:
        file = f"{name.stem}-DATE-v{number or 'VERSION'}.bin"
        raise DownloadError(
            f"{error}. Offline? Download {file} by hand from {site.page(name)}"
            " and name it with --image FILE"
        ) from error


def _parsed(version: str | None) -> tuple[str, str]:
    if version in (None, NEWEST):
        return "", ""
    found = _VERSION.fullmatch(version or "")
    if not found:
        raise ImageError(
            f'{version!r} is no version: "1.25.0", "20250415-v1.25.0" or "newest" is needed'
        )
    return found[1] or "", found[2]


def listed(page: str, name: ImageName) -> dict[str, str]:
    """{version: date} of the releases that a download page offers; previews are passed over."""
    pattern = rf"(?<![A-Za-z0-9_-]){re.escape(name.stem)}-(\d{{8}})-v(\d+\.\d+(?:\.\d+)?)\.bin"
    return {version: date for date, version in re.findall(pattern, page)}


def _choose(name: ImageName, number: str, site: Site) -> tuple[str, str]:
    # (date, version) of the release wanted.
    url = site.page(name)
    found = listed(download.text(url, MAX_PAGE, site.context), name)
    fitting = [v for v in found if version_key(v) >= version_key(name.min_version)]
    if number:
        fitting = [v for v in found if version_key(v) == version_key(number)]
    if not fitting:
        wanted = number or f"{name.min_version} or newer"
        offered = ", ".join(sorted(found, key=version_key)) or "none"
        raise ImageError(
            f"{url} offers no {name.stem} {wanted} (it offers: {offered}); if the page looks"
            " different now, give the date too: --version 20250415-v1.25.0"
        )
    best = max(fitting, key=version_key)
    return found[best], best


def _locked(board: Board, entry: Entry, cache: Path, console: Console, site: Site) -> Image:
    path = cache / entry.file_name
    if path.is_file() and _sha256(path.read_bytes()) == entry.sha256:
        console.step(f"image {path.name}, from the cache", image=path.name, sha256=entry.sha256)
    else:
        console.step(f"fetching {entry.url}", image=path.name, url=entry.url)
        found = download.to_file(entry.url, path, MAX_IMAGE, console, site.context)
        if found != entry.sha256:
            path.unlink(missing_ok=True)
            raise ImageError(
                f"{entry.url} has changed: its SHA-256 is {found}, the lock says {entry.sha256}."
                " Do not use it. If the release was really replaced, compare with somebody you"
                f" trust and remove {entry.name} {entry.version} from boards/images.lock"
            )
    check(path.read_bytes(), board, path.name)
    return Image(path, entry.version, entry.sha256)


def _first(
    board: Board,
    name: ImageName,
    url: str,
    number: str,
    lock: Path,
    cache: Path,
    console: Console,
    site: Site,
) -> Image:
    path = cache / url.rpartition("/")[2]
    console.step(f"fetching {url}", image=path.name, url=url)
    sha256 = download.to_file(url, path, MAX_IMAGE, console, site.context)
    try:
        inside = check(path.read_bytes(), board, path.name)
        if inside and version_key(inside) != version_key(number):
            raise ImageError(f"{url} holds MicroPython {inside}: not what its name says")
        image_lock.add(lock, Entry(name.stem, number, url, sha256))
    except ImageError:
        path.unlink(missing_ok=True)
        raise
    console.step(f"SHA-256 {sha256} noted in {lock.name}: commit it", sha256=sha256)
    return Image(path, number, sha256)


def _local(board: Board, path: Path, entries: list[Entry]) -> Image:
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_IMAGE else b""
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error}") from error
    if size > MAX_IMAGE:
        raise ImageError(f"{path} has {size:,} bytes: no image is larger than {MAX_IMAGE:,}")
    version = check(data, board, path.name)
    sha256 = _sha256(data)
    for entry in entries:
        if entry.file_name == path.name and entry.sha256 != sha256:
            raise ImageError(
                f"{path} differs from the official image of that name: its SHA-256 is {sha256}, the"
                f" lock says {entry.sha256}. If you built it yourself, give it another name"
            )
    return Image(path, version, sha256)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
