"""What both instruction tables are made of."""

from collections.abc import Callable
from dataclasses import dataclass


class AssemblyError(Exception):
    """A line that cannot be assembled."""

    def __init__(self, line: int, reason: str):
        super().__init__(f"line {line}: {reason}")


@dataclass(frozen=True)
class Instruction:
    """size in bytes; encode(position, *operands) -> the instruction as an integer."""

    size: int
    encode: Callable[..., int]


def field(value: int, bits: int, signed: bool = False) -> int:
    """A value as a field of so many bits. Raises ValueError where it does not fit."""
    lowest = -(1 << (bits - 1)) if signed else 0
    if not lowest <= value < lowest + (1 << bits):
        raise ValueError(f"{value} does not fit {bits} bits")
    return value & ((1 << bits) - 1)


def scaled(value: int, unit: int) -> int:
    """value / unit. Raises ValueError where something is left over."""
    if value % unit:
        raise ValueError(f"{value} is not a multiple of {unit}")
    return value // unit
