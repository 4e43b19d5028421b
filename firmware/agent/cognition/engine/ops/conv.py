"""CONV_2D, int8 x int8 -> int8, per-tensor and per-channel scales, dilation, groups.

C: tensorflow/lite/kernels/internal/reference/integer_ops/conv.h. Per output pixel the window is
gathered once as int16, with the zero point taken off, so that a tap outside the image is a 0 as in
C and no sums of weights are needed; then every output channel is a dot product with a row of the
weights, which stay in the file.
"""

from array import array

from .scaling import dot_rows, four_rows, requantize
from .windows import layer

# What loaded models go on using of this module: see forget_loader().
RUN = "run _group dot_rows requantize"

# table Conv2DOptions
_ACTIVATION = 3


def prepare(context, op):
    op.shaped(2, 3)
    x, weights, bias = (op.inputs + [None])[:3]
    y = op.outputs[0]
    values, scaling, geometry = layer(context, op, x, weights, bias, 0, _ACTIVATION)
    in_channels, channels = x.shape[3], y.shape[3]
    depth = weights.shape[3]
    groups = in_channels // depth
    if groups * depth != in_channels or channels % groups:
        op.refuse("%s by %s gives no %s" % (x.shape, weights.shape, y.shape))
    terms = weights.size // channels
    return Convolution(
        context,
        x.view,
        y.view,
        four_rows(context.view, weights.begin, weights.size, terms),
        values,
        scaling,
        geometry,
        groups,
    )


class Convolution:
    """One layer, in groups of channels: int8 images x to y.

    weights: four int8 views of (channels, kernel_h, kernel_w, depth), one row after the other; the
    first is all of them. bias: int32 per channel. geometry: see windows.layer; then, per group,
    depth, its first input channel, how many output channels, its first.
    """

    def __init__(self, context, x, y, weights, bias, scaling, geometry, groups):
        self.x = x
        self.y = y
        self.weights = weights
        self.bias = bias
        self.scaling = scaling
        depth, units = geometry[3] // groups, geometry[6] // groups
        self.geometry = [
            array("i", geometry + (depth, group * depth, units, group * units))
            for group in range(groups)
        ]
        self.window = None
        self._context = context
        context.want_window(self, geometry[7] * geometry[8] * depth)
        context.want_scratch(units)

    def run(self):
        for geometry in self.geometry:
            self._group(geometry)

    def _group(self, geometry):
        (
            batches, in_h, in_w, in_channels, out_h, out_w, channels, kernel_h, kernel_w,
            stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w,
            zero_in, zero_out, lowest, highest, depth, start, units, first,
        ) = geometry  # fmt: skip
        scaling = self.scaling
        acc = [0] * units if scaling.wide else self._context.scratch
        x = self.x
        window = self.window
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
                                    window[p] = x[i] - zero_in  # type: ignore[index]
                                    p += 1
                            else:
                                for _ in range(depth):
                                    window[p] = 0  # type: ignore[index]
                                    p += 1
                            column += dilation_w
                        row += dilation_h
                    dot_rows(acc, self.bias, self.weights, window, k, first, units)
                    requantize(
                        acc, self.y, o, units, first, scaling.highs, scaling.lows, scaling.shifts,
                        zero_out, lowest, highest,
                    )  # fmt: skip
                    o += channels
                    left += stride_w
                top += stride_h
            image += in_h * in_w * in_channels
