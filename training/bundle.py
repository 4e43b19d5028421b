"""The model bundle (docs/bundle.md): written whole or not at all, checked in full when read.

Needs the standard library and the board's own engine only: no numpy, no TensorFlow.
"""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.cognition.engine import Model, ModelError
from training import manifest as manifests
from training.errors import BundleError

MODEL_FILE = "model.tflite"
MANIFEST_FILE = "manifest.json"
REPORT_FILE = "report.json"
MAX_MODEL_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 6 * 1024
HINT = "Copy the bundle again, or make one with `./run train`"


@dataclass(frozen=True)
class Bundle:
    """A bundle that passed every check."""

    path: Path
    manifest: dict[str, Any]
    model_bytes: bytes
    report: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        """`id@version`, as decision records name it."""
        return f"{self.manifest['id']}@{self.manifest['version']}"

    @property
    def role(self) -> str:
        return str(self.manifest["role"])

    def engine(self) -> Model:
        """The model in the engine boards run."""
        return Model(self.model_bytes, keep_inputs=True)


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle, a directory or a zip of one. Raises BundleError with every problem at once."""
    path = Path(path)
    model_bytes = _member(path, MODEL_FILE, MAX_MODEL_BYTES)
    text = _member(path, MANIFEST_FILE, MAX_MANIFEST_BYTES)
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}/{MANIFEST_FILE}", [f"is not JSON ({error})"], HINT) from error
    problems = manifests.problems(manifest, model_bytes)
    if problems:
        raise BundleError(f"{path}/{MANIFEST_FILE}", problems, HINT)
    report = None
    if path.is_dir() and (path / REPORT_FILE).exists():
        report = json.loads((path / REPORT_FILE).read_text())
    return Bundle(path, manifest, model_bytes, report)


def load_model(path: str | Path) -> Model:
    """Read a bare .tflite into the engine. Raises BundleError."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise BundleError(str(path), [f"is larger than {MAX_MODEL_BYTES} bytes"])
        return Model(path.read_bytes(), keep_inputs=True)
    except OSError as error:
        raise BundleError(str(path), [f"cannot be read ({error.strerror})"]) from error
    except ModelError as error:
        raise BundleError(
            str(path),
            [f"not a model boards can run: {error}"],
            "Expected a whole, full int8 .tflite file; copy or convert it again",
        ) from error


def write_bundle(
    out_dir: Path,
    manifest: dict[str, Any],
    model_bytes: bytes,
    report: dict[str, Any],
    extras: dict[str, bytes] | None = None,
) -> Path:
    """Write `out_dir/<id>/`; a bundle already there moves to `<id>@<version>/`.

    `extras` are files of the report (path inside the bundle -> bytes), which are never deployed.
    Raises BundleError when the bundle would not pass `load_bundle`.
    """
    text = json.dumps(manifest, ensure_ascii=False, separators=(",", ":"))
    problems = manifests.problems(manifest, model_bytes)
    if len(text.encode()) > MAX_MANIFEST_BYTES:
        problems.append(f"manifest of {len(text.encode())} bytes, {MAX_MANIFEST_BYTES} are allowed")
    if problems:
        raise BundleError(f"bundle {manifest.get('id')}", problems)
    out_dir.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".bundle-", dir=out_dir))
    try:
        os.chmod(temporary, 0o755)
        (temporary / MODEL_FILE).write_bytes(model_bytes)
        (temporary / MANIFEST_FILE).write_text(text + "\n")
        (temporary / REPORT_FILE).write_text(json.dumps(report, indent=1) + "\n")
        for name, content in (extras or {}).items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
        target = out_dir / str(manifest["id"])
        _keep_old(target)
        os.rename(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return target


def next_version(out_dir: Path, bundle_id: str) -> int:
    """One more than the bundle in place, 1 without one."""
    try:
        return int(json.loads((out_dir / bundle_id / MANIFEST_FILE).read_text())["version"]) + 1
    except (OSError, ValueError, KeyError, TypeError):
        return 1


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _keep_old(target: Path) -> None:
    if not target.exists():
        return
    kept = target.with_name(f"{target.name}@{next_version(target.parent, target.name) - 1}")
    if kept.exists():
        shutil.rmtree(kept)
    os.rename(target, kept)


def _member(path: Path, name: str, limit: int) -> bytes:
    """One file of a bundle, never more than `limit` bytes of it."""
    expected = "a directory or a zip with model.tflite and manifest.json is expected"
    try:
        if path.is_dir():
            with (path / name).open("rb") as file:
                data = file.read(limit + 1)
        else:
            with zipfile.ZipFile(path) as archive:
                inside = [n for n in archive.namelist() if n == name or n.endswith("/" + name)]
                if len(inside) != 1:
                    raise BundleError(str(path), [f"holds {len(inside)} {name}; {expected}"], HINT)
                with archive.open(inside[0]) as packed:
                    data = packed.read(limit + 1)
    except FileNotFoundError as error:
        raise BundleError(str(path), [f"no {name} there; {expected}"], HINT) from error
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise BundleError(str(path), [f"cannot be read ({error}); {expected}"], HINT) from error
    if len(data) > limit:
        raise BundleError(f"{path}/{name}", [f"is larger than {limit} bytes"], HINT)
    return data
