"""AVERAGE_POOL_2D and MAX_POOL_2D, int8 -> int8, fused activations.

C: tensorflow/lite/kernels/internal/reference/integer_ops/pooling.h. A window is cut where it leaves
the image; an average is over what is left, rounded half away from zero.
"""

from array import array

from .. import schema
from . import activation_range
from .windows import images, span

# What loaded models go on using of this module: see forget_loader().
RUN = "run window_of"

# table Pool2DOptions
_PADDING = 0
_STRIDE_W = 1
_STRIDE_H = 2
_FILTER_W = 3
_FILTER_H = 4
_ACTIVATION = 5

# Sums of a window stay small ints.
_MOST_ITEMS = 1 << 22


def prepare(context, op):
    op.shaped(1, 1)
    op.typed(schema.INT8, schema.INT8)
    options = op.options
    if not options:
        op.refuse("has no options")
    x, y = op.inputs[0], op.outputs[0]
    images(op, x, y)
    _same_scale(op, x, y)
    batches, in_h, in_w, channels = x.shape
    kernel_h, kernel_w = options.i32(_FILTER_H), options.i32(_FILTER_W)
    stride_h, stride_w = options.i32(_STRIDE_H), options.i32(_STRIDE_W)
    padding = options.i8(_PADDING)
    rows, top = span(op, padding, in_h, kernel_h, stride_h, 1)
    columns, left = span(op, padding, in_w, kernel_w, stride_w, 1)
    if (batches, rows, columns, channels) != y.shape or in_h * in_w > _MOST_ITEMS:
        op.refuse("%s in windows of %d x %d gives no %s" % (x.shape, kernel_h, kernel_w, y.shape))
    geometry = x.shape + (rows, columns, kernel_h, kernel_w, stride_h, stride_w, top, left)
    geometry += activation_range(op, y, _ACTIVATION)
    return Pool(array("i", geometry), x.view, y.view, op.code == schema.MAX_POOL_2D)


def _same_scale(op, x, y):
    """TFLite-Micro's own condition: scales within 1e-6, equal zero points."""
    a, b = x.scale(), y.scale()
    lowest = min(a[1], b[1])
    difference = abs((a[0] << (a[1] - lowest)) - (b[0] << (b[1] - lowest))) * 1000000
    apart = difference << max(0, lowest) > 1 << max(0, -lowest)
    if apart or x.zero_point() != y.zero_point():
        op.refuse("input and output have different scales or zero points")


class Pool:
    """geometry: int32s, named in run() in order; pad_h, pad_w count from before the image.

    x, y: int8 images. largest: the maximum of each window instead of the average.
    """

    def __init__(self, geometry, x, y, largest):
        self.geometry = geometry
        self.x = x
        self.y = y
        self.largest = largest

    def run(self):
        (
            batches, in_h, in_w, channels, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w,
            pad_h, pad_w, lowest, highest,
        ) = self.geometry  # fmt: skip
        x = self.x
        y = self.y
        line = in_w * channels
        o = 0
        image = 0
        for _ in range(batches):
            top = -pad_h
            for _ in range(out_h):
                first_row = max(0, top)
                rows = min(in_h, top + kernel_h) - first_row
                left = -pad_w
                for _ in range(out_w):
                    first = max(0, left)
                    columns = min(in_w, left + kernel_w) - first
                    i = image + first_row * line + first * channels
                    window_of(
                        y, o, x, i, rows, columns, line, channels, lowest, highest, self.largest
                    )
                    o += channels
                    left += stride_w
                top += stride_h
            image += in_h * line


def window_of(y, o, x, i, rows, columns, line, channels, lowest, highest, largest):
    """y[o + c] = the mean of `rows` x `columns` pixels of x from item i on, lines `line` apart.

    largest: their maximum.
    """
    count = rows * columns
    half = count // 2
    for c in range(i, i + channels):
        acc = lowest if largest else 0
        for _ in range(rows):
            k = c
            for _ in range(columns):
                if not largest:
                    acc += x[k]
                elif x[k] > acc:
                    acc = x[k]
                k += channels
            c += line
        if not largest:
            acc = (acc + half) // count if acc > 0 else -((half - acc) // count)
        y[o] = lowest if acc < lowest else highest if acc > highest else acc
        o += 1
