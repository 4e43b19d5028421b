"""DEPTHWISE_CONV_2D, int8 x int8 -> int8, per-tensor and per-channel scales, depth multiplier,
dilation.

C: tensorflow/lite/kernels/internal/reference/integer_ops/depthwise_conv.h. Per output pixel the
taps inside the image and those outside are listed once for all channels. The zero point is folded
into the bias; a tap outside, which counts nothing in C, therefore adds zero point x weight.
"""

from array import array

from ..fixed_point import wrap32
from . import activation_range
from .scaling import Scaling, biases, four_rows, reach_of, requantize
from .windows import prepared, span

# What loaded models go on using of this module: see forget_loader().
RUN = (
    "run",
    "convolve",
    "_portable",
    "multiply_rows",
    "multiply_channels",
    "add_outside",
    "requantize",
)

# table DepthwiseConv2DOptions
_PADDING = 0
_STRIDE_W = 1
_STRIDE_H = 2
_MULTIPLIER = 3
_ACTIVATION = 4
_DILATION_W = 5
_DILATION_H = 6


def prepare(context, op):
    op.shaped(2, 3)
    if not op.options:
        op.refuse("has no options")
    return Depthwise(context, op)


class Depthwise:
    def __init__(self, context, op):
        x, weights, y = op.inputs[0], op.inputs[1], op.outputs[0]
        bias = op.inputs[2] if len(op.inputs) > 2 else None
        multipliers = prepared(op, x, weights, bias, y, 3)
        options = op.options
        _, in_h, in_w, in_channels = x.shape
        batches, out_h, out_w, channels = y.shape
        one, kernel_h, kernel_w, _ = weights.shape
        stride_h, stride_w = options.i32(_STRIDE_H), options.i32(_STRIDE_W)
        dilation_h, dilation_w = options.i32(_DILATION_H, 1), options.i32(_DILATION_W, 1)
        padding = options.i8(_PADDING)
        rows, top = span(op, padding, in_h, kernel_h, stride_h, dilation_h)
        columns, left = span(op, padding, in_w, kernel_w, stride_w, dilation_w)
        times = options.i32(_MULTIPLIER)
        if (one, rows, columns, in_channels * times) != (1, out_h, out_w, channels):
            op.refuse(
                "%s by %s, %d per channel, gives no %s" % (x.shape, weights.shape, times, y.shape)
            )
        lowest, highest = activation_range(op, y, options.i8(_ACTIVATION))
        self.geometry = array(
            "i",
            [batches, in_h, in_w, in_channels, out_h, out_w, channels, kernel_h, kernel_w]
            + [stride_h, stride_w, dilation_h, dilation_w, top, left]
            + [x.zero_point(), y.zero_point(), lowest, highest, times],
        )
        taps = kernel_h * kernel_w
        self.weights = four_rows(context.data, weights.offset, weights.size, 1)
        self.x = [x.data[min(i, x.size - 1) :] for i in range(4)]
        self.y = y.data
        given = biases(context, bias, channels)
        self.scaling = Scaling(multipliers, given, channels, taps, reach_of(x) + 128)
        self.bias = self._folded(given, channels, taps, x.zero_point())
        self.taps = array("i", bytes(8 * taps))
        self.channels = channels
        self._context = context
        context.want_scratch(channels)

    def _folded(self, given, channels, taps, zero_point):
        w = self.weights[0]
        folded = array("i", bytes(4 * channels))
        for channel in range(channels):
            total = 0
            k = channel
            for _ in range(taps):
                total += w[k]
                k += channels
            folded[channel] = wrap32(given[channel] - zero_point * total)
        return folded

    def run(self):
        scaling = self.scaling
        kernel = _portable if scaling.wide else convolve
        kernel(
            self.geometry,
            self.x,
            self.y,
            self.weights,
            self.bias,
            scaling.high,
            scaling.low,
            scaling.shift,
            self.taps,
            [0] * self.channels if scaling.wide else self._context.scratch,
        )


def convolve(geometry, x, y, weights, bias, high, low, shift, taps, acc):
    """A whole depthwise convolution: the seam for a native kernel.

    geometry: int32s, named below in order; pad_h, pad_w count from before the image, output channel
    c comes from input channel c // times. x, weights: four int8 views each, of the image and of the
    weights (kernel_h, kernel_w, channels), that start at item 0, 1, 2 and 3; the first is all.
    y: int8 image. bias: int32 per channel, less zero_in x the sum of the channel's weights.
    high, low, shift: see windows.requantize. taps: int32, 2 * kernel_h * kernel_w, to work with.
    acc: int32 per channel.
    """
    (
        batches, in_h, in_w, in_channels, out_h, out_w, channels, kernel_h, kernel_w,
        stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w,
        zero_in, zero_out, lowest, highest, times,
    ) = geometry  # fmt: skip
    end = 2 * kernel_h * kernel_w
    o = 0
    image = 0
    for _ in range(batches):
        top = -pad_h
        for _ in range(out_h):
            left = -pad_w
            for _ in range(out_w):
                inside = 0
                outside = end
                k = 0
                row = top
                for _ in range(kernel_h):
                    column = left
                    for _ in range(kernel_w):
                        if 0 <= row < in_h and 0 <= column < in_w:
                            taps[inside] = image + (row * in_w + column) * in_channels
                            taps[inside + 1] = k
                            inside += 2
                        else:
                            outside -= 1
                            taps[outside] = k
                        k += channels
                        column += dilation_w
                    row += dilation_h
                if times == 1:
                    multiply_rows(acc, bias, weights, x, taps, inside, channels)
                    c = channels & ~3
                else:
                    c = 0
                multiply_channels(acc, bias, weights[0], x[0], taps, inside, c, channels, times)
                if outside < end and zero_in:
                    add_outside(acc, weights[0], taps, outside, end, zero_in, channels)
                requantize(acc, y, o, channels, 0, high, low, shift, zero_out, lowest, highest)
                o += channels
                left += stride_w
            top += stride_h
        image += in_h * in_w * in_channels


_portable = convolve


def multiply_rows(acc, bias, weights, x, taps, n, channels):
    """acc[c] = bias[c] + the sum over taps of x * weight, four channels at a time.

    taps: n items, in turn where a tap's pixel starts in x and where its row starts in the weights.
    """
    w0, w1, w2, w3 = weights
    x0, x1, x2, x3 = x
    for c in range(0, channels - 3, 4):
        a0 = bias[c]
        a1 = bias[c + 1]
        a2 = bias[c + 2]
        a3 = bias[c + 3]
        for t in range(0, n, 2):
            i = taps[t] + c
            k = taps[t + 1] + c
            a0 += x0[i] * w0[k]
            a1 += x1[i] * w1[k]
            a2 += x2[i] * w2[k]
            a3 += x3[i] * w3[k]
        acc[c] = a0
        acc[c + 1] = a1
        acc[c + 2] = a2
        acc[c + 3] = a3


def multiply_channels(acc, bias, weights, x, taps, n, first, channels, times):
    """The same, one channel at a time, from `first` on."""
    for c in range(first, channels):
        a = bias[c]
        source = c // times
        for t in range(0, n, 2):
            a += x[taps[t] + source] * weights[taps[t + 1] + c]
        acc[c] = a


def add_outside(acc, weights, taps, t, end, zero_in, channels):
    """acc[c] += zero point x weight for the taps outside the image, taps[t:end]."""
    for c in range(channels):
        a = acc[c]
        for n in range(t, end):
            a += zero_in * weights[taps[n] + c]
        acc[c] = a
