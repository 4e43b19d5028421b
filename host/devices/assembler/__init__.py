"""A small assembler for the native kernels: text to machine code, without a vendor's toolchain.

    code = assemble(read(path), "xtensa")     # {function name: bytes}

The text is much like that of GNU as: one instruction a line, `label:`, `# comment`,
`.equ NAME, value`, `.macro name a, b` ... `\\a` ... `.endm`, `.rept n` ... `.endr`, `.func name`,
`.balign n` (with zeros: only where nothing runs), `.loopalign` (before a loop: a NOP.N where that
helps), and `.include file`, which read() replaces by the file's text. `\\@` in a macro is a number
that differs in every use. Operands are registers, labels and sums of numbers and names.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from host.devices.assembler import rv32, xtensa
from host.devices.assembler.encoding import AssemblyError, Instruction

__all__ = ["AssemblyError", "Placed", "assemble", "listing", "read"]

# Bytes that mpy-cross puts in front of an asm function: a jump over constants, ENTRY, a save of a0.
_PROLOGUE = {"xtensa": 9, "rv32": 0}
_TABLES = {"xtensa": xtensa.TABLE, "rv32": rv32.TABLE}
_REGISTERS = {"xtensa": xtensa.REGISTERS, "rv32": rv32.REGISTERS}


@dataclass(frozen=True)
class _Line:
    number: int
    text: str


def read(path: Path) -> str:
    """A file's text with those it includes, which lie beside it."""
    return re.sub(
        r"^\.include +(\S+)$",
        lambda match: read(path.with_name(match[1])),
        path.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )


def assemble(text: str, architecture: str) -> dict[str, bytes]:
    """Machine code of each `.func`. Raises AssemblyError with the line's number."""
    return {
        name: b"".join(instruction.code for instruction in instructions)
        for name, instructions in listing(text, architecture).items()
    }


def _expanded(
    lines: Iterator[_Line], macros: dict[str, tuple[list[str], list[_Line]]], uses: Iterator[int]
) -> Iterator[_Line]:
    """Lines with macros and repetitions written out."""
    for line in lines:
        word, _, rest = line.text.partition(" ")
        if not word:
            continue
        if word == ".macro":
            name, _, parameters = rest.strip().partition(" ")
            macros[name] = (_split(parameters), list(_block(lines, ".macro", ".endm", line)))
        elif word == ".rept":
            block = list(_block(lines, ".rept", ".endr", line))
            for _ in range(int(rest)):
                yield from _expanded(iter(block), macros, uses)
        elif word in macros:
            names, block = macros[word]
            values = _split(rest)
            if len(values) != len(names):
                raise AssemblyError(line.number, f"{word} takes {len(names)} operands")
            filled = dict(zip(names, values, strict=True)) | {"@": str(next(uses))}
            yield from _expanded(
                iter([_Line(line.number, _fill(each.text, filled)) for each in block]),
                macros,
                uses,
            )
        else:
            yield line


def _block(lines: Iterator[_Line], start: str, end: str, opening: _Line) -> Iterator[_Line]:
    depth = 1
    for line in lines:
        word = line.text.partition(" ")[0]
        depth += (word == start) - (word == end)
        if depth == 0:
            return
        yield line
    raise AssemblyError(opening.number, f"{start} without {end}")


def _fill(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\\(@|\w+)", lambda match: values.get(match[1], match[0]), text)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _sum(text: str, names: dict[str, int], line: int) -> int:
    total = 0
    for sign, term in re.findall(r"([+-]?)\s*([\w.]+)", text):
        if term in names:
            value = names[term]
        else:
            try:
                value = int(term, 0)
            except ValueError:
                raise AssemblyError(line, f"unknown name {term!r}") from None
        total += -value if sign == "-" else value
    return total


@dataclass(frozen=True)
class Placed:
    """One instruction of a function: where it is, its name and its operands as numbers."""

    position: int
    name: str
    operands: tuple[int, ...]
    size: int
    code: bytes


def listing(text: str, architecture: str) -> dict[str, list[Placed]]:
    """What assemble() joins: the instructions of each `.func`."""
    lines = [
        _Line(number, line.split("#")[0].strip())
        for number, line in enumerate(text.splitlines(), 1)
    ]
    constants: dict[str, int] = {}
    functions: dict[str, list[_Line]] = {}
    body: list[_Line] | None = None
    for line in _expanded(iter(lines), {}, itertools.count()):
        word, _, rest = line.text.partition(" ")
        if word == ".equ":
            name, _, value = rest.partition(",")
            constants[name.strip()] = _sum(value, constants, line.number)
        elif word == ".func":
            body = functions.setdefault(rest.strip(), [])
        elif body is None:
            raise AssemblyError(line.number, "an instruction before the first .func")
        else:
            body.append(line)
    return {name: _function(body, constants, architecture) for name, body in functions.items()}


def _function(body: list[_Line], constants: dict[str, int], architecture: str) -> list[Placed]:
    table, registers = _TABLES[architecture], _REGISTERS[architecture]
    found: list[tuple[int, _Line, Instruction]] = []
    names = dict(constants)
    position = _PROLOGUE[architecture]
    for line in body:
        if line.text.endswith(":"):
            label = line.text[:-1]
            if label in names:
                raise AssemblyError(line.number, f"{label} is defined twice")
            names[label] = position
            continue
        word, _, rest = line.text.partition(" ")
        if word == ".balign":
            instruction = Instruction(-position % int(rest), lambda _: 0)
            line = _Line(line.number, word)
        elif word == ".loopalign":
            # See the loop instructions of xtensa.py; a NOP.N is two bytes.
            if (position + 3) % 4 < 2:
                continue
            line = _Line(line.number, "nop.n")
            instruction = table["nop.n"]
        elif word in table:
            instruction = table[word]
        else:
            raise AssemblyError(line.number, f"no instruction {word!r}")
        found.append((position, line, instruction))
        position += instruction.size
    result = []
    for position, line, instruction in found:
        word, _, rest = line.text.partition(" ")
        values = tuple(
            registers[operand] if operand in registers else _sum(operand, names, line.number)
            for operand in _split(rest)
        )
        encode: Callable[..., int] = instruction.encode
        try:
            code = encode(position, *values).to_bytes(instruction.size, "little")
        except (TypeError, ValueError) as error:
            raise AssemblyError(line.number, f"{line.text}: {error}") from None
        result.append(Placed(position, word, values, instruction.size, code))
    return result
