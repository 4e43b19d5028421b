"""CONV_2D, int8 x int8 -> int8, per-tensor and per-channel scales, dilation, groups.

C: tensorflow/lite/kernels/internal/reference/integer_ops/conv.h. Per output pixel the window is
gathered once as int16, with the zero point taken off, so that a tap outside the image is a 0 as in
C and no sums of weights are needed; then every output channel is a dot product with a row of the
weights, which stay in the file.
"""

from array import array

from . import activation_range
from .scaling import Scaling, biases, four_rows, reach_of, requantize
from .windows import prepared, span

# What loaded models go on using of this module: see forget_loader().
RUN = ("run", "convolve", "_portable", "dot_rows", "requantize")

# table Conv2DOptions
_PADDING = 0
_STRIDE_W = 1
_STRIDE_H = 2
_ACTIVATION = 3
_DILATION_W = 4
_DILATION_H = 5


def prepare(context, op):
    op.shaped(2, 3)
    if not op.options:
        op.refuse("has no options")
    return Convolution(context, op)


class Convolution:
    def __init__(self, context, op):
        x, weights, y = op.inputs[0], op.inputs[1], op.outputs[0]
        bias = op.inputs[2] if len(op.inputs) > 2 else None
        multipliers = prepared(op, x, weights, bias, y, 0)
        options = op.options
        _, in_h, in_w, in_channels = x.shape
        batches, out_h, out_w, channels = y.shape
        _, kernel_h, kernel_w, depth = weights.shape
        stride_h, stride_w = options.i32(_STRIDE_H), options.i32(_STRIDE_W)
        dilation_h, dilation_w = options.i32(_DILATION_H, 1), options.i32(_DILATION_W, 1)
        padding = options.i8(_PADDING)
        rows, top = span(op, padding, in_h, kernel_h, stride_h, dilation_h)
        columns, left = span(op, padding, in_w, kernel_w, stride_w, dilation_w)
        groups = in_channels // depth
        if (rows, columns) != (out_h, out_w) or groups * depth != in_channels or channels % groups:
            op.refuse("%s by %s gives no %s" % (x.shape, weights.shape, y.shape))
        lowest, highest = activation_range(op, y, options.i8(_ACTIVATION))
        terms = kernel_h * kernel_w * depth
        units = channels // groups
        self.geometry = [
            array(
                "i",
                [batches, in_h, in_w, in_channels, out_h, out_w, channels, kernel_h, kernel_w]
                + [stride_h, stride_w, dilation_h, dilation_w, top, left]
                + [x.zero_point(), y.zero_point(), lowest, highest]
                + [depth, group * depth, units, group * units],
            )
            for group in range(groups)
        ]
        self.x, self.y = x.data, y.data
        self.weights = four_rows(context.data, weights.offset, weights.size, terms)
        self.bias = biases(context, bias, channels)
        self.scaling = Scaling(multipliers, self.bias, channels, terms, reach_of(x))
        self.units = units
        self._context = context
        self.window = None
        context.want_window(self, terms)
        context.want_scratch(units)

    def run(self):
        scaling = self.scaling
        kernel = _portable if scaling.wide else convolve
        for geometry in self.geometry:
            kernel(
                geometry,
                self.x,
                self.y,
                self.weights,
                self.bias,
                scaling.high,
                scaling.low,
                scaling.shift,
                self.window,
                [0] * self.units if scaling.wide else self._context.scratch,
            )


def convolve(geometry, x, y, weights, bias, high, low, shift, window, acc):
    """A whole convolution, or one group of it: the seam for a native kernel.

    geometry: int32s, named below in order; pad_h, pad_w count from before the image; `depth`
    channels from `start` on of each input pixel, `units` of each output pixel from `first` on.
    x, y: int8 images. weights: four int8 views of the weights (channels, kernel_h, kernel_w,
    depth), one row after the other; the first is all of them. bias: int32 per channel.
    high, low, shift: see windows.requantize. window: int16, kernel_h * kernel_w * depth.
    acc: int32, `units`.
    """
    (
        batches, in_h, in_w, in_channels, out_h, out_w, channels, kernel_h, kernel_w,
        stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w,
        zero_in, zero_out, lowest, highest, depth, start, units, first,
    ) = geometry  # fmt: skip
    o = first
    k = kernel_h * kernel_w * depth * first
    image = start
    for _ in range(batches):
        top = -pad_h
        for _ in range(out_h):
            left = -pad_w
            for _ in range(out_w):
                p = 0
                row = top
                for _ in range(kernel_h):
                    column = left
                    for _ in range(kernel_w):
                        if 0 <= row < in_h and 0 <= column < in_w:
                            pixel = image + (row * in_w + column) * in_channels
                            for i in range(pixel, pixel + depth):
                                window[p] = x[i] - zero_in
                                p += 1
                        else:
                            for _ in range(depth):
                                window[p] = 0
                                p += 1
                        column += dilation_w
                    row += dilation_h
                dot_rows(acc, bias, weights, window, k, first, units)
                requantize(acc, y, o, units, first, high, low, shift, zero_out, lowest, highest)
                o += channels
                left += stride_w
            top += stride_h
        image += in_h * in_w * in_channels


_portable = convolve


def dot_rows(acc, bias, weights, x, k, first, units):
    """acc[u] = bias[first + u] + the dot product of x and row u of the weights from k on.

    Four rows at a time, so that one turn of the interpreter's loop serves four products.
    """
    w0, w1, w2, w3 = weights
    skip = 3 * len(x)
    for unit in range(0, units - 3, 4):
        a0 = bias[first]
        a1 = bias[first + 1]
        a2 = bias[first + 2]
        a3 = bias[first + 3]
        first += 4
        for v in x:
            a0 += v * w0[k]
            a1 += v * w1[k]
            a2 += v * w2[k]
            a3 += v * w3[k]
            k += 1
        acc[unit] = a0
        acc[unit + 1] = a1
        acc[unit + 2] = a2
        acc[unit + 3] = a3
        k += skip
    for unit in range(units & ~3, units):
        a0 = bias[first]
        first += 1
        for v in x:
            a0 += v * w0[k]
            k += 1
        acc[unit] = a0
