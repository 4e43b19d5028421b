"""DEPTHWISE_CONV_2D, int8 x int8 -> int8, per-tensor and per-channel scales, depth multiplier,
dilation.

C: tensorflow/lite/kernels/internal/reference/integer_ops/depthwise_conv.h. Per output pixel the
taps inside the image and those outside are listed once for all channels. The zero point is folded
into the bias; a tap outside, which counts nothing in C, therefore adds zero point x weight.
"""

from array import array

from ..fixed_point import wrap32
from .scaling import four_rows, requantize
from .windows import layer

# What loaded models go on using of this module: see forget_loader().
RUN = "run FOUR_CHANNELS multiply_rows multiply_channels add_outside requantize"

# Whether four channels are computed at a time. 0 where the board has native kernels
# (host/devices/build.py): what those leave to this one is rare there.
FOUR_CHANNELS = 1

# table DepthwiseConv2DOptions
_MULTIPLIER = 3
_ACTIVATION = 4


def prepare(context, op):
    op.shaped(2, 3)
    x, weights, bias = (op.inputs + [None])[:3]
    y = op.outputs[0]
    values, scaling, geometry = layer(context, op, x, weights, bias, 3, _ACTIVATION, 128)
    channels = y.shape[3]
    times = op.options.i32(_MULTIPLIER)
    if weights.shape[0] != 1 or x.shape[3] * times != channels:
        op.refuse(
            "%s by %s, %d per channel, gives no %s" % (x.shape, weights.shape, times, y.shape)
        )
    return Depthwise(
        context,
        x.view,
        y.view,
        four_rows(context.view, weights.begin, weights.size, 1),
        values,
        scaling,
        geometry + (times,),
    )


class Depthwise:
    """One layer: int8 images x to y; output channel c comes from input channel c // times.

    weights: four int8 views of (kernel_h, kernel_w, channels) that start at item 0, 1, 2 and 3; the
    first is all. given: int32 per channel; `bias` is that less the zero point x the sum of the
    channel's weights. geometry: see windows.layer; then times.
    """

    def __init__(self, context, x, y, weights, given, scaling, geometry):
        self.x = [x[min(i, len(x) - 1) :] for i in range(4)]
        self.y = y
        self.weights = weights
        self.scaling = scaling
        self.geometry = array("i", geometry)
        channels = geometry[6]
        taps = geometry[7] * geometry[8]
        self.bias = array("i", bytes(4 * channels))
        for channel in range(channels):
            total = 0
            for k in range(channel, taps * channels, channels):
                total += weights[0][k]
            self.bias[channel] = wrap32(given[channel] - geometry[15] * total)
        self.taps = array("i", bytes(8 * taps))
        self._context = context
        context.want_scratch(channels)

    def run(self):
        (
            batches, in_h, in_w, in_channels, out_h, out_w, channels, kernel_h, kernel_w,
            stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w,
            zero_in, zero_out, lowest, highest, times,
        ) = self.geometry  # fmt: skip
        scaling = self.scaling
        acc = [0] * channels if scaling.wide else self._context.scratch
        x, weights = self.x, self.weights
        taps, bias = self.taps, self.bias
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
                    c = 0
                    if FOUR_CHANNELS:
                        if times == 1:
                            multiply_rows(acc, bias, weights, x, taps, inside, channels)
                            c = channels & ~3
                    multiply_channels(acc, bias, weights[0], x[0], taps, inside, c, channels, times)
                    if outside < end and zero_in:
                        add_outside(acc, weights[0], taps, outside, end, zero_in, channels)
                    requantize(
                        acc, self.y, o, channels, 0, scaling.highs, scaling.lows, scaling.shifts,
                        zero_out, lowest, highest,
                    )  # fmt: skip
                    o += channels
                    left += stride_w
                top += stride_h
            image += in_h * in_w * in_channels


if FOUR_CHANNELS:

    def multiply_rows(acc, bias, weights, x, taps, n, channels):
        """acc[c] = bias[c] + the sum over taps of x * weight, four channels at a time.

        taps: n items, in turn where a tap's pixel starts in x and where its row starts in the
        weights.
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
