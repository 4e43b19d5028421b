"""Layers with weights in viper: for chips whose MicroPython runs native code, and no other set."""

from array import array
from struct import pack_into

from .viper_loops import begin, gather, plane, put, rows, scale, slide, widen

# What loaded models go on using of this module: see forget_loader().
RUN = "run begin gather plane put rows scale slide widen"

# Words of the plane of a depthwise layer, at most.
_LARGEST_PLANE = 2048


class Rows:
    """A FullyConnected or a group of a Convolution: rows() of every input row or window."""

    def __init__(self, kernel, scales, address, geometry=None):
        first = 0
        self._window = None
        if geometry is None:
            zero_in, zero_out, lowest, highest = kernel.limits
            units, terms = kernel.units, kernel.depth
            self._step = units
            places = len(kernel.y) // units
            self._x = [kernel.x[b * terms : (b + 1) * terms] for b in range(places)]
        else:
            (
                _, in_h, in_w, in_channels, out_h, out_w, self._step, kernel_h, kernel_w,
                stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w,
                zero_in, zero_out, lowest, highest, depth, start, units, first,
            ) = geometry  # fmt: skip
            terms = kernel_h * kernel_w * depth
            self._window = array(
                "i",
                (0, in_h, in_w, in_channels, kernel_h, kernel_w, depth, dilation_h, dilation_w)
                + (stride_h, stride_w, 0, 0, 0, out_w, -pad_w, -pad_h),
            )
            pack_into("<I", self._window, 0, address(kernel.x) + start)
            self._x = range(out_h * out_w)  # type: ignore[assignment]
        self._wide = array("i", bytes(4 * terms))
        self._acc = array("i", bytes(4 * units))
        self._y = kernel.y
        self._at = first
        self._kept = (kernel, scales)
        self._fields = bytearray(36)
        pack_into(
            "<IIIiiiiii", self._fields, 0, address(kernel.weights[0]) + first * terms,
            address(kernel.bias) + 4 * first, address(self._wide), units, 0, terms >> 3, terms & 7,
            zero_in, terms,
        )  # fmt: skip
        self._each = 12 if len(scales) > 3 else 0
        self._q = _scaled(units, 1, zero_out, lowest, highest, self._each, address(scales))

    def run(self):
        window = self._window
        wide, fields = self._wide, self._fields
        acc, q = self._acc, self._q
        at = self._at
        offset = at * self._each
        if window:
            begin(window)
        for x in self._x:
            if window:
                gather(window, wide, fields)
            else:
                widen(x, wide, fields)
            rows(wide, wide, fields, acc)
            put(q, at, offset)
            scale(0, 0, acc, q, self._y)
            at += self._step


class Planes:
    """A Depthwise layer of one image, channel by channel: see firmware/native/plan.inc."""

    def __init__(self, kernel, scales, address):
        (
            batches, in_h, in_w, in_channels, out_h, out_w, channels, kernel_h, kernel_w,
            stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w,
            zero_in, zero_out, lowest, highest, self._times,
        ) = kernel.geometry  # fmt: skip
        span = (kernel_w - 1) * dilation_w + 1
        strips = (span + 2) // 3
        width = (out_w - 1) * stride_w + span
        height = (out_h - 1) * stride_h + (kernel_h - 1) * dilation_h + 1
        columns = min(in_w, width - pad_w)
        inside = min(in_h, height - pad_h)
        words = width * height + 3 * strips
        self.fits = batches == 1 and words <= _LARGEST_PLANE and columns > 0 and inside > 0
        if not self.fits:
            return
        self._x = array("i", [zero_in + 128] * words)
        self._weights = array("i", bytes(12 * strips * kernel_h))
        self._acc = array("i", bytes(4 * out_h * out_w))
        self._y = kernel.y
        self._channels = channels
        offsets = array("H")
        for tap in range(kernel_h * kernel_w):
            offsets.append(4 * (tap // kernel_w * 3 * strips + tap % kernel_w * dilation_w))
        pitch = 4 * width
        self._fields = bytearray(88)
        pack_into(
            "<iiiIIiiiIiIIIiiiiiiiii", self._fields, 0, in_channels, columns, inside,
            address(self._x) + pad_h * pitch + 4 * pad_w, address(kernel.x[0]),
            in_w * in_channels, pitch, kernel_h * kernel_w, address(kernel.weights[0]), channels,
            address(offsets), address(self._weights), address(kernel.bias), 0, 4 * stride_w,
            out_h, out_w, int((kernel_h, strips, dilation_h) == (3, 1, 1)), strips, kernel_h,
            dilation_h * pitch, stride_h * pitch,
        )  # fmt: skip
        self._kept = (kernel, scales, offsets)
        self._each = 12 if len(scales) > 3 else 0
        count = out_h * out_w
        self._q = _scaled(count, channels, zero_out, lowest, highest, 0, address(scales))

    def run(self):
        fields, acc, q = self._fields, self._acc, self._q
        x = self._x
        offset = 0
        for channel in range(self._channels):
            plane(x, x, 0, fields, channel, channel // self._times)
            slide(x, 0, acc, fields, self._weights)
            put(q, channel, offset)
            scale(0, 0, acc, q, self._y)
            offset += self._each


def _scaled(count, step, zero_out, lowest, highest, each, scales):
    q = bytearray(36)
    pack_into("<iiiiiiiIi", q, 0, count, step, zero_out, lowest, highest, each, 0, scales, 0)
    return q


def _scales(scaling):
    """Triples for scale(); None where a channel is not shifted to the right."""
    triples = array("i")
    for high, low, shift in zip(scaling.highs, scaling.lows, scaling.shifts):
        if high and shift >= 0:
            return None
        triples.extend(array("i", (high, low, -shift if high else 1)))
    return triples


def _runs(kernel, address):
    """Functions that compute an operator."""
    kind = type(kernel).__name__
    if kind in ("FullyConnected", "Convolution", "Depthwise") and not kernel.scaling.wide:
        scales = _scales(kernel.scaling)
        if scales is None:
            pass
        elif kind == "FullyConnected":
            return [Rows(kernel, scales, address).run]
        elif kind == "Depthwise":
            planes = Planes(kernel, scales, address)
            if planes.fits:
                return [planes.run]
        elif kernel.geometry[0][0] == 1:
            return [Rows(kernel, scales, address, group).run for group in kernel.geometry]
    return [kernel.run]


def program(prepared, data):
    """Layers with weights in viper, everything else as it is."""
    from uctypes import addressof

    runs = []
    for kernel in prepared:
        runs.extend(_runs(kernel, addressof))
    return runs
