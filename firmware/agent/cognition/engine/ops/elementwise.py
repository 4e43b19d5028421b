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

_FUSED_ACTIVATION = 0  # of AddOptions, SubOptions and MulOptions

# A left shift beyond this changes nothing: a product of 1 already lies outside the int8 range.
_LEFT_SHIFT_LIMIT = 11


def prepare(context, op):
    op.exactly(2)
    for tensor in op.inputs + op.outputs:
        if tensor.type != schema.INT8:
            op.typed(schema.INT8, schema.INT8, schema.INT8)
    a, b, y = op.inputs[0], op.inputs[1], op.outputs[0]
    walk = Walk(y.shape, *_broadcast(op, a.shape, b.shape, y.shape))
    loop, tables, numbers = _PREPARE[op.name](op, a, b, y)
    return Elementwise(
        loop, target(op, y), values(context, op, a), values(context, op, b), walk, tables, numbers
    )


def _broadcast(op, a, b, y):
    """Steps of both inputs in each dimension of the output, 0 where they are repeated."""
    n = max(len(a), len(b), len(y))
    shapes = [(1,) * (n - len(shape)) + shape for shape in (a, b, y)]
    result = []
    for shape in shapes[:2]:
        steps = strides(shape)
        for i in range(n):
            other = max(shapes[0][i], shapes[1][i])
            if shape[i] != other:
                if shape[i] != 1:
                    op.refuse("shapes %s and %s do not match" % (a, b))
                steps[i] = 0
            if shapes[2][i] != other:
                op.refuse("output shape %s of input shapes %s and %s" % (y, a, b))
        result.append(steps[n - len(y) :])
    return result


class Elementwise:
    def __init__(self, loop, y, a, b, walk, tables, numbers):
        self._loop = loop
        self._y = y
        self._a = a
        self._b = b
        self._walk = walk
        self._table_a, self._table_b = tables
        self._numbers = array("i", numbers)

    def run(self):
        walk = self._walk
        at = walk.at
        size = walk.size
        a_step, b_step = walk.step
        o = 0
        while True:
            self._loop(
                self._y,
                o,
                o + size,
                self._a,
                at[0],
                a_step,
                self._b,
                at[1],
                b_step,
                self._table_a,
                self._table_b,
                self._numbers,
            )
            o += size
            if not walk.next():
                break


def _table(op, tensor, twice_max, left_shift, sign):
    """What each value of an input is worth on the common scale; indexed as Lookup's table is."""
    from ..fixed_point import multiply

    multiplier, shift = _below_one(op, ratio(tensor.scale(), twice_max, DOUBLE_BITS))
    zero_point = tensor.zero_point()
    return array(
        "i",
        [
            sign * multiply((v - zero_point) << left_shift, multiplier, shift)
            for v in list(range(128)) + list(range(-128, 0))
        ],
    )


def _below_one(op, number):
    """QuantizeMultiplierSmallerThanOneExp, which stops the program at 1 or more."""
    from ..fixed_point import quantize_multiplier

    multiplier, shift = quantize_multiplier(number)
    if shift > 0:
        op.refuse("output scale is too small for the input scales")
    return multiplier, shift


def _numbers(op, y, multiplier, shift):
    """What the loops need of the output: multiplier in halves, shift, zero point, limits."""
    activation = op.options.i8(_FUSED_ACTIVATION) if op.options else 0
    lowest, highest = activation_range(op, y, activation)
    return multiplier >> 16, multiplier & 0xFFFF, shift, y.zero_point(), lowest, highest


def _larger(a, b):
    """The larger of two numbers whose mantissas have equally many bits."""
    return a if (a[1], a[0]) > (b[1], b[0]) else b


def _prepare_sum(op, a, b, y):
    twice_max = _larger(a.scale(), b.scale())
    twice_max = twice_max[0], twice_max[1] + 1
    sign = 1 if op.name == "ADD" else -1
    tables = [_table(op, t, twice_max, 20, s) for t, s in ((a, 1), (b, sign))]
    m, e = y.scale()
    multiplier, shift = _below_one(op, ratio(twice_max, (m, e + 20), DOUBLE_BITS))
    # A right shift by over 29 leaves 0 of what is below 2**28; its rounding term is no small int.
    return add, tables, _numbers(op, y, multiplier, max(-29, shift))


def _prepare_mul(op, a, b, y):
    from ..fixed_point import quantize_multiplier

    scales = product(a.scale(), b.scale(), DOUBLE_BITS)
    multiplier, shift = quantize_multiplier(ratio(scales, y.scale(), DOUBLE_BITS))
    if shift > 15:
        op.refuse("output scale is too small for the input scales")
    shift = max(-29, min(_LEFT_SHIFT_LIMIT, shift))
    zero_points = a.zero_point(), b.zero_point()
    return mul, (None, None), _numbers(op, y, multiplier, shift) + zero_points


def _prepare_squared_difference(op, a, b, y):
    from ..fixed_point import quantize_multiplier

    m, e = _larger(a.scale(), b.scale())
    twice_max = m, e + 1
    tables = [_table(op, t, twice_max, 7, 1) for t in (a, b)]
    square = product(twice_max, twice_max, DOUBLE_BITS)
    m, e = y.scale()
    multiplier, shift = quantize_multiplier(ratio(square, (m, e + 14), DOUBLE_BITS))
    if shift > 0:
        op.refuse("output scale is too small for the input scales")
    return (
        squared_difference,
        tables,
        (multiplier >> 16, multiplier & 0xFFFF, -shift, y.zero_point(), -128, 127),
    )


def _prepare_extreme(op, a, b, y):
    # C compares the numbers as they are stored, whatever their scales.
    return maximum if op.name == "MAXIMUM" else minimum, (None, None), ()


_PREPARE = {
    "ADD": _prepare_sum,
    "SUB": _prepare_sum,
    "MUL": _prepare_mul,
    "MAXIMUM": _prepare_extreme,
    "MINIMUM": _prepare_extreme,
    "SQUARED_DIFFERENCE": _prepare_squared_difference,
}


# The innermost loops: y[o:end] from a[i::di] and b[j::dj]. Rescaling as in fully_connected.


def add(y, o, end, a, i, di, b, j, dj, table_a, table_b, numbers):
    h = numbers[0]
    m = numbers[1]
    s = -numbers[2]
    nudge = 1 << (s - 1) if s else 0
    zero_point = numbers[3]
    lowest = numbers[4]
    highest = numbers[5]
    while o < end:
        v = table_a[a[i]] + table_b[b[j]]
        i += di
        j += dj
        q = v & 16383
        v >>= 14
        v = (v * h + ((q * h + ((v * m + (q * m >> 14)) >> 2) + 16384) >> 14)) >> 1
        if s:
            if v < 0:
                v -= 1
            v = (v + nudge) >> s
        v += zero_point
        y[o] = lowest if v < lowest else highest if v > highest else v
        o += 1


def mul(y, o, end, a, i, di, b, j, dj, table_a, table_b, numbers):
    h = numbers[0]
    m = numbers[1]
    s = -numbers[2]
    left = 0
    if s < 0:
        left = -s
        s = 0
    nudge = 1 << (s - 1) if s else 0
    zero_point = numbers[3]
    lowest = numbers[4]
    highest = numbers[5]
    zero_a = numbers[6]
    zero_b = numbers[7]
    while o < end:
        v = (a[i] - zero_a) * (b[j] - zero_b) << left
        i += di
        j += dj
        q = v & 16383
        v >>= 14
        v = (v * h + ((q * h + ((v * m + (q * m >> 14)) >> 2) + 16384) >> 14)) >> 1
        if s:
            if v < 0:
                v -= 1
            v = (v + nudge) >> s
        v += zero_point
        y[o] = lowest if v < lowest else highest if v > highest else v
        o += 1


def squared_difference(y, o, end, a, i, di, b, j, dj, table_a, table_b, numbers):
    h = numbers[0]
    m = numbers[1]
    s = numbers[2]
    zero_point = numbers[3]
    while o < end:
        v = table_a[a[i]] - table_b[b[j]]
        i += di
        j += dj
        v = rounding_divide(high_mul(v * v, h, m), s) + zero_point
        y[o] = 127 if v > 127 else v
        o += 1


def maximum(y, o, end, a, i, di, b, j, dj, table_a, table_b, numbers):
    while o < end:
        v = a[i]
        w = b[j]
        y[o] = v if v > w else w
        i += di
        j += dj
        o += 1


def minimum(y, o, end, a, i, di, b, j, dj, table_a, table_b, numbers):
    while o < end:
        v = a[i]
        w = b[j]
        y[o] = v if v < w else w
        i += di
        j += dj
        o += 1
