"""ADD, SUB, MUL, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE: two int8 tensors to one, with broadcasting.

C: tensorflow/lite/micro/kernels/{add,sub,mul,maximum_minimum,squared_difference}*.cc and
tensorflow/lite/kernels/internal/reference/{sub,maximum_minimum}.h, integer_ops/{add,mul}.h.

ADD and SUB bring both inputs to a common scale of twice the larger one, shifted left by 20 bits.
That takes 8 bits to an int32, so a table of 256 int32s for each input holds the results, those of
SUB's second input negated; what is left is one sum and one rescaling. SQUARED_DIFFERENCE does the
same with a shift of 7.
"""

from array import array

from .. import schema
from ..float32 import DOUBLE_BITS, product, ratio
from . import activation_range
from .small_ints import high_mul, rounding_divide
from .walk import Walk, strides, target, values

# What loaded models go on using of this module: see forget_loader().
RUN = "run high_mul rounding_divide"

_FUSED_ACTIVATION = 0  # of AddOptions, SubOptions and MulOptions

# A left shift beyond this changes nothing: a product of 1 already lies outside the int8 range.
_LEFT_SHIFT_LIMIT = 11


def prepare(context, op):
    from ..fixed_point import multiply, quantize_multiplier

    op.exactly(2)
    op.typed(schema.INT8, schema.INT8, schema.INT8)
    a, b = op.inputs
    y = op.outputs[0]
    walk = Walk(y.shape, *_broadcast(op, a.shape, b.shape, y.shape))
    code = op.code
    loop = extreme
    tables: list = [None, None]
    # C compares the numbers as they are stored, whatever their scales.
    numbers: tuple = (code == schema.MAXIMUM,)
    if code not in (schema.MAXIMUM, schema.MINIMUM):
        loop = rescale
        left = 20
        most = 0
        lowest, highest = -128, 127
        if code == schema.SQUARED_DIFFERENCE:
            loop = squared_difference
            left = 7
        else:
            lowest, highest = activation_range(op, y, _FUSED_ACTIVATION)
        m, e = y.scale()
        if code == schema.MUL:
            most = 15
            scale = product(a.scale(), b.scale(), DOUBLE_BITS)
        else:
            # Twice the larger of both scales, whose mantissas have equally many bits.
            scale = a.scale()
            other = b.scale()
            if (other[1], other[0]) > (scale[1], scale[0]):
                scale = other
            scale = twice = scale[0], scale[1] + 1
            e += left
            if loop == squared_difference:
                scale = product(twice, twice, DOUBLE_BITS)
                e += left
            for k, tensor in enumerate((a, b)):
                by, shift = quantize_multiplier(ratio(tensor.scale(), twice, DOUBLE_BITS))
                zero_point = tensor.zero_point()
                sign = -1 if k and code != schema.ADD else 1
                # Indexed as Lookup's table is. C stops the program at shifts above 0: never here.
                tables[k] = array("i")
                for v in list(range(128)) + list(range(-128, 0)):
                    tables[k].append(sign * multiply((v - zero_point) << left, by, shift))
        multiplier, shift = quantize_multiplier(ratio(scale, (m, e), DOUBLE_BITS))
        if shift > most:
            op.refuse("output scale is too small for the input scales")
        # A right shift by over 29 leaves 0 of what is below 2**28; its rounding term is no small
        # int.
        shift = min(_LEFT_SHIFT_LIMIT, shift)
        if left == 20:
            shift = max(-29, shift)
        numbers = (
            multiplier >> 16, multiplier & 0xFFFF, shift, y.zero_point(), lowest, highest,
            a.zero_point(), b.zero_point(),
        )  # fmt: skip
    a, b = values(context, op, a), values(context, op, b)
    return Elementwise(loop, target(op, y), a, b, walk, tables, array("i", numbers))


def _broadcast(op, a, b, y):
    """Steps of both inputs in each dimension of the output, 0 where they are repeated."""
    shapes = [(1,) * (len(y) - len(shape)) + shape for shape in (a, b)]
    for size, one, other in zip(y, *shapes):
        if size != (other if one == 1 else one) or other not in (1, size):
            shapes[0] = ()
    if not len(shapes[0]) == len(shapes[1]) == len(y):
        op.refuse("input shapes %s and %s do not match output shape %s" % (a, b, y))
    return [
        [step if size > 1 else 0 for step, size in zip(strides(shape), shape)] for shape in shapes
    ]


class Elementwise:
    def __init__(self, *parts):
        self._parts = parts

    def run(self):
        loop, y, a, b, walk, tables, numbers = self._parts
        table_a, table_b = tables
        at = walk.at
        size = walk.size
        a_step, b_step = walk.step
        o = 0
        while True:
            loop(y, o, o + size, a, at[0], a_step, b, at[1], b_step, table_a, table_b, numbers)
            o += size
            if not walk.next():
                break


# The innermost loops: y[o:end] from a[i::di] and b[j::dj].


def rescale(y, o, end, a, i, di, b, j, dj, table_a, table_b, numbers):
    """The sum of the tables' items or, without tables, the product, rescaled as in scaling."""
    h, m, s, zero_point, lowest, highest, zero_a, zero_b = numbers
    left = s if s > 0 else 0
    s = left - s
    nudge = 1 << s >> 1
    while o < end:
        if table_a is None:
            v = (a[i] - zero_a) * (b[j] - zero_b) << left
        else:
            v = table_a[a[i]] + table_b[b[j]]
        i += di
        j += dj
        q = v & 16383
        v >>= 14
        v = (v * h + ((q * h + ((v * m + (q * m >> 14)) >> 2) + 16384) >> 14)) >> 1
        if nudge:
            if v < 0:
                v -= 1
            v = (v + nudge) >> s
        v += zero_point
        y[o] = lowest if v < lowest else highest if v > highest else v
        o += 1


def squared_difference(y, o, end, a, i, di, b, j, dj, table_a, table_b, numbers):
    h, m, s, zero_point, _, _, _, _ = numbers
    while o < end:
        v = table_a[a[i]] + table_b[b[j]]
        i += di
        j += dj
        v = rounding_divide(high_mul(v * v, h, m), -s) + zero_point
        y[o] = 127 if v > 127 else v
        o += 1


def extreme(y, o, end, a, i, di, b, j, dj, table_a, table_b, numbers):
    larger = numbers[0]
    while o < end:
        v = a[i]
        w = b[j]
        y[o] = v if (v > w) == larger else w
        i += di
        j += dj
        o += 1
