"""MEAN and SUM, int8 -> int8, over any axes.

C: QuantizedMeanOrSum in tensorflow/lite/kernels/internal/reference/reduce.h. One output at a time,
so that no memory for sums is needed.
"""

from .. import schema
from ..float32 import DOUBLE_BITS, ratio
from .small_ints import rescaled16
from .walk import Walk, axis_of, known, product, strides

# What loaded models go on using of this module: see forget_loader().
RUN = "run _put rescaled16 total _SATURATED"

# Sums are small ints, and exact in fully_connected's rescaling, up to this many items each.
_MOST_ITEMS = 1 << 20

# Where the multiplier is above 1/4, a sum this far from the zero point lies outside int8.
_SATURATED = 1 << 11


def prepare(context, op):
    op.exactly(2)
    x, axes = op.inputs
    y = op.outputs[0]
    op.typed(schema.INT8, schema.INT32, schema.INT8)
    if x.begin:
        op.refuse("its input is a constant")
    shape = x.shape
    reduced = [axis_of(op, axis, len(shape)) for axis in known(context, op, axes)]
    walks = []
    counts = []
    steps = strides(shape)
    for inside in (False, True):
        loops = [i for i in range(len(shape)) if (i in reduced) == inside]
        sizes = [shape[i] for i in loops]
        counts.append(product(sizes))
        walks.append(Walk(sizes, [steps[i] for i in loops]))
    if y.size != counts[0]:
        op.refuse("input shape %s over axes %s, output shape %s" % (shape, reduced, y.shape))
    return Reduce(op, x, y, walks, counts[1])


class Reduce:
    def __init__(self, op, x, y, walks, count):
        from ..fixed_point import quantize_multiplier

        multiplier, shift = quantize_multiplier(ratio(x.scale(), y.scale(), DOUBLE_BITS))
        if op.code == schema.MEAN:
            by = 0
            while count >> by > 1:
                by += 1
            by = min(by, 31 + shift)
            multiplier = (multiplier << by) // count
            shift -= by
        if count > _MOST_ITEMS or shift > 15 or 255 * count << max(0, shift) >= 1 << 31:
            op.refuse("sums of %d items, or an output scale far below the input's" % count)
        self._x = x.view
        self._y = y.view
        self._walks = walks
        # A right shift by over 29 leaves 0 of what is below 2**28.
        self._numbers = multiplier >> 16, multiplier & 0xFFFF, max(-29, shift)
        self._zero_point = y.zero_point()
        self._offset = -x.zero_point() * count

    def run(self):
        x = self._x
        outer, inner = self._walks
        at = outer.at
        inner_at = inner.at
        size = inner.size
        step = inner.step[0]
        o = 0
        more = True
        while more:
            start = at[0]
            for _ in range(outer.size):
                acc = self._offset
                while True:
                    acc = total(acc, x, start + inner_at[0], step, size)
                    if not inner.next():
                        break
                self._put(o, acc)
                o += 1
                start += outer.step[0]
            more = outer.next()

    def _put(self, o, acc):
        high, low, shift = self._numbers
        if shift > 0:
            acc = min(_SATURATED, max(-_SATURATED, acc))
        acc = rescaled16(acc, high, low, shift) + self._zero_point
        self._y[o] = min(127, max(-128, acc))


def total(acc, x, i, step, size):
    """acc + the sum of x[i::step], `size` items."""
    for _ in range(size):
        acc += x[i]
        i += step
    return acc
