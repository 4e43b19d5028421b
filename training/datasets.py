"""Recorded data: found on this machine, or fetched from its origin and checked.

Order: the folder in FANWISE_DATA, `../shared/data` beside the checkout, `data/` in it, then the
origin (training/sources.toml: address pinned to a commit, size and SHA-256), which fills `data/`.
"""

import gzip
import hashlib
import os
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.errors import DataError

ROOT = Path(__file__).resolve().parent.parent
CHUNK_BYTES = 1 << 16
TIMEOUT_S = 15.0


@dataclass(frozen=True)
class SourceFile:
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """One recorded set. Where `ship` is False, no model trained on it goes into the project."""

    id: str
    title: str
    origin: str
    licence: str
    ship: bool
    folder: str
    files: tuple[SourceFile, ...]


def sources() -> dict[str, Source]:
    """The recorded sets the loader knows, by id."""
    table = tomllib.loads((ROOT / "training" / "sources.toml").read_text())
    found = {}
    for key, entry in table.items():
        files = tuple(SourceFile(**item) for item in entry.pop("files"))
        found[key] = Source(id=key, files=files, **entry)
    return found


def folders() -> list[Path]:
    """Where data is looked for, in order."""
    named = os.environ.get("FANWISE_DATA")
    first = [Path(named)] if named else []
    return [*first, ROOT.parent / "shared" / "data", ROOT / "data"]


def find(source_id: str) -> list[Path] | None:
    """The files of a set on this machine, or None. A file may be gzipped (`.gz` behind it)."""
    source = sources()[source_id]
    for folder in folders():
        paths = [_present(folder / source.folder / file.name) for file in source.files]
        if all(paths):
            return [path for path in paths if path]
    return None


def load(source_id: str, say: Callable[[str], None] = lambda text: None) -> list[Path]:
    """The files of a set, fetched if need be. Raises DataError naming what is missing and where."""
    source = sources()[source_id]
    paths = find(source_id)
    if paths is not None:
        return paths
    target = ROOT / "data" / source.folder
    say(f"fetching {source.title} from {source.origin}")
    return [fetch(source.origin + file.name, target / file.name, file) for file in source.files]


def verify(path: Path, file: SourceFile) -> bool:
    """True when the (uncompressed) bytes at `path` are the recorded ones."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    return hashlib.sha256(raw).hexdigest() == file.sha256


def fetch(url: str, target: Path, file: SourceFile) -> Path:
    """Download one file, resuming an earlier attempt; it appears at `target` only when whole.

    Raises DataError: no network, more bytes than announced, or another SHA-256.
    """
    if target.exists() and verify(target, file):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    if have >= file.bytes:
        part.unlink()
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            resumed = have > 0 and answer.status == 206
            _receive(answer, part, "ab" if resumed else "wb", file, url)
    except (OSError, urllib.error.URLError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{url}: cannot be fetched ({reason}). Put the file into {target.parent}, "
            "or name a folder that has it in FANWISE_DATA"
        ) from error
    if part.stat().st_size != file.bytes or not verify_plain(part, file):
        part.unlink()
        raise DataError(f"{url}: not the recorded {file.bytes} bytes (SHA-256 differs); try again")
    os.replace(part, target)
    return target


def verify_plain(path: Path, file: SourceFile) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def _receive(answer, part: Path, mode: str, file: SourceFile, url: str) -> None:  # type: ignore[no-untyped-def]
    with part.open(mode) as sink:
        while block := answer.read(CHUNK_BYTES):
            if sink.tell() + len(block) > file.bytes:
                sink.close()
                part.unlink()
                raise DataError(
                    f"{url}: sends more than the {file.bytes} bytes it should; not kept"
                )
            sink.write(block)


def _present(path: Path) -> Path | None:
    packed = path.with_name(path.name + ".gz")
    return path if path.exists() else packed if packed.exists() else None
