"""Compiles a model's operators into packed plans for the native kernels (firmware/native).

Consecutive operators that the kernels know become one plan, run by one call. A plan holds
addresses: of the weights and biases in the file, of the arena, of tables. The collector never
moves anything, and a Plan keeps all it points to. The kernels check nothing, so everything they
rely on is checked here: that rows are read inside the file, what is aligned, how large accumulators
become.
"""

import struct
from array import array

import uctypes

from ..ops.fully_connected import FullyConnected
from ..ops.lookup import Lookup

# What loaded models go on using of this module: see forget_loader().
RUN = ()

# firmware/native/plan.inc has the fields.
_FORMAT = "<iIiIiIiIIiiiiiIiiii"
_END = bytes(4)
_LOOKUP = 1
_DENSE = 2
_NARROW = 3
_NARROW_CHANNEL = 4

# A row is read in turns of 16 weights, unaligned ones from a word before to a word after.
_TURN = 16
_SLACK = 4
# 256 times an accumulator below this is an int32.
_NARROW_LIMIT = 1 << 23


def _layout_known() -> bool:
    """Whether objects look as the kernels take them to: they follow two pointers by themselves."""
    plan = Plan(8)
    items = uctypes.addressof(plan)
    inner = _word(id(plan) + 16)
    return inner >> 2 << 2 == inner and inner > 0 and _word(inner + 12) == items


def _word(address):
    return struct.unpack("<I", uctypes.bytes_at(address, 4))[0]


class Plan(bytearray):
    """A packed plan with all it refers to. A subclass gives it the native function as run()."""

    kept = None

    def run(self):
        raise NotImplementedError


class _Compiler:
    """Records of consecutive operators."""

    def __init__(self, data):
        self._data = data
        self._records = bytearray()
        self._kept: list = []
        self._turns = 0

    def add(self, kernel):
        """Appends an operator; False where the kernels do not compute it."""
        if isinstance(kernel, FullyConnected):
            if kernel.scaling.wide:
                return False
            self._dense(kernel)
        elif isinstance(kernel, Lookup):
            self._lookup(kernel)
        else:
            return False
        return True

    def any(self):
        return len(self._records) > 0

    def plan(self, kind):
        """The plan, with scratch for widened inputs."""
        records = self._records
        wide = array("i", bytes(2 * _TURN * self._turns + 8))
        size = struct.calcsize(_FORMAT)
        for start in range(0, len(records), size):
            struct.pack_into("<I", records, start + 12, uctypes.addressof(wide))
        records.extend(_END)
        plan = kind(records)
        plan.kept = (self._kept, wide)
        return plan

    def _append(self, *fields):
        self._records.extend(struct.pack(_FORMAT, *fields))

    def _address(self, buffer):
        self._kept.append(buffer)
        return uctypes.addressof(buffer)

    def _lookup(self, kernel):
        x, y, table = [self._address(b) for b in (kernel._x, kernel._y, kernel._table)]
        count = len(kernel._y)
        self._append(_LOOKUP, x, count, 0, 0, table, 0, 0, 0, 0, 0, 0, 0, 0, y, 0, 0, 0, 0)

    def _dense(self, kernel):
        data = self._data
        units, depth = kernel.units, kernel.depth
        turns = (depth + _TURN - 1) // _TURN
        self._turns = max(self._turns, turns)
        end = uctypes.addressof(data) + len(data)
        first = self._address(kernel.weights[0])
        # Rows past this one would be read beyond the file: they are copied, with room behind them.
        inside = max(0, min(units, (end - first - _TURN * turns - _SLACK) // depth + 1))
        self._rows(kernel, first, 0, inside, turns)
        if inside < units:
            copy = bytearray((units - inside) * depth + _TURN * turns + _SLACK)
            start = first - uctypes.addressof(data) + inside * depth
            copy[: (units - inside) * depth] = data[start : start + (units - inside) * depth]
            self._rows(kernel, self._address(copy), inside, units - inside, turns)

    def _rows(self, kernel, weights, first, count, turns):
        """A record for `count` units from `first` on."""
        if not count:
            return
        units, depth, scaling = kernel.units, kernel.depth, kernel.scaling
        zero_in, zero_out, lowest, highest = kernel.limits
        per_channel = len(scaling.shift) > 1
        channels = range(first, first + count) if per_channel else range(1)
        scales = array("i")
        kind = _NARROW_CHANNEL if per_channel else _NARROW
        for channel in channels:
            scales.append(scaling.high[channel] << 16 | scaling.low[channel])
            scales.append(-1 - scaling.shift[channel])
            if scaling.shift[channel] >= 0:
                kind = _DENSE
        largest = max([abs(kernel.bias[unit]) for unit in range(first, first + count)])
        reach = max(zero_in + 128, 127 - zero_in)
        if largest + depth * 128 * reach >= _NARROW_LIMIT or (weights | depth) & 3:
            kind = _DENSE
        self._append(
            kind,
            self._address(kernel.x),
            depth,
            0,
            turns,
            weights,
            count,
            self._address(kernel.bias) + 4 * first,
            self._address(scales),
            8 if per_channel else 0,
            zero_in,
            zero_out,
            lowest,
            highest,
            self._address(kernel.y) + first,
            units,
            depth,
            len(kernel.y) // units,
            depth - _TURN * turns,
        )


def compiler(call):
    """program() of the set whose native function is `call`. ValueError on an unknown layout."""
    if not _layout_known():
        raise ValueError("objects of this MicroPython have another layout")

    # Not a def that calls it: that would cost more than a small model.
    kind = type("NativePlan", (Plan,), {"run": call})

    def program(prepared, data):
        runs = []
        made = None
        for kernel in prepared:
            made = made or _Compiler(data)
            if made.add(kernel):
                continue
            if made.any():
                runs.append(made.plan(kind).run)
            made = None
            runs.append(kernel.run)
        if made and made.any():
            runs.append(made.plan(kind).run)
        return runs

    return program
