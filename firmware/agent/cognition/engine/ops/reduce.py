"""MEAN and SUM, int8 -> int8, over any axes.

C: QuantizedMeanOrSum in tensorflow/lite/kernels/internal/reference/reduce.h. One output at a time,
so that no memory for sums is needed.
"""

from .. import schema
from ..float32 import DOUBLE_BITS, ratio
from .walk import Walk, axis_of, known, product, strides

# Sums are small ints, and exact in fully_connected's rescaling, up to this many items each.
_MOST_ITEMS = 1 << 20

# Where the multiplier is above 1/4, a sum this far from the zero point lies outside int8.
_SATURATED = 1 << 11


def prepare(context, op):
    op.exactly(2)
    x, axes, y = op.inputs[0], op.inputs[1], op.outputs[0]
    op.typed(schema.INT8, schema.INT32, schema.INT8)
    if x.offset:
        op.refuse("its input is a constant")
    reduced = [axis_of(op, axis, len(x.shape)) for axis in known(context, op, axes)]
    kept = [i for i in range(len(x.shape)) if i not in reduced]
    steps = strides(x.shape)
    outer = Walk([x.shape[i] for i in kept], [steps[i] for i in kept])
    sizes = [x.shape[i] for i in range(len(x.shape)) if i in reduced]
    inner = Walk(sizes, [steps[i] for i in range(len(x.shape)) if i in reduced])
    if y.size != product([x.shape[i] for i in kept]):
        op.refuse("input shape %s over axes %s, output shape %s" % (x.shape, reduced, y.shape))
    count = product(sizes)
    multiplier, shift = _multiplier(op, x, y, count)
    return Reduce(x, y, outer, inner, count, multiplier, shift)


def _multiplier(op, x, y, count):
    from ..fixed_point import quantize_multiplier

    multiplier, shift = quantize_multiplier(ratio(x.scale(), y.scale(), DOUBLE_BITS))
    if op.name == "MEAN":
        by = 0
        while count >> by > 1:
            by += 1
        by = min(by, 31 + shift)
        multiplier = (multiplier << by) // count
        shift -= by
    if count > _MOST_ITEMS or shift > 15 or 255 * count << max(0, shift) >= 1 << 31:
        op.refuse("sums of %d items, or an output scale far below the input's" % count)
    return multiplier, shift


class Reduce:
    def __init__(self, x, y, outer, inner, count, multiplier, shift):
        self._x = x.data
        self._y = y.data
        self._outer = outer
        self._inner = inner
        self._offset = -x.zero_point() * count
        self._high = multiplier >> 16
        self._low = multiplier & 0xFFFF
        # A right shift by over 29 leaves 0 of what is below 2**28.
        self._right = min(29, max(0, -shift))
        self._left = max(0, shift)
        self._zero_point = y.zero_point()

    def run(self):
        x = self._x
        y = self._y
        outer = self._outer
        inner = self._inner
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
                y[o] = self._rescaled(acc)
                o += 1
                start += outer.step[0]
            more = outer.next()

    def _rescaled(self, acc):
        if self._left:
            acc = min(_SATURATED, max(-_SATURATED, acc)) << self._left
        low = self._low
        high = self._high
        b = acc & 16383
        acc >>= 14
        acc = (acc * high + ((b * high + ((acc * low + (b * low >> 14)) >> 2) + 16384) >> 14)) >> 1
        if self._right:
            if acc < 0:
                acc -= 1
            acc = (acc + (1 << (self._right - 1))) >> self._right
        return min(127, max(-128, acc + self._zero_point))


def total(acc, x, i, step, size):
    """acc + the sum of x[i::step], `size` items."""
    for _ in range(size):
        acc += x[i]
        i += step
    return acc
