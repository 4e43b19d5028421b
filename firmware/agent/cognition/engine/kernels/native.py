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

# What loaded models go on using of this module: see forget_loader().
RUN = ()

# firmware/native/plan.inc has the fields.
_FORMAT = "<iIiIiIiIIiiiiiIiiiiI"
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
        # By name, as a model without a convolution has no need of its module.
        kind = type(kernel).__name__
        if kind == "Lookup":
            self._lookup(kernel)
        elif kind == "FullyConnected" and not kernel.scaling.wide:
            batches = len(kernel.y) // kernel.units
            x, y = self._address(kernel.x), self._address(kernel.y)
            depth, units = kernel.depth, kernel.units
            self._dense(kernel, kernel.limits, depth, 0, units, x, depth, y, units, batches, 0)
        elif kind == "Convolution" and not kernel.scaling.wide and kernel.geometry[0][0] == 1:
            for geometry in kernel.geometry:
                self._convolution(kernel, geometry)
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
        self._append(_LOOKUP, x, count, 0, 0, table, 0, 0, 0, 0, 0, 0, 0, 0, y, 0, 0, 0, 0, 0)

    def _convolution(self, kernel, geometry):
        """One group of a convolution over a single image: each of its places is a batch."""
        (
            _, in_h, in_w, in_channels, out_h, out_w, channels, kernel_h, kernel_w,
            stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w,
            zero_in, zero_out, lowest, highest, depth, start, units, first,
        ) = geometry  # fmt: skip
        terms = kernel_h * kernel_w * depth
        x = self._address(kernel.x) + start
        y = self._address(kernel.y)
        limits = (zero_in, zero_out, lowest, highest)
        window = 0
        step = in_channels
        if terms != depth or (out_h, out_w) != (in_h, in_w):
            window = self._address(
                array(
                    "i",
                    (0, in_h, in_w, in_channels, kernel_h, kernel_w, depth, stride_h, stride_w)
                    + (dilation_h, dilation_w, -pad_h, -pad_w, out_w, 0, 0, 0),
                )
            )
            struct.pack_into("<I", self._kept[-1], 0, x)
            x = self._address(bytearray(terms))
            step = 0
        self._dense(
            kernel, limits, terms, first, units, x, step, y, channels, out_h * out_w, window
        )

    def _dense(self, kernel, limits, depth, first, units, x, x_step, y, y_step, batches, window):
        """Rows first to first + units of the weights against each batch of the input."""
        data = self._data
        turns = (depth + _TURN - 1) // _TURN
        self._turns = max(self._turns, turns)
        end = uctypes.addressof(data) + len(data)
        rows = self._address(kernel.weights[0]) + first * depth
        # Rows past this one would be read beyond the file: they are copied, with room behind them.
        inside = max(0, min(units, (end - rows - _TURN * turns - _SLACK) // depth + 1))
        rest = units - inside
        parts = [(rows, first, inside)]
        if rest:
            copy = bytearray(rest * depth + _TURN * turns + _SLACK)
            start = rows - uctypes.addressof(data) + inside * depth
            copy[: rest * depth] = data[start : start + rest * depth]
            parts.append((self._address(copy), first + inside, rest))
        for weights, unit, count in parts:
            if count:
                kind, scales, step = self._scaled(kernel, limits[0], depth, weights, unit, count)
                self._append(
                    kind, x, depth, 0, turns, weights, count,
                    uctypes.addressof(kernel.bias) + 4 * unit, scales, step,
                    limits[0], limits[1], limits[2], limits[3],
                    y + unit, y_step, x_step, batches, depth - _TURN * turns, window,
                )  # fmt: skip
        self._kept.append(kernel.bias)

    def _scaled(self, kernel, zero_in, depth, weights, first, count):
        """(kind of record, address of its scales, step from one to the next)."""
        scaling = kernel.scaling
        per_channel = len(scaling.shift) > 1
        kind = _NARROW_CHANNEL if per_channel else _NARROW
        scales = array("i")
        for channel in range(first, first + count) if per_channel else range(1):
            scales.append(scaling.high[channel] << 16 | scaling.low[channel])
            scales.append(-1 - scaling.shift[channel])
            if scaling.shift[channel] >= 0:
                kind = _DENSE
        largest = max([abs(kernel.bias[unit]) for unit in range(first, first + count)])
        reach = max(zero_in + 128, 127 - zero_in)
        if largest + depth * 128 * reach >= _NARROW_LIMIT or (weights | depth) & 3:
            kind = _DENSE
        return kind, self._address(scales), 8 if per_channel else 0


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
