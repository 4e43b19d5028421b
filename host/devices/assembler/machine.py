"""Runs assembled functions one instruction at a time, for tests and for counting.

    machine = Machine(listing(text, "xtensa")["run"], "xtensa")
    machine.memory.add(address, bytes)
    instructions = machine.run([object_address])

Written from the architecture manuals, apart from the encoder: what runs are names and operands. Any
access outside the memory given, or unaligned where the chip would not allow it, is a Fault.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence

from host.devices.assembler import Placed

_STACK = 0x3FFE_0000
_ARGUMENTS = 0x3FFF_0000
_WORD = 0xFFFFFFFF


class Fault(Exception):
    """What the chip would not survive, or should never do."""


class Memory:
    """Separate regions of bytes, nothing between them."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._regions: dict[int, bytearray] = {}

    def add(self, address: int, content: bytes) -> None:
        bisect.insort(self._starts, address)
        self._regions[address] = bytearray(content)

    def _find(self, address: int, size: int) -> tuple[bytearray, int]:
        i = bisect.bisect_right(self._starts, address) - 1
        if i >= 0:
            start = self._starts[i]
            region = self._regions[start]
            if address + size <= start + len(region):
                return region, address - start
        raise Fault(f"{size} bytes at {address:#x} are nobody's")

    def read(self, address: int, size: int, signed: bool = False) -> int:
        if address % size:
            raise Fault(f"unaligned read of {size} bytes at {address:#x}")
        region, offset = self._find(address, size)
        return int.from_bytes(region[offset : offset + size], "little", signed=signed)

    def write(self, address: int, size: int, value: int) -> None:
        if address % size:
            raise Fault(f"unaligned write of {size} bytes at {address:#x}")
        region, offset = self._find(address, size)
        region[offset : offset + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def content(self, address: int, size: int) -> bytes:
        region, offset = self._find(address, size)
        return bytes(region[offset : offset + size])


def signed(value: int, bits: int = 32) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


class Machine:
    """Registers, and a function's instructions by position."""

    def __init__(self, function: Sequence[Placed], architecture: str):
        self.memory = Memory()
        self.r = [0] * 32
        self._code = {placed.position: placed for placed in function}
        self._start = function[0].position
        self._end = function[-1].position + function[-1].size
        self._xtensa = architecture == "xtensa"
        self._loop = (0, 0, 0)
        self._sar = 0
        self._acc = 0
        self._m = [0] * 4
        self._names: dict[str, Callable[..., int | None]] = (
            _xtensa(self) if self._xtensa else _rv32(self)
        )

    def run(self, arguments: Sequence[int], limit: int = 50_000_000) -> int:
        """Calls the function with objects at these addresses; instructions executed."""
        packed = b"".join(value.to_bytes(4, "little") for value in arguments)
        self.memory.add(_ARGUMENTS, packed)
        self.memory.add(_STACK - 64, bytes(64))
        self.r[:] = [0xDEAD0000 + i for i in range(32)]
        if self._xtensa:
            self.r[1], self.r[5] = _STACK - 48, _ARGUMENTS
        else:
            self.r[0], self.r[2], self.r[13] = 0, _STACK, _ARGUMENTS
        at, count = self._start, 0
        kept = self._kept()
        while at != self._end:
            placed = self._code.get(at)
            if placed is None or count == limit:
                raise Fault(f"at {at} after {count} instructions")
            if placed.size:
                count += 1
            to = self._step(placed)
            at = placed.position + placed.size if to is None else to
            begin, end, turns = self._loop
            if to is None and turns and at == end:
                self._loop = (begin, end, turns - 1)
                at = begin
        if self._kept() != kept:
            raise Fault("registers that are the caller's have other values")
        return count

    def _kept(self) -> list[int]:
        """What a function has to leave as it was: RV32's sp, ra, gp, tp, s0 to s11."""
        return self.r[1:2] if self._xtensa else [*self.r[1:5], *self.r[8:10], *self.r[18:28]]

    def _step(self, placed: Placed) -> int | None:
        if placed.name == ".balign":
            if placed.size:
                raise Fault(f"padding at {placed.position} is run")
            return None
        name = placed.name.removesuffix(".n")
        return self._names[name](*placed.operands, *([placed] if name.startswith("loop") else []))

    def _set(self, register: int, value: int) -> None:
        if register or self._xtensa:
            self.r[register] = value & _WORD


def _common(m: Machine) -> dict[str, Callable[..., int | None]]:
    """Operations that both architectures have, on values."""
    return {
        "add": lambda d, s, t: m._set(d, m.r[s] + m.r[t]),
        "sub": lambda d, s, t: m._set(d, m.r[s] - m.r[t]),
        "and": lambda d, s, t: m._set(d, m.r[s] & m.r[t]),
        "or": lambda d, s, t: m._set(d, m.r[s] | m.r[t]),
        "xor": lambda d, s, t: m._set(d, m.r[s] ^ m.r[t]),
        "addi": lambda d, s, n: m._set(d, m.r[s] + n),
        "slli": lambda d, s, n: m._set(d, m.r[s] << n),
        "srli": lambda d, s, n: m._set(d, m.r[s] >> n),
        "srai": lambda d, s, n: m._set(d, signed(m.r[s]) >> n),
        "beq": lambda s, t, to: to if m.r[s] == m.r[t] else None,
        "bne": lambda s, t, to: to if m.r[s] != m.r[t] else None,
        "blt": lambda s, t, to: to if signed(m.r[s]) < signed(m.r[t]) else None,
        "bge": lambda s, t, to: to if signed(m.r[s]) >= signed(m.r[t]) else None,
        "bltu": lambda s, t, to: to if m.r[s] < m.r[t] else None,
        "bgeu": lambda s, t, to: to if m.r[s] >= m.r[t] else None,
        "beqz": lambda s, to: to if m.r[s] == 0 else None,
        "bnez": lambda s, to: to if m.r[s] else None,
        "bltz": lambda s, to: to if m.r[s] >> 31 else None,
        "bgez": lambda s, to: None if m.r[s] >> 31 else to,
        "j": lambda to: to,
    }


def _rv32(m: Machine) -> dict[str, Callable[..., int | None]]:
    def load(size: int, sign: bool) -> Callable[..., None]:
        return lambda d, s, n: m._set(d, m.memory.read(m.r[s] + n & _WORD, size, sign))

    def store(size: int) -> Callable[..., None]:
        return lambda t, s, n: m.memory.write(m.r[s] + n & _WORD, size, m.r[t])

    return _common(m) | {
        "mul": lambda d, s, t: m._set(d, m.r[s] * m.r[t]),
        "mulh": lambda d, s, t: m._set(d, signed(m.r[s]) * signed(m.r[t]) >> 32),
        "sll": lambda d, s, t: m._set(d, m.r[s] << (m.r[t] & 31)),
        "sra": lambda d, s, t: m._set(d, signed(m.r[s]) >> (m.r[t] & 31)),
        "xori": lambda d, s, n: m._set(d, m.r[s] ^ n),
        "andi": lambda d, s, n: m._set(d, m.r[s] & n),
        "lb": load(1, True),
        "lbu": load(1, False),
        "lh": load(2, True),
        "lhu": load(2, False),
        "lw": load(4, False),
        "sb": store(1),
        "sh": store(2),
        "sw": store(4),
        "li": lambda d, n: m._set(d, n),
        "mv": lambda d, s: m._set(d, m.r[s]),
    }


def _xtensa(m: Machine) -> dict[str, Callable[..., int | None]]:
    def load(size: int, sign: bool = False) -> Callable[..., None]:
        return lambda t, s, n: m._set(t, m.memory.read(m.r[s] + n & _WORD, size, sign))

    def store(size: int) -> Callable[..., None]:
        return lambda t, s, n: m.memory.write(m.r[s] + n & _WORD, size, m.r[t])

    def shift_amount(amount: int) -> None:
        m._sar = amount

    def loop(s: int, end: int, placed: Placed) -> int | None:
        if m.r[s] == 0:
            return end
        m._loop = (placed.position + placed.size, end, m.r[s] - 1)
        return None

    def write_acc(high: bool) -> Callable[[int], None]:
        def write(t: int) -> None:
            if high:
                m._acc = m._acc & _WORD | (m.r[t] & 255) << 32
            else:
                m._acc = m._acc & 255 << 32 | m.r[t]

        return write

    def load_m(w: int, s: int) -> None:
        m._set(s, m.r[s] + 4)
        m._m[w] = m.memory.read(m.r[s], 4)

    def accumulate(half: int) -> Callable[..., None]:
        def run(x: int, value: int) -> None:
            product = signed(m._m[x] >> 16 * half, 16) * signed(value >> 16 * half, 16)
            m._acc = m._acc + product & (1 << 40) - 1

        return run

    def accumulate_and_load(half: int, other: list[int]) -> Callable[..., None]:
        def run(w: int, s: int, x: int, t: int) -> None:
            accumulate(half)(x, other[t])
            load_m(w, s)

        return run

    return _common(m) | {
        "mov": lambda t, s: m._set(t, m.r[s]),
        "addx4": lambda d, s, t: m._set(d, (m.r[s] << 2) + m.r[t]),
        "addx8": lambda d, s, t: m._set(d, (m.r[s] << 3) + m.r[t]),
        "movi": lambda t, n: m._set(t, n),
        "nop": lambda: None,
        "src": lambda d, s, t: m._set(d, (m.r[s] << 32 | m.r[t]) >> m._sar),
        "sll": lambda d, s: m._set(d, m.r[s] << 32 >> m._sar),
        "sra": lambda d, t: m._set(d, signed(m.r[t]) >> m._sar),
        "ssr": lambda s: shift_amount(m.r[s] & 31),
        "ssl": lambda s: shift_amount(32 - (m.r[s] & 31)),
        "ssa8l": lambda s: shift_amount(8 * (m.r[s] & 3)),
        "ssai": shift_amount,
        "extui": lambda d, t, n, width: m._set(d, m.r[t] >> n & ((1 << width) - 1)),
        "sext": lambda d, s, bit: m._set(d, signed(m.r[s], bit + 1)),
        "mull": lambda d, s, t: m._set(d, m.r[s] * m.r[t]),
        "mulsh": lambda d, s, t: m._set(d, signed(m.r[s]) * signed(m.r[t]) >> 32),
        "min": lambda d, s, t: m._set(d, min(signed(m.r[s]), signed(m.r[t]))),
        "max": lambda d, s, t: m._set(d, max(signed(m.r[s]), signed(m.r[t]))),
        "l8ui": load(1),
        "l16ui": load(2),
        "l16si": load(2, True),
        "l32i": load(4),
        "s8i": store(1),
        "s16i": store(2),
        "s32i": store(4),
        "beqi": lambda s, n, to: to if signed(m.r[s]) == n else None,
        "bnei": lambda s, n, to: to if signed(m.r[s]) != n else None,
        "bbci": lambda s, bit, to: None if m.r[s] >> bit & 1 else to,
        "bbsi": lambda s, bit, to: to if m.r[s] >> bit & 1 else None,
        "loopnez": loop,
        "wsr.acclo": write_acc(False),
        "wsr.acchi": write_acc(True),
        "rsr.acclo": lambda t: m._set(t, m._acc),
        "rsr.acchi": lambda t: m._set(t, signed(m._acc >> 32, 8)),
        "ldinc": load_m,
        "mula.da.ll": lambda x, t: accumulate(0)(x, m.r[t]),
        "mula.da.hh": lambda x, t: accumulate(1)(x, m.r[t]),
        "mula.da.ll.ldinc": accumulate_and_load(0, m.r),
        "mula.dd.ll.ldinc": accumulate_and_load(0, m._m),
        "mula.dd.hh.ldinc": accumulate_and_load(1, m._m),
    }
