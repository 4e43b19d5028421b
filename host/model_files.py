"""A model's bytes from what a person points at: a .tflite file, or a bundle (docs/bundle.md)."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from host.devices.errors import UsageError

MODEL, MANIFEST = "model.tflite", "manifest.json"
# Far above what any board's flash holds.
MAX_BYTES = 64 << 20
MAX_MANIFEST_BYTES = 64 << 10
_BUNDLE = f"a bundle is a folder or a zip with {MODEL} and {MANIFEST}"

# How files begin that people take for a model.
_KINDS = (
    (b"version https://git-lfs", "a Git LFS pointer in a model's place: run git lfs pull"),
    (b"\x89HDF", "a Keras .h5 file: convert it (docs/training.md)"),
    (b"PK\x03\x04", "a zip archive, as a .keras file is one: unpack it, or convert it"),
    (b"\x1f\x8b", "compressed by gzip: unpack it"),
    (b"<", "a web page or XML, perhaps in a download's place: get the file itself"),
    (b"{", f"JSON: name the .tflite file; {_BUNDLE}"),
)


@dataclass(frozen=True)
class ModelFile:
    """data: the .tflite file; problems: what a bundle's manifest says otherwise than it."""

    name: str
    data: bytes
    problems: list[str]


class ModelFileError(UsageError):
    """There is no model to be read where the command line says."""


def read_model(path: Path) -> ModelFile:
    """A .tflite file, a bundle's folder or a zip of one. Raises ModelFileError."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder(path)
        if not stat.S_ISREG(mode):
            raise ModelFileError(f"{path} is no file: name a .tflite file; {_BUNDLE}")
        with path.open("rb") as file:
            # A .tflite with metadata has a zip of them at its end.
            model = file.read(8)[4:] == b"TFL3"
            if not model and zipfile.is_zipfile(file):
                return _archive(path)
            file.seek(0)
            return ModelFile(path.name, _bounded(file, path), [])
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise ModelFileError(f"{str(path)!r} cannot be read: {error}") from error


def kind_of(data: bytes) -> str:
    """What a file is that is no .tflite, for people; "" where that cannot be told."""
    if not data:
        return "it is empty"
    return next((f"it is {what}" for start, what in _KINDS if data.startswith(start)), "")


def _folder(path: Path) -> ModelFile:
    model = path / MODEL
    if not model.is_file():
        if (path / "saved_model.pb").exists():
            raise ModelFileError(
                f"{path} is a SavedModel: convert it to .tflite (docs/training.md)"
            )
        inside = sorted(each.name for each in path.glob("*.tflite"))
        hint = f"; it has {', '.join(inside[:5])}: name one of these" if inside else ""
        raise ModelFileError(f"{path} is a folder without {MODEL}; {_BUNDLE}{hint}")
    with model.open("rb") as file:
        data = _bounded(file, model)
    manifest = path / MANIFEST
    text = manifest.open("rb").read(MAX_MANIFEST_BYTES) if manifest.is_file() else None
    return ModelFile(f"{path.name}/{MODEL}", data, _disagreements(text, data))


def _archive(path: Path) -> ModelFile:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            model = _inside(names, MODEL)
            if model is None:
                kind = "a .keras file: convert it to .tflite (docs/training.md)"
                other = f"a zip without {MODEL}, or with several; {_BUNDLE}"
                raise ModelFileError(f"{path} is {kind if 'config.json' in names else other}")
            with archive.open(model) as file:
                data = _bounded(file, path)
            manifest = _inside(names, MANIFEST)
            text = archive.open(manifest).read(MAX_MANIFEST_BYTES) if manifest else None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelFileError(f"{path} is a zip that cannot be read: {error}") from error
    return ModelFile(f"{path.name}/{MODEL}", data, _disagreements(text, data))


def _inside(names: list[str], wanted: str) -> str | None:
    found = [name for name in names if name == wanted or name.endswith("/" + wanted)]
    return found[0] if len(found) == 1 else None


def _bounded(file: IO[bytes], path: Path) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ModelFileError(f"{path} has more than {MAX_BYTES >> 20} MB: no model for a board")
    return data


def _disagreements(text: bytes | None, data: bytes) -> list[str]:
    """What deploying would stumble over; the rest of a manifest is `python -m training.check`'s."""
    if text is None:
        return [f"the bundle has no {MANIFEST}: it cannot be deployed (docs/bundle.md)"]
    try:
        manifest: Any = json.loads(text)
        said = manifest["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [f"the bundle's {MANIFEST} is not usable: python -m training.check tells why"]
    if said != hashlib.sha256(data).hexdigest():
        return [f"the bundle's {MANIFEST} is of another model: its sha256 is not that of {MODEL}"]
    return []
