"""RV32IM instructions the kernels use (RISC-V Instruction Set Manual, volume I, chapter 35)."""

from __future__ import annotations

from collections.abc import Callable

from host.devices.assembler.encoding import Instruction, field, scaled

_NAMES = (
    "zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 "
    "s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6"
)
REGISTERS = {name: number for number, name in enumerate(_NAMES.split())}


def _word(encode: Callable[..., int]) -> Instruction:
    return Instruction(4, encode)


def _r(funct7: int, funct3: int) -> Instruction:
    return _word(lambda _, d, s, t: funct7 << 25 | t << 20 | s << 15 | funct3 << 12 | d << 7 | 0x33)


def _i(funct3: int) -> Instruction:
    return _word(
        lambda _, d, s, n: field(n, 12, signed=True) << 20 | s << 15 | funct3 << 12 | d << 7 | 0x13
    )


def _shift(funct7: int, funct3: int) -> Instruction:
    return _word(
        lambda _, d, s, n: funct7 << 25 | field(n, 5) << 20 | s << 15 | funct3 << 12 | d << 7 | 0x13
    )


def _load(funct3: int) -> Instruction:
    """Operands: register, base, offset."""
    return _word(
        lambda _, d, s, n: field(n, 12, signed=True) << 20 | s << 15 | funct3 << 12 | d << 7 | 3
    )


def _store(funct3: int) -> Instruction:
    def encode(_: int, t: int, s: int, n: int) -> int:
        bits = field(n, 12, signed=True)
        return bits >> 5 << 25 | t << 20 | s << 15 | funct3 << 12 | (bits & 31) << 7 | 0x23

    return _word(encode)


def _branch(funct3: int) -> Callable[[int, int, int, int], int]:
    def encode(at: int, s: int, t: int, to: int) -> int:
        n = field(scaled(to - at, 2), 12, signed=True)
        return (
            n >> 11 << 31
            | (n >> 4 & 63) << 25
            | t << 20
            | s << 15
            | funct3 << 12
            | (n & 15) << 8
            | (n >> 10 & 1) << 7
            | 0x63
        )

    return encode


def _jump(at: int, to: int) -> int:
    n = field(scaled(to - at, 2), 20, signed=True)
    return n >> 19 << 31 | (n & 0x3FF) << 21 | (n >> 10 & 1) << 20 | (n >> 11 & 255) << 12 | 0x6F


def _against_zero(funct3: int) -> Instruction:
    encode = _branch(funct3)
    return _word(lambda at, s, to: encode(at, s, 0, to))


TABLE: dict[str, Instruction] = {
    "add": _r(0, 0),
    "sub": _r(32, 0),
    "sll": _r(0, 1),
    "slt": _r(0, 2),
    "xor": _r(0, 4),
    "srl": _r(0, 5),
    "sra": _r(32, 5),
    "or": _r(0, 6),
    "and": _r(0, 7),
    "mul": _r(1, 0),
    "mulh": _r(1, 1),
    "addi": _i(0),
    "xori": _i(4),
    "andi": _i(7),
    "slli": _shift(0, 1),
    "srli": _shift(0, 5),
    "srai": _shift(32, 5),
    "lb": _load(0),
    "lh": _load(1),
    "lw": _load(2),
    "lbu": _load(4),
    "lhu": _load(5),
    "sb": _store(0),
    "sh": _store(1),
    "sw": _store(2),
    "beq": _word(_branch(0)),
    "bne": _word(_branch(1)),
    "blt": _word(_branch(4)),
    "bge": _word(_branch(5)),
    "bltu": _word(_branch(6)),
    "bgeu": _word(_branch(7)),
    "beqz": _against_zero(0),
    "bnez": _against_zero(1),
    "bltz": _against_zero(4),
    "bgez": _against_zero(5),
    "j": _word(_jump),
    "lui": _word(lambda _, d, n: field(n, 20) << 12 | d << 7 | 0x37),
    "li": _word(lambda _, d, n: field(n, 12, signed=True) << 20 | d << 7 | 0x13),
    "mv": _word(lambda _, d, s: s << 15 | d << 7 | 0x13),
}
