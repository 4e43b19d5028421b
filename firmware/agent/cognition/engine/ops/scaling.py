"""Requantising and what it needs, shared by all operators with weights.

C: MultiplyByQuantizedMultiplier in tensorflow/lite/kernels/internal/common.h; docs/engine.md has
the arithmetic in small ints.
"""

from array import array

from .. import schema
from ..views import as_int8, as_int32

# What loaded models go on using of this module: see forget_loader().
RUN = "requantize _requantize_wide dot_rows"

# requantize() is exact while the accumulator, shifted left where the multiplier asks for it, stays
# below this.
ACC_LIMIT = 1 << 27


def biases(context, bias, channels):
    """The biases where they lie, if int32s can be read there; else a copy. Zeros without."""
    if bias is None:
        return array("i", bytes(4 * channels))
    view = as_int32(context.view, bias.begin, channels)
    if view is not None:
        return view
    return array("i", [context.reader.i32(bias.begin + 4 * c) for c in range(channels)])


def scaled_multiplier(a, b, c):
    """QuantizeMultiplier(a * b / c) in double, of three float32s' mantissas and exponents.

    a * b is exact in double. q has one bit more than the multiplier, so rounding is adding 1. The
    quotient rounded to 53 bits is q + 1 where it lies within 2**-22 below that: the only case in
    which rounding it first makes a difference.
    """
    m = c[0]
    shift = a[1] + b[1] - c[1] + 25
    numerator = a[0] * b[0] << 7
    while numerator < m << 31:
        numerator <<= 1
        shift -= 1
    q = numerator // m
    if numerator - q * m >= m - (m >> 22):
        q += 1
    q = (q + 1) >> 1
    if q >> 31:
        q >>= 1
        shift += 1
    return (q, shift) if shift >= -31 else (0, 0)


class Scaling:
    """Multipliers ready for requantize(); `wide` where accumulators may leave 31-bit small ints.

    terms: most products in one accumulator. reach: largest distance of an input from its zero
    point.
    """

    def __init__(self, multipliers, bias, channels, terms, reach):
        largest = 0
        for channel in range(channels):
            value = bias[channel]
            if value < 0:
                value = -value
            if value > largest:
                largest = value
        bound = (largest + terms * reach * 128) << max(0, max([s for _, s in multipliers]))
        self.wide = bound >= ACC_LIMIT
        if self.wide:
            self.highs, self.lows, self.shifts = multipliers, None, None
            return
        self.highs = array("H", [m >> 16 for m, _ in multipliers])
        self.lows = array("H", [m & 0xFFFF for m, _ in multipliers])
        # A shift by over 29 leaves 0 of what is below 2**27; its rounding term is no small int.
        self.shifts = array("b", [max(-29, shift) for _, shift in multipliers])


def weighted(context, op, x, weights, bias, rank, dimension, further=0):
    """(biases, Scaling) of an operator with weights, after the checks common to all.

    rank: dimensions of the weights; dimension: that of output channels. further: added to the
    largest distance of an input from its zero point.
    C: PopulateConvolutionQuantizationParams in tensorflow/lite/kernels/kernel_util.cc.
    """
    y = op.outputs[0]
    for tensor in (x, weights, y):
        if not tensor:
            op.refuse("input or weights are left out")
        if tensor.type != schema.INT8:
            op.refuse(
                "tensor %d is %s; int8 is supported: quantise the model to full int8"
                % (tensor.index, tensor.type_name)
            )
    if x.begin:
        op.refuse("its input, tensor %d, is a constant" % x.index)
    if not weights.begin or (bias and not bias.begin):
        op.refuse("weights and bias must be constants")
    if len(weights.shape) != rank:
        op.refuse("weights have shape %s; %d dimensions are supported" % (weights.shape, rank))
    channels = weights.shape[dimension]
    if bias and (bias.type != schema.INT32 or bias.size != channels):
        op.refuse(
            "bias is %s of %d; int32 of %d is supported" % (bias.type_name, bias.size, channels)
        )
    scales = weights.scales
    if scales > 1 and (scales != channels or weights.dimension != dimension):
        op.refuse("%d weight scales for %d channels" % (scales, channels))
    if not weights.symmetric():
        op.refuse("weights with a zero point; symmetric weights are supported")
    source, target = x.scale(), y.scale()
    multipliers = []
    for channel in range(scales or 1):
        multipliers.append(scaled_multiplier(source, weights.scale(channel), target))
        if multipliers[-1][1] > 30:
            op.refuse("output scale is too small for its input and weight scales")
    values = biases(context, bias, channels)
    zero_point = x.zero_point()
    reach = max(zero_point + 128, 127 - zero_point) + further
    return values, Scaling(multipliers, values, channels, weights.size // channels, reach)


def four_rows(data, start, size, row):
    """Four views of weights from `start` on, `row` bytes apart; `size` bytes are there in all."""
    return [
        as_int8(data, start + row * i, size - row * i)
        if size > row * i
        else as_int8(data, start, 1)
        for i in range(4)
    ]


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


def requantize(acc, y, o, units, first, high, low, shift, zero_point, lowest, highest):
    """y[o + u] = clamp(zero_point + MultiplyByQuantizedMultiplier(acc[u], M, shift)), u < units.

    M = high * 2**16 + low of channel first + u, or of 0 where there is one scale. See
    docs/engine.md for the arithmetic in small ints. Where low is None, `high` holds the pairs
    (M, shift) themselves and acc is any list: exact for accumulators of any size, but allocates.
    """
    if low is None:
        _requantize_wide(acc, y, o, units, first, high, zero_point, lowest, highest)
        return
    h = high[0]
    m = low[0]
    s = shift[0]
    per_channel = len(high) > 1
    for unit in range(units):
        if per_channel:
            h = high[first]
            m = low[first]
            s = shift[first]
            first += 1
        b = acc[unit]
        if s > 0:
            b <<= s
        a = b >> 14
        b &= 16383
        b = (a * h + ((b * h + ((a * m + (b * m >> 14)) >> 2) + 16384) >> 14)) >> 1
        if s < 0:
            if b < 0:
                b -= 1
            b = (b + (1 << (-1 - s))) >> -s
        b += zero_point
        if b < lowest:
            b = lowest
        elif b > highest:
            b = highest
        y[o] = b
        o += 1


def _requantize_wide(acc, y, o, units, first, multipliers, zero_point, lowest, highest):
    from ..fixed_point import multiply, wrap32

    for unit in range(units):
        multiplier, shift = multipliers[first + unit if len(multipliers) > 1 else 0]
        value = zero_point + multiply(wrap32(acc[unit]), multiplier, shift)
        y[o + unit] = max(lowest, min(highest, value))
