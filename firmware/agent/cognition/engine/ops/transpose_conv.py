"""TRANSPOSE_CONV, int8 x int8 -> int8, per-tensor and per-channel scales, optional bias.

C: tensorflow/lite/kernels/internal/reference/integer_ops/transpose_conv.h. C scatters every input
into int32 sums of the whole output; here each output pixel gathers the taps that reach it, which
gives the same sums in another order and needs no memory for them.
"""

from array import array

from .. import schema
from .scaling import four_rows, requantize
from .windows import layer

# What loaded models go on using of this module: see forget_loader().
RUN = "run gather_rows requantize"

# table TransposeConvOptions
_ACTIVATION = 3


def prepare(context, op):
    if len(op.inputs) not in (3, 4) or len(op.outputs) != 1 or not op.inputs[0]:
        op.refuse("has %d inputs and %d outputs" % (len(op.inputs), len(op.outputs)))
    shape = op.inputs[0]
    if shape.type != schema.INT32:
        op.refuse("its output shape is %s; int32 is supported" % shape.type_name)
    return TransposedConvolution(context, op)


class TransposedConvolution:
    def __init__(self, context, op):
        _, weights, x, bias = (op.inputs + [None])[:4]
        y = op.outputs[0]
        self.bias, self.scaling, geometry = layer(
            context, op, x, weights, bias, 0, _ACTIVATION, transposed=1
        )
        self.geometry = array("i", geometry)
        channels, kernel_h, kernel_w = geometry[6:9]
        depth = x.shape[3]
        if depth != weights.shape[3]:
            op.refuse("%s by %s gives no %s" % (x.shape, weights.shape, y.shape))
        terms = kernel_h * kernel_w * depth
        self.x, self.y = x.view, y.view
        self.weights = four_rows(context.view, weights.begin, weights.size, terms)
        self.taps = array("i", bytes(8 * kernel_h * kernel_w))
        self._context = context
        context.want_scratch(channels)

    def run(self):
        (
            batches, in_h, in_w, depth, out_h, out_w, channels, kernel_h, kernel_w,
            stride_h, stride_w, _, _, pad_h, pad_w, zero_in, zero_out, lowest, highest,
        ) = self.geometry  # fmt: skip
        scaling = self.scaling
        acc = [0] * channels if scaling.wide else self._context.scratch
        taps = self.taps
        in_rows = in_h * stride_h
        in_columns = in_w * stride_w
        o = 0
        image = 0
        for _ in range(batches):
            for out_row in range(pad_h, pad_h + out_h):
                for out_column in range(pad_w, pad_w + out_w):
                    n = 0
                    k = 0
                    for row in range(out_row, out_row - kernel_h, -1):
                        line = image + row // stride_h * in_w * depth
                        inside = row % stride_h == 0 and 0 <= row < in_rows
                        for column in range(out_column, out_column - kernel_w, -1):
                            if inside and column % stride_w == 0 and 0 <= column < in_columns:
                                taps[n] = line + column // stride_w * depth
                                taps[n + 1] = k
                                n += 2
                            k += depth
                    gather_rows(
                        acc, self.bias, self.weights, self.x, taps, n, depth, k, zero_in, channels
                    )
                    requantize(
                        acc, self.y, o, channels, 0, scaling.highs, scaling.lows, scaling.shifts,
                        zero_out, lowest, highest,
                    )  # fmt: skip
                    o += channels
            image += in_h * in_w * depth


def gather_rows(acc, bias, weights, x, taps, n, depth, row_size, zero_in, channels):
    """acc[c] = bias[c] + the sum over taps of (x - zero point) * weight.

    weights: four int8 views of the weights (channels, kernel_h, kernel_w, depth), one row after the
    other; the first is all of them. taps: n items, in turn where a tap's pixel starts in x and in a
    row of the weights.
    """
    w0, w1, w2, w3 = weights
    row = 0
    for c in range(0, channels - 3, 4):
        a0 = bias[c]
        a1 = bias[c + 1]
        a2 = bias[c + 2]
        a3 = bias[c + 3]
        for t in range(0, n, 2):
            pixel = taps[t]
            k = row + taps[t + 1]
            for i in range(pixel, pixel + depth):
                v = x[i] - zero_in
                a0 += v * w0[k]
                a1 += v * w1[k]
                a2 += v * w2[k]
                a3 += v * w3[k]
                k += 1
        acc[c] = a0
        acc[c + 1] = a1
        acc[c + 2] = a2
        acc[c + 3] = a3
        row += 4 * row_size
    for c in range(channels & ~3, channels):
        a0 = bias[c]
        for t in range(0, n, 2):
            pixel = taps[t]
            k = row + taps[t + 1]
            for i in range(pixel, pixel + depth):
                a0 += (x[i] - zero_in) * w0[k]
                k += 1
        acc[c] = a0
        row += row_size
