"""Find, download or build the VM that boards run on.

The order: what FANWISE_MICROPYTHON names; the VM of our own, built from the distribution's source
package; the distribution's binary; `micropython` on PATH. What was built or downloaded stays in
`.cache/vm/`.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from host.simulation.errors import VmError
from host.simulation.vm import build, cache, distribution
from host.simulation.vm.distribution import Progress
from host.simulation.vm.model import OLDEST, Vm, probe

VARIABLE = "FANWISE_MICROPYTHON"


def ensure_vm(progress: Progress | None = None, *, cache_folder: Path | None = None) -> Vm:
    """The VM for simulated boards, made ready if need be.

    `progress` gets one line per stage. Raises VmError saying what was tried and what to install.
    """
    say = progress or (lambda line: None)
    named = os.environ.get(VARIABLE)
    if named:
        path = shutil.which(named)
        if path is None:
            raise VmError(f"{VARIABLE} names {named}, which is not a program; unset or correct it")
        return probe((path,), f"named by {VARIABLE}")
    folder = cache_folder or cache.CACHE
    reasons: list[str] = []
    for attempt in (_own, distribution_vm, _on_path):
        try:
            return attempt(folder, say, "; ".join(reasons))
        except VmError as error:
            say(str(error))
            reasons.append(str(error))
    raise VmError("\n".join(["No MicroPython for simulated boards:", *reasons, install_hint()]))


def _own(folder: Path, say: Progress, note: str) -> Vm:
    compiler = build.compiler()
    with cache.locked(folder):
        tar = _source(folder, say)
        flags = build.word_flags(say)
        key = cache.content_hash([tar, *build.own_files()], compiler, *flags)
        final = folder / key
        if not (final / "micropython").is_file():
            with cache.under_construction(final) as temporary:
                probe((str(build.build(tar, temporary, flags, say)),), "just built")
            say(f"MicroPython is ready in {final}")
    vm = probe((str(final / "micropython"),), "built for boards from the distribution's source")
    if vm.bits == 32:
        return vm
    return replace(vm, note="built 64-bit because gcc here cannot build 32-bit programs")


def _source(folder: Path, say: Progress) -> Path:
    kept = sorted((folder / "source").glob("micropython_*.orig.tar.*z"))
    if kept:
        return kept[-1]
    with cache.under_construction(folder / "source") as temporary:
        state = temporary / "apt"
        tar = distribution.download_source(state, temporary, say)
        shutil.rmtree(state, ignore_errors=True)
    return folder / "source" / tar.name


def distribution_vm(folder: Path, say: Progress, note: str = "") -> Vm:
    """The distribution's own binary, downloaded into the cache `folder`."""
    with cache.locked(folder):
        final = folder / "binary"
        if not final.is_dir():
            with cache.under_construction(final) as temporary:
                state = temporary / "apt"
                probe(distribution.download_binary(state, temporary, say), "just downloaded")
                shutil.rmtree(state, ignore_errors=True)
    return probe(distribution.binary_command(final), "the distribution's binary", note)


def _on_path(folder: Path, say: Progress, note: str) -> Vm:
    path = shutil.which("micropython")
    if path is None:
        raise VmError("there is no micropython on PATH")
    return probe((path,), "found on PATH", note)


def install_hint() -> str:
    """What to install on this system, in one sentence."""
    wanted = ".".join(str(part) for part in OLDEST)
    if sys.platform == "darwin":
        return "Install it with: brew install micropython"
    if shutil.which("apt-get"):
        return "Install the tools to build it with: sudo apt-get install gcc-multilib make"
    if shutil.which("dnf"):
        return f"Install it with: sudo dnf install micropython  (version {wanted} or newer)"
    if shutil.which("pacman"):
        return f"Install it with: sudo pacman -S micropython  (version {wanted} or newer)"
    return f"Put a micropython {wanted} or newer on PATH, or name one in {VARIABLE}."
