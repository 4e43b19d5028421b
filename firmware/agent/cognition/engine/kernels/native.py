"""Compiles a model's operators into packed plans for the native kernels (firmware/native).

Consecutive operators that the kernels know become one plan, run by one call. A plan holds
addresses: of the weights and biases in the file, of the arena, of tables. The collector never
moves anything, and a Plan keeps all it points to. The kernels check nothing, so everything they
rely on is checked here: that rows are read inside the file, what is aligned, that planes have room.
"""

import struct
from array import array

import uctypes

# What loaded models go on using of this module: see forget_loader().
RUN = ""

# firmware/native/plan.inc has the fields.
_FORMAT = "<iIiIiIiIIiiiiiIiiiiI"
_DENSE = 0
_ALIGNED = 1
_LOOKUP = 2
_DEPTHWISE = 3
_END = 4

# A row is read in turns of 16 weights, unaligned ones from a word before to a word after.
_TURN = 16
_SLACK = 4
# Bytes of scratch that a depthwise layer takes if it can, and at most.
_PLANE = 2048
_LARGEST_PLANE = 16384
_MOST_BANDS = 16


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


class _Compiler:
    """Records of consecutive operators."""

    def __init__(self, data, strip):
        self._data = data
        self._strip = strip
        self._records = bytearray()
        self._kept: list = []
        self._scratch = 0

    def add(self, kernel):
        """Appends an operator; False where the kernels do not compute it."""
        # By name, as a model without a convolution has no need of its module.
        kind = type(kernel).__name__
        if kind == "Lookup":
            self._lookup(kernel)
            return True
        if kind not in ("FullyConnected", "Convolution", "Depthwise") or kernel.scaling.wide:
            return False
        pairs = _scales(kernel.scaling)
        if pairs is None:
            return False
        scales = self._address(pairs), 8 if len(pairs) > 2 else 0
        if kind == "Depthwise":
            return self._depthwise(kernel, scales)
        if kind == "FullyConnected":
            batches = len(kernel.y) // kernel.units
            x, y = self._address(kernel.x), self._address(kernel.y)
            depth, units = kernel.depth, kernel.units
            self._dense(
                kernel, scales, kernel.limits, depth, 0, units, x, depth, y, units, batches, 0
            )
            return True
        if kernel.geometry[0][0] != 1:
            return False
        for geometry in kernel.geometry:
            self._convolution(kernel, scales, geometry)
        return True

    def any(self):
        return len(self._records) > 0

    def plan(self, kind):
        """The plan, with scratch for widened inputs."""
        records = self._records
        wide = array("i", bytes(self._scratch))
        size = struct.calcsize(_FORMAT)
        for start in range(0, len(records), size):
            struct.pack_into("<I", records, start + 12, uctypes.addressof(wide))
        records.extend(struct.pack("<I", _END))
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

    def _depthwise(self, kernel, scales):
        """Bands of output rows, as many as a plane of the image takes."""
        (
            batches, in_h, in_w, in_channels, out_h, out_w, channels, kernel_h, kernel_w,
            stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w,
            zero_in, zero_out, lowest, highest, times,
        ) = kernel.geometry  # fmt: skip
        strip = self._strip
        # Strips of four have a second set of weights, one to the right.
        twice = 1 if strip == 4 else 0
        span = (kernel_w - 1) * dilation_w + 1
        strips = (span + twice + strip - 1) // strip
        one_set = 2 * strip * strips * kernel_h
        sets = ((one_set << twice) + 7) >> 2
        width = ((out_w - 1) * stride_w + span + 1) & ~1
        pitch = 2 * width
        first = ((kernel_h - 1) * dilation_h + 1) * pitch
        rows = min(out_h, 1 + max(0, _PLANE - first) // (stride_h * pitch))
        # Rows and words past the plane's end are read, but not used.
        plane = first + (rows - 1) * stride_h * pitch + dilation_h * pitch + 8 * strips
        columns = min(in_w, width - pad_w)
        if (
            batches != 1
            or 4 * sets + plane > _LARGEST_PLANE
            or out_h > rows * _MOST_BANDS
            or columns < 1
        ):
            return False
        bands = []
        for top in range(0, out_h, rows):
            count = min(rows, out_h - top)
            start = top * stride_h - pad_h
            inside = max(0, -start)
            end = min((count - 1) * stride_h + (kernel_h - 1) * dilation_h + 1, in_h - start)
            if end <= inside:
                return False
            bands.append((top, count, start + inside, inside, end - inside))
        offsets = array("H")
        for tap in range(kernel_h * kernel_w):
            for shift in range(2):
                slot = tap % kernel_w * dilation_w + (shift & twice)
                slot = (slot // strip * kernel_h + tap // kernel_w) * strip + slot % strip
                offsets.append(2 * slot + (shift & twice) * one_set)
        step = dilation_h * pitch
        fields = array(
            "i",
            (in_channels, channels, times, columns, in_w * in_channels, pitch, sets, plane >> 2)
            + (zero_in << 16 | zero_in & 0xFFFF, kernel_h * kernel_w, 0)
            + (kernel_h if twice else 6 * kernel_h, strips)
            + (0 if twice and stride_w % 2 == 0 else one_set,)
            + (step - 8 * twice, 2 * strip - 4 * twice - kernel_h * step)
            + (2 * stride_w, stride_h * pitch, out_w * channels)
            + (0,) * 8,
        )
        struct.pack_into("<I", fields, 40, self._address(offsets))
        self._scratch = max(self._scratch, 4 * sets + plane + 4)
        x, y = self._address(kernel.x[0]), self._address(kernel.y)
        weights, bias = self._address(kernel.weights[0]), self._address(kernel.bias)
        window = self._address(fields)
        for top, count, row, inside, inside_rows in bands:
            self._append(
                _DEPTHWISE, x + row * in_w * in_channels, inside_rows, 0,
                4 * sets + inside * pitch + 2 * pad_w, weights, count, bias, scales[0], scales[1],
                zero_in, 2 * zero_out + 1, lowest, highest, y + top * out_w * channels,
                0, 0, 0, 0, window,
            )  # fmt: skip
        return True

    def _convolution(self, kernel, scales, geometry):
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
            kernel, scales, limits, terms, first, units, x, step, y, channels, out_h * out_w, window
        )

    def _dense(
        self, kernel, scales, limits, depth, first, units, x, x_step, y, y_step, batches, window
    ):
        """Rows first to first + units of the weights against each batch of the input."""
        data = self._data
        turns = (depth + _TURN - 1) // _TURN
        self._scratch = max(self._scratch, 2 * _TURN * turns + 8)
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
        bias = self._address(kernel.bias)
        for weights, unit, count in parts:
            if not count:
                continue
            self._append(
                _DENSE if (weights | depth) & 3 else _ALIGNED, x, depth, 0, turns, weights, count,
                bias + 4 * unit, scales[0] + scales[1] * unit, scales[1],
                limits[0], 2 * limits[1] + 1, limits[2], limits[3],
                y + unit, y_step, x_step, batches, depth - _TURN * turns, window,
            )  # fmt: skip


def _scales(scaling):
    """Pairs of multiplier and r + 2; None where a channel is not shifted to the right (r < 1)."""
    pairs = array("i")
    for channel in range(len(scaling.shifts)):
        multiplier = scaling.highs[channel] << 16 | scaling.lows[channel]
        shift = scaling.shifts[channel] if multiplier else -1
        if shift >= 0:
            return None
        pairs.append(multiplier)
        pairs.append(2 - shift)
    return pairs


def compiler(call, strip):
    """program() of the set whose native function is `call`. ValueError on an unknown layout.

    strip: width of its depthwise strips, 4 where it has MAC16, else 3.
    """
    if not _layout_known():
        raise ValueError("layout")

    # Not a def that calls it: that would cost more than a small model.
    kind = type("NativePlan", (Plan,), {"run": call})

    def program(prepared, data):
        runs = []
        made = None
        for kernel in prepared:
            made = made or _Compiler(data, strip)
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
