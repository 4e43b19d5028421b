"""Lay out a board's flash: boot.py and main.py as they are, firmware/agent compiled to .mpy."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection
from pathlib import Path

from host.devices.build import AS_THEY_ARE, PACKAGE, board_files, label_of
from host.devices.errors import BuildError
from host.devices.mpy import compile_source
from host.simulation.errors import FlashError
from host.simulation.vm.build import SILICON
from host.simulation.vm.cache import CACHE, content_hash, locked, under_construction


def build_flash(
    root_dir: Path | str,
    firmware_dir: Path | str,
    extra_files: dict[str, bytes] | None = None,
    *,
    compile: bool = True,
    kept: Collection[str] = (),
) -> list[str]:
    """Make `root_dir` hold the firmware and `extra_files` (path on the board -> content).

    Only what changed is written, each file in one piece; files of an earlier firmware below agent/
    are removed, everything else on the flash stays. Compiled, it is what `board_files` gives for
    any processor; `kept` are names that other code on the board uses.
    Returns the paths written or removed. Raises FlashError.
    """
    root, firmware = Path(root_dir), Path(firmware_dir)
    if compile:
        try:
            wanted = board_files("", firmware, kept)
        except BuildError as error:
            raise FlashError(str(error)) from error
    else:
        paths = [firmware / name for name in AS_THEY_ARE if (firmware / name).is_file()]
        paths += sorted((firmware / PACKAGE).rglob("*.py"))
        wanted = {path.relative_to(firmware).as_posix(): path.read_bytes() for path in paths}
    if not wanted:
        raise FlashError(
            f"{firmware} has no boot.py, main.py or agent/; name the firmware's folder"
        )
    for name, content in (extra_files or {}).items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise FlashError(
                f"{name} is not a path on the board's flash; write it relative to its root"
            )
        wanted[name] = content
    changed = []
    try:
        for name, content in wanted.items():
            if _write(root / name, content):
                changed.append(name)
        for stale in sorted((root / PACKAGE).rglob("*.*py")):
            name = str(stale.relative_to(root))
            if name not in wanted:
                stale.unlink()
                changed.append(name)
    except OSError as error:
        raise FlashError(f"the flash {root} cannot be written: {error}") from error
    return changed


def _write(path: Path, content: bytes) -> bool:
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return True


def silicon() -> Path:
    """A folder with the stand-ins as .mpy, for VMs that do not have them frozen in."""
    sources = sorted(SILICON.glob("*.py"))
    folder = CACHE / f"silicon-{content_hash(sources)}"
    with locked(CACHE):
        if not folder.is_dir():
            with under_construction(folder) as temporary:
                for source in sources:
                    name = source.name
                    content = compile_source(source.read_text(), name, label=label_of(name))
                    (temporary / source.with_suffix(".mpy").name).write_bytes(content)
    return folder
