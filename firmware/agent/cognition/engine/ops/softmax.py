"""SOFTMAX, int8 -> int8, in gemmlowp's fixed point.

C: tensorflow/lite/kernels/internal/reference/softmax.h and GetReciprocal in internal/common.h.
exp() of every possible difference to the row's maximum is a table made at load. The reciprocal of
the sum has to be computed for every row: an int32 does not fit the board's 31-bit small ints, so it
is held as three limbs of 11 bits, the highest signed (value = l0 + l1 * 2**11 + l2 * 2**22), and
nothing is allocated.
"""

from array import array

from .. import schema
from ..float32 import DOUBLE_BITS, from_bits, product

# What loaded models go on using of this module: see forget_loader().
RUN = "run _row _reciprocal _high_mul _add"

# The sum of exponentials, each up to 2**19, has to stay a small int.
_MAX_CLASSES = 2047
_MAX_MULTIPLIER = 0x7FFFFFFF


def prepare(context, op):
    op.shaped(1, 1)
    op.typed(schema.INT8, schema.INT8)
    op.same_size()
    source, target = op.inputs[0], op.outputs[0]
    if target.zero_point() != -128 or target.scale() != (1 << 23, -31):
        op.refuse("output must have scale 1/256 and zero point -128")
    classes = source.shape[-1] if source.shape else 1
    if classes > _MAX_CLASSES or source.shape != target.shape:
        op.refuse(
            "shape %s to %s; at most %d classes: leave it out, the largest input is the likeliest"
            % (source.shape, target.shape, _MAX_CLASSES)
        )
    beta = from_bits(op.options.u32(schema.SOFTMAX_BETA)) if op.options else None
    if beta is None:
        op.refuse("beta is not a positive number")
    return Softmax(op, beta, classes)


def _multiplier(op, scale, beta):
    """C: PreprocessSoftmaxScaling, to differences in Q5."""
    from ..fixed_point import quantize_multiplier

    m, e = product(scale, beta, DOUBLE_BITS)
    e += 26
    # Compared as m * 2**e > 2**31 - 1 without a shift as long as a hostile exponent.
    if e >= 31 or (m << e if e >= 0 else m >> -e) >= _MAX_MULTIPLIER:
        m, e = _MAX_MULTIPLIER, 0
    multiplier, shift = quantize_multiplier((m, e))
    if shift < 1:
        op.refuse("beta x input scale is too small")
    return multiplier, shift


class Softmax:
    def __init__(self, op, beta, classes):
        from ..exponential import exp_on_negative_values, input_radius
        from ..fixed_point import multiply

        multiplier, shift = _multiplier(op, op.inputs[0].scale(), beta)
        # Differences beyond this count as probability 0.
        self._steps = min(255, input_radius(5, shift))
        exps = self._exp = [array("h", bytes(2 * self._steps + 2)) for _ in range(3)]
        for step in range(self._steps + 1):
            value = exp_on_negative_values(multiply(-step, multiplier, shift), 5)
            exps[0][step] = value & 2047
            exps[1][step] = value >> 11 & 2047
            exps[2][step] = value >> 22
        self._r = array("h", bytes(6))
        self._x = array("h", bytes(6))
        x, y = op.inputs[0].view, op.outputs[0].view
        self._rows = [
            (x[i : i + classes], y[i : i + classes]) for i in range(0, op.inputs[0].size, classes)
        ]

    def run(self):
        for x, y in self._rows:
            self._row(x, y)

    def _row(self, x, y):
        exp0, exp1, exp2 = self._exp
        steps = self._steps
        top = -128
        for v in x:
            if v > top:
                top = v
        total = 0  # Q12
        for v in x:
            v = top - v
            if v <= steps:
                total += ((exp2[v] << 11 | exp1[v]) + 1) >> 1
        shift = _reciprocal(total, self._r, self._x) + 12
        r = self._r
        r0 = r[0]
        r1 = r[1]
        r2 = r[2]
        half = 1 << (shift - 1)
        p = self._x
        i = 0
        for v in x:
            v = top - v
            if v <= steps:
                _high_mul(p, r0, r1, r2, exp0[v], exp1[v], exp2[v])
                v = (((p[2] << 11 | p[1]) + half) >> shift) - 128
                y[i] = v if v < 127 else 127
            else:
                y[i] = -128
            i += 1


def _high_mul(out, a0, a1, a2, b0, b1, b2):
    """out = floor((a * b + 2**30) / 2**31), gemmlowp's rounding doubling high half, on limbs."""
    s = (a0 * b0 >> 11) + a0 * b1 + a1 * b0
    s = (s >> 11) + a0 * b2 + a1 * b1 + a2 * b0 + 256
    s = (s >> 9) + ((a1 * b2 + a2 * b1) << 2)
    out[0] = s & 2047
    s = (s >> 11) + (a2 * b2 << 2)
    out[1] = s & 2047
    out[2] = s >> 11


def _reciprocal(total, r, p):
    """r = 2**31 / (total / 2**k), saturated, as limbs; returns k - 19 for total / 2**k in [1, 2).

    C: GetReciprocal with 12 integer bits, then one_over_one_plus_x_for_x_in_0_1: Newton and Raphson
    from 48/17 - 32/17 * d. `total` is in [2**19, 2**30); `p` is three limbs of scratch.
    """
    bits = 20
    while total >> bits:
        bits += 1
    # a = fraction of the normalised total; d = (a + 1) / 2 = half of the denominator 1 + a
    total -= 1 << (bits - 1)
    d = (total & 2047) << (32 - bits)
    d0 = d & 2047
    d = (total >> 11 << (32 - bits)) + (d >> 11)
    d0 = d0 >> 1 | (d & 1) << 10
    d1 = d >> 1 & 2047
    d2 = (d >> 12) + 256
    # -32/17 and 48/17 in Q2
    _high_mul(r, d0, d1, d2, -1010580540 & 2047, -1010580540 >> 11 & 2047, -1010580540 >> 22)
    _add(r, 1515870810 & 2047, 1515870810 >> 11 & 2047, 1515870810 >> 22)
    for _ in range(3):
        _high_mul(p, d0, d1, d2, r[0], r[1], r[2])
        s = -p[0]
        p[0] = s & 2047
        s = (s >> 11) - p[1]
        p[1] = s & 2047
        p[2] = (s >> 11) - p[2] + 128  # 1 in Q2 is 2**29 = 128 * 2**22
        _high_mul(p, r[0], r[1], r[2], p[0], p[1], p[2])
        # The error is at most 1/17 from the first step on, so times 4 never saturates.
        _add(r, p[0] << 2, p[1] << 2, p[2] << 2)
    if r[2] >= 256:
        r[0] = r[1] = 2047
        r[2] = 511
    else:
        _add(r, r[0], r[1], r[2])
    return bits - 20


def _add(r, b0, b1, b2):
    s = r[0] + b0
    r[0] = s & 2047
    s = (s >> 11) + r[1] + b1
    r[1] = s & 2047
    r[2] = (s >> 11) + r[2] + b2
