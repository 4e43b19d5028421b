"""Lay out a board's flash: boot.py and main.py as they are, firmware/agent compiled to .mpy."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from host.devices.errors import BuildError
from host.devices.merge import merge
from host.devices.mpy import compile_source
from host.devices.shrink import shrink
from host.simulation.errors import FlashError
from host.simulation.vm.build import SILICON
from host.simulation.vm.cache import CACHE, content_hash, locked, under_construction

# Set for tracebacks with the names of the sources, at the cost of some heap.
READABLE = "FANWISE_READABLE"
MACHINE_CODE = re.compile(r"@micropython\.(native|viper|asm_)")
AS_THEY_ARE = ("boot.py", "main.py")
PACKAGE = "agent"


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
    are removed, everything else on the flash stays. Compiled, agent/ is merged and its names are
    shortened, unless FANWISE_READABLE is set; `kept` are names that other code on the board uses.
    Returns the paths written or removed. Raises FlashError.
    """
    root, firmware = Path(root_dir), Path(firmware_dir)
    wanted: dict[str, bytes] = {}
    for name in AS_THEY_ARE:
        if (firmware / name).is_file():
            wanted[name] = (firmware / name).read_bytes()
    sources = {
        str(path.relative_to(firmware)): path.read_text()
        for path in sorted((firmware / PACKAGE).rglob("*.py"))
    }
    if compile:
        outside = [(name, content.decode()) for name, content in wanted.items()]
        readable = bool(os.environ.get(READABLE))
        wanted |= _compiled(tuple(sources.items()), tuple(outside), frozenset(kept), readable)
    else:
        wanted |= {name: text.encode() for name, text in sources.items()}
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


Texts = tuple[tuple[str, str], ...]


@lru_cache(4)
def _compiled(
    sources: Texts, outside: Texts, kept: frozenset[str], readable: bool
) -> dict[str, bytes]:
    # Machine code is for one architecture, and its modules do without where there is none.
    texts = {name: text for name, text in sources if not MACHINE_CODE.search(text)}
    try:
        if not readable:
            texts = shrink(merge(texts, outside=dict(outside)), dict(outside), kept)
    except SyntaxError as error:
        raise FlashError(f"{error.filename} does not compile: {error}") from error
    except BuildError as error:
        raise FlashError(str(error)) from error
    return {
        str(Path(name).with_suffix(".mpy")): compile_mpy(text, name) for name, text in texts.items()
    }


def compile_mpy(text: str, name: str) -> bytes:
    """The text of one module as .mpy bytecode. Raises FlashError.

    Tracebacks call it by its bare name, which the import has put into the board's memory anyway.
    """
    label = Path(name).parent.name if Path(name).stem == "__init__" else Path(name).stem
    try:
        return compile_source(text, name, label=label)
    except BuildError as error:
        raise FlashError(str(error)) from error


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
                    content = compile_mpy(source.read_text(), source.name)
                    (temporary / source.with_suffix(".mpy").name).write_bytes(content)
    return folder
