"""Layers with weights in viper: for chips whose MicroPython runs native code, and no other set."""

from array import array
from struct import pack_into

from .viper_loops import gather, rows, scale, slide

# What loaded models go on using of this module: see forget_loader().
RUN = "run gather rows scale slide"

# Words of the plane of a depthwise layer, at most.
_LARGEST_PLANE = 2048


class Rows:
    """A FullyConnected or a group of a Convolution: rows() of every input row or window."""

    def __init__(self, kernel, scales, address, geometry=None):
        if geometry is None:
            # An image of single pixels.
            units, terms = kernel.units, kernel.depth
            places = len(kernel.y) // units
            geometry = (1, places, 1, terms, places, 1, units) + (1,) * 6 + (0, 0)
            geometry += kernel.limits + (terms, 0, units, 0)
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
        self._places = out_h * out_w
        wide = array("i", bytes(4 * terms))
        self._acc = array("i", bytes(4 * units))
        self._y = kernel.y
        self._at = first
        self._kept = (kernel, scales, wide)
        self._fields = bytearray(32)
        pack_into(
            "<IIIiiiii", self._fields, 0, address(kernel.weights[0]) + first * terms,
            address(kernel.bias) + 4 * first, address(wide), units, 0, terms >> 3, terms & 7,
            zero_in,
        )  # fmt: skip
        self._each = 12 if len(scales) > 3 else 0
        self._q = _scaled(units, 1, zero_out, lowest, highest, self._each, address(scales))

    def run(self):
        window, fields = self._window, self._fields
        acc, q, y = self._acc, self._q, self._y
        at = self._at
        offset = at * self._each
        for place in range(self._places):
            gather(0, 0, window, fields, place)
            rows(0, 0, fields, acc)
            scale(0, 0, acc, q, y, at, offset)
            at += self._step


class Planes:
    """A Depthwise layer of one image, channel by channel, each a plane with room for padding."""

    def __init__(self, kernel, scales, address):
        (
            batches, in_h, in_w, in_channels, out_h, out_w, channels, kernel_h, kernel_w,
            stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w,
            zero_in, zero_out, lowest, highest, times,
        ) = kernel.geometry  # fmt: skip
        width = (out_w - 1) * stride_w + (kernel_w - 1) * dilation_w + 1
        height = (out_h - 1) * stride_h + (kernel_h - 1) * dilation_h + 1
        columns = min(in_w, width - pad_w)
        inside = min(in_h, height - pad_h)
        pitch = 4 * width
        # Blocks of three rows by three columns; a kernel of one row is cut into rows of three.
        rows, down = kernel_h, dilation_h * pitch
        strips = ((kernel_w - 1) * dilation_w + 3) // 3
        thin = rows == 1
        if thin:
            rows, strips, down = strips, 1, 12
        # As far as the last block reaches at the last place.
        end = (out_h - 1) * stride_h * pitch + 4 * (out_w - 1) * stride_w
        end += ((rows - 1) // 3 * 3 + 2) * down + 12 * strips
        words = max(width * height, end // 4)
        self.fits = batches == 1 and words <= _LARGEST_PLANE and columns > 0 and inside > 0
        if not self.fits:
            return
        taps = kernel_h * kernel_w
        offsets = array("H")
        for tap in range(taps):
            row = tap // kernel_w
            column = tap % kernel_w * dilation_w
            strip = column // 3
            if thin:
                row, strip = strip, 0
            offsets.append(36 * (row // 3 * strips + strip) + 12 * (row % 3) + 4 * (column % 3))
        self._x = bytearray(bytes((zero_in + 128,)) * (4 * words))
        self._weights = bytearray(12 * strips * (rows + 2))
        self._acc = array("i", bytes(4 * out_h * out_w))
        self._y = kernel.y
        self._channels = channels
        start = address(self._x)
        blocks = array("I")
        for row in range(0, rows, 3):
            for strip in range(strips):
                blocks.append(start + row * down + 12 * strip)
        aligned = not (address(kernel.x[0]) | in_channels) & 3
        bias = kernel.bias
        self._wide = 16384 * taps + max(max(bias), -min(bias)) >= 1 << 20
        self._each = 12 if len(scales) > 3 else 0
        self._fields = bytearray(108)
        pack_into(
            "<iiIIIiiiIiIIIiiIiiIiiiiiiii", self._fields, 0, in_channels, columns,
            0x80808080 if aligned else 128, start + pad_h * pitch + 4 * pad_w, address(kernel.x[0]),
            in_w * in_channels, pitch, taps, address(kernel.weights[0]), channels,
            address(offsets), address(self._weights), address(bias), down,
            4 * stride_w - 2 * down, address(self._acc), out_h, out_w, address(blocks),
            len(blocks), times, 4 * times if aligned else times, 3 if aligned else 0, self._each,
            inside, not self._wide, stride_h * pitch,
        )  # fmt: skip
        self._kept = (kernel, scales, offsets, blocks)
        count = out_h * out_w
        self._q = _scaled(count, channels, zero_out, lowest, highest, 0, address(scales))

    def run(self):
        fields, q, y = self._fields, self._q, self._y
        channels = self._channels
        if not self._wide:
            slide(0, 0, fields, q, y, 0, channels)
            return
        for channel in range(channels):
            slide(0, 0, fields, q, y, channel, channel + 1)
            scale(0, 0, self._acc, q, y, channel, channel * self._each)


def _scaled(count, step, zero_out, lowest, highest, each, scales):
    q = bytearray(28)
    pack_into("<iiiiiiI", q, 0, count, step, zero_out, lowest, highest, each, scales)
    return q


def _scales(scaling):
    """Triples for scale() and slide(); None where a channel is not shifted to the right."""
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
