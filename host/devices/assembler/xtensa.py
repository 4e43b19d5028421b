"""Xtensa instructions the kernels use (Xtensa Instruction Set Architecture Reference Manual, ch. 7
and 8): core, code density, MIN/MAX, SEXT, 16- and 32-bit multiply, zero-overhead loops, MAC16.
"""

from __future__ import annotations

from collections.abc import Callable

from host.devices.assembler.encoding import Instruction, field, scaled

REGISTERS = {f"a{i}": i for i in range(16)} | {f"m{i}": i for i in range(4)}

_SPECIAL = {"acclo": 0x10, "acchi": 0x11, "sar": 3}
_B4CONST = (-1, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64, 128, 256)
_HALVES = {"ll": 0, "hl": 1, "lh": 2, "hh": 3}


def _rrr(op2: int, op1: int, r: int, s: int, t: int, op0: int = 0) -> int:
    return op2 << 20 | op1 << 16 | r << 12 | s << 8 | t << 4 | op0


def _wide(encode: Callable[..., int]) -> Instruction:
    return Instruction(3, encode)


def _rst(op2: int, op1: int) -> Instruction:
    return _wide(lambda _, r, s, t: _rrr(op2, op1, r, s, t))


def _memory(r: int, unit: int) -> Instruction:
    return _wide(
        lambda _, t, s, offset: field(scaled(offset, unit), 8) << 16 | r << 12 | s << 8 | t << 4 | 2
    )


def _branch(r: int) -> Instruction:
    return _wide(
        lambda at, s, t, to: (
            field(to - at - 4, 8, signed=True) << 16 | r << 12 | s << 8 | t << 4 | 7
        )
    )


def _bit_branch(r: int) -> Instruction:
    return _wide(
        lambda at, s, bit, to: (
            field(to - at - 4, 8, signed=True) << 16
            | (r + (field(bit, 5) >> 4)) << 12
            | s << 8
            | (bit & 15) << 4
            | 7
        )
    )


def _zero_branch(m: int) -> Instruction:
    return _wide(
        lambda at, s, to: field(to - at - 4, 12, signed=True) << 12 | s << 8 | m << 6 | 0x16
    )


def _constant_branch(m: int) -> Instruction:
    return _wide(
        lambda at, s, value, to: (
            field(to - at - 4, 8, signed=True) << 16
            | _B4CONST.index(value) << 12
            | s << 8
            | m << 6
            | 0x26
        )
    )


def _loop(r: int) -> Instruction:
    def encode(at: int, s: int, end: int) -> int:
        # The first instruction of the body is fetched anew in every turn: it must lie in one word,
        # or each turn costs a cycle more.
        if (at + 3) % 4 > 1:
            raise ValueError(f"loop body at {at + 3} straddles a word: change a .n before it")
        return field(end - at - 4, 8) << 16 | r << 12 | s << 8 | 0x76

    return _wide(encode)


def _movi(_: int, t: int, value: int) -> int:
    bits = field(value, 12, signed=True)
    return (bits & 255) << 16 | 0xA << 12 | (bits >> 8) << 8 | t << 4 | 2


def _slli(_: int, r: int, s: int, amount: int) -> int:
    left = 32 - field(amount, 5)
    return _rrr(left >> 4 & 1, 1, r, s, left & 15)


def _extui(_: int, r: int, t: int, shift: int, width: int) -> int:
    return _rrr(field(width - 1, 4), 4 | field(shift, 5) >> 4, r, shift & 15, t)


def _addi_n(_: int, r: int, s: int, value: int) -> int:
    if value != -1 and not 1 <= value <= 15:
        raise ValueError(f"{value} is neither -1 nor 1 to 15")
    return r << 12 | s << 8 | (0 if value == -1 else value) << 4 | 0xB


def _movi_n(_: int, s: int, value: int) -> int:
    if not -32 <= value <= 95:
        raise ValueError(f"{value} is not in -32 to 95")
    return (value & 15) << 12 | s << 8 | (value >> 4 & 7) << 4 | 0xC


TABLE: dict[str, Instruction] = {
    "add": _rst(8, 0),
    "addx2": _rst(9, 0),
    "addx4": _rst(10, 0),
    "addx8": _rst(11, 0),
    "sub": _rst(12, 0),
    "and": _rst(1, 0),
    "or": _rst(2, 0),
    "xor": _rst(3, 0),
    "neg": _wide(lambda _, r, t: _rrr(6, 0, r, 0, t)),
    "src": _rst(8, 1),
    "mul16s": _rst(13, 1),
    "mull": _rst(8, 2),
    "mulsh": _rst(11, 2),
    "min": _rst(4, 3),
    "max": _rst(5, 3),
    "moveqz": _rst(8, 3),
    "movnez": _rst(9, 3),
    "movltz": _rst(10, 3),
    "movgez": _rst(11, 3),
    "sext": _wide(lambda _, r, s, bit: _rrr(2, 3, r, s, field(bit - 7, 4))),
    "sll": _wide(lambda _, r, s: _rrr(10, 1, r, s, 0)),
    "srl": _wide(lambda _, r, t: _rrr(9, 1, r, 0, t)),
    "sra": _wide(lambda _, r, t: _rrr(11, 1, r, 0, t)),
    "slli": _wide(_slli),
    "srai": _wide(lambda _, r, t, n: _rrr(2 | field(n, 5) >> 4, 1, r, n & 15, t)),
    "srli": _wide(lambda _, r, t, n: _rrr(4, 1, r, field(n, 4), t)),
    "extui": _wide(_extui),
    "ssr": _wide(lambda _, s: _rrr(4, 0, 0, s, 0)),
    "ssl": _wide(lambda _, s: _rrr(4, 0, 1, s, 0)),
    "ssa8l": _wide(lambda _, s: _rrr(4, 0, 2, s, 0)),
    "ssai": _wide(lambda _, n: _rrr(4, 0, 4, field(n, 5) & 15, n >> 4)),
    "l8ui": _memory(0, 1),
    "l16ui": _memory(1, 2),
    "l16si": _memory(9, 2),
    "l32i": _memory(2, 4),
    "s8i": _memory(4, 1),
    "s16i": _memory(5, 2),
    "s32i": _memory(6, 4),
    "movi": _wide(_movi),
    "addi": _wide(
        lambda _, t, s, n: field(n, 8, signed=True) << 16 | 12 << 12 | s << 8 | t << 4 | 2
    ),
    "j": _wide(lambda at, to: field(to - at - 4, 18, signed=True) << 6 | 6),
    "beqz": _zero_branch(0),
    "bnez": _zero_branch(1),
    "bltz": _zero_branch(2),
    "bgez": _zero_branch(3),
    "beqi": _constant_branch(0),
    "bnei": _constant_branch(1),
    "blti": _constant_branch(2),
    "bgei": _constant_branch(3),
    "beq": _branch(1),
    "blt": _branch(2),
    "bltu": _branch(3),
    "bne": _branch(9),
    "bge": _branch(10),
    "bgeu": _branch(11),
    "bbci": _bit_branch(6),
    "bbsi": _bit_branch(14),
    "loop": _loop(8),
    "loopnez": _loop(9),
    "nop": _wide(lambda _: 0x0020F0),
    "l32i.n": Instruction(2, lambda _, t, s, n: field(scaled(n, 4), 4) << 12 | s << 8 | t << 4 | 8),
    "s32i.n": Instruction(2, lambda _, t, s, n: field(scaled(n, 4), 4) << 12 | s << 8 | t << 4 | 9),
    "add.n": Instruction(2, lambda _, r, s, t: r << 12 | s << 8 | t << 4 | 10),
    "addi.n": Instruction(2, _addi_n),
    "movi.n": Instruction(2, _movi_n),
    "mov.n": Instruction(2, lambda _, t, s: s << 8 | t << 4 | 13),
    "nop.n": Instruction(2, lambda _: 0xF03D),
    "ldinc": _wide(lambda _, w, s: _rrr(8, 0, w, s, 0, 4)),
}


def _special(op2: int, register: int) -> Instruction:
    return _wide(lambda _, t: _rrr(op2, 3, register >> 4, register & 15, t))


for _name, _number in _SPECIAL.items():
    TABLE[f"rsr.{_name}"] = _special(0, _number)
    TABLE[f"wsr.{_name}"] = _special(1, _number)


def _mac16(half: int) -> dict[str, Instruction]:
    """Products of 16-bit halves: of two registers, or of a MAC16 register and another, the
    latter with a load of a further MAC16 register from the word after the pointer.
    """
    return {
        "mul.aa": _wide(lambda _, s, t: _rrr(7, 4 + half, 0, s, t, 4)),
        "mula.aa": _wide(lambda _, s, t: _rrr(7, 8 + half, 0, s, t, 4)),
        "mula.da": _wide(lambda _, x, t: _rrr(6, 8 + half, x << 2, 0, t, 4)),
        "mula.dd.ldinc": _wide(
            lambda _, w, s, x, y: _rrr(0, 8 + half, x << 2 | w, s, (y - 2) << 2, 4)
        ),
        "mula.da.ldinc": _wide(lambda _, w, s, x, t: _rrr(4, 8 + half, x << 2 | w, s, t, 4)),
    }


for _half, _code in _HALVES.items():
    for _name, _instruction in _mac16(_code).items():
        _first, _operands, *_rest = _name.split(".")
        TABLE[".".join((_first, _operands, _half, *_rest))] = _instruction
