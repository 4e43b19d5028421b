"""boards/images.lock: which official images have been fetched, from where, with which SHA-256.

The first download over checked HTTPS writes an entry; from then on every image of that name and
version must have that SHA-256. The file is meant to be committed.
"""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from host.devices.errors import ImageError
from host.devices.image_file import version_key

_HEAD = """\
# Official MicroPython images, as first fetched over checked HTTPS by `./run flash`. Commit this
# file: an image that differs later is refused.
"""
_FORMS = {
    "name": re.compile(r"[A-Z0-9_]+(-[A-Z0-9_]+)?"),
    "version": re.compile(r"\d+\.\d+(\.\d+)?"),
    "url": re.compile(r"https://[\x21\x23-\x5b\x5d-\x7e]+"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
}


@dataclass(frozen=True)
class Entry:
    """name: with the variant, e.g. ESP32_GENERIC-SPIRAM."""

    name: str
    version: str
    url: str
    sha256: str

    @property
    def file_name(self) -> str:
        return self.url.rpartition("/")[2]


def read(path: Path) -> list[Entry]:
    """The entries; none where there is no file. Raises ImageError if it is not usable."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ImageError(f"{path} cannot be read ({error}): restore it") from error
    images = raw.get("image", [])
    if set(raw) - {"image"} or not isinstance(images, list):
        raise ImageError(f"{path}: only [[image]] tables belong there: restore it")
    entries: list[Entry] = []
    for number, table in enumerate(images, 1):
        whole = isinstance(table, dict) and set(table) == set(_FORMS)
        if not whole or not all(form.fullmatch(str(table[k])) for k, form in _FORMS.items()):
            raise ImageError(f"{path}: image {number} is not usable: restore it")
        entry = Entry(**table)
        if find(entries, entry.name, entry.version):
            raise ImageError(f"{path}: {entry.name} {entry.version} is there twice: remove one")
        entries.append(entry)
    return entries


def find(entries: list[Entry], name: str, version: str) -> Entry | None:
    """The entry of that name and version."""
    for entry in entries:
        if entry.name == name and version_key(entry.version) == version_key(version):
            return entry
    return None


def newest(entries: list[Entry], name: str) -> Entry | None:
    own = [entry for entry in entries if entry.name == name]
    return max(own, key=lambda entry: version_key(entry.version), default=None)


def add(path: Path, entry: Entry) -> None:
    """Write the file anew with one more entry, in one step. Raises ImageError."""
    entries = sorted([*read(path), entry], key=lambda e: (e.name, version_key(e.version)))
    text = _HEAD
    for each in entries:
        lines = [f'{key} = "{value}"' for key, value in asdict(each).items()]
        text += "\n[[image]]\n" + "\n".join(lines) + "\n"
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise ImageError(f"{path} cannot be written: {error}") from error
