"""FULLY_CONNECTED, int8 x int8 -> int8, per-tensor and per-channel scales, optional bias.

C: tensorflow/lite/kernels/internal/reference/integer_ops/fully_connected.h. With w the weights and
x the input,

    acc    = bias + sum(w * (x - input_zero_point)) = folded bias + sum(w * x)
    output = clamp(output_zero_point + MultiplyByQuantizedMultiplier(acc, multiplier, shift))

The weights stay in the file. Folded biases, and multipliers as two halves of 16 bits, are made at
load.
"""

from array import array

from .. import schema
from ..float32 import DOUBLE_BITS, from_bits, product, ratio
from ..views import as_int8

# requantize() is exact while the accumulator, shifted left where the multiplier asks for it, stays
# below this.
_ACC_LIMIT = 1 << 27


def prepare(context, op):
    op.shaped(2, 3)
    weights = op.inputs[1]
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    op.typed(schema.INT8, schema.INT8)
    if bias and bias.type != schema.INT32:
        op.refuse("bias tensor %d is %s; int32 is supported" % (bias.index, bias.type_name))
    if op.outputs[0].type != schema.INT8:
        op.refuse("output is %s; int8 is supported" % op.outputs[0].type_name)
    if op.options and op.options.i8(schema.FULLY_CONNECTED_WEIGHTS_FORMAT):
        op.refuse("shuffled weights; the default format is supported")
    if not weights or not weights.offset or (bias and not bias.offset):
        op.refuse("weights and bias must be constants")
    if len(weights.shape) != 2:
        op.refuse("weights have shape %s; two dimensions are supported" % (weights.shape,))
    units, depth = weights.shape
    batches = op.inputs[0].size // depth
    if batches * depth != op.inputs[0].size or batches * units != op.outputs[0].size:
        op.refuse(
            "input shape %s and output shape %s do not fit weights of shape %s"
            % (op.inputs[0].shape, op.outputs[0].shape, weights.shape)
        )
    if bias and bias.size != units:
        op.refuse("%d biases for %d units" % (bias.size, units))
    if weights.scales > 1 and (weights.scales != units or weights.dimension != 0):
        op.refuse("%d weight scales for %d units" % (weights.scales, units))
    for channel in range(weights.scales):
        if weights.zero_point(channel):
            op.refuse("weights with a zero point; symmetric weights are supported")
    return FullyConnected(context, op, weights, bias, units, depth, batches)


def _multipliers(op, weights, bias):
    """(multiplier, shift) for every weight scale, with C's own roundings, all in double."""
    from ..fixed_point import quantize_multiplier

    source, target = op.inputs[0].scale(), op.outputs[0].scale()
    channels = range(weights.scales or 1)
    products = [product(source, weights.scale(c), DOUBLE_BITS) for c in channels]
    if bias and weights.scales == 1:
        _check_bias_scale(op, products[0], bias, target)
    result = [quantize_multiplier(ratio(p, target, DOUBLE_BITS)) for p in products]
    if max(shift for _, shift in result) > 30:
        op.refuse("output scale is too small for its input and weight scales")
    return result


def _check_bias_scale(op, wanted, bias, target):
    """Refuses a bias scale off by over 2 % of the output scale, as TFLite-Micro does."""
    given = from_bits(bias.scale_bits()) if bias.scales and bias.scale_bits() else (0, 0)
    if given is None:
        op.refuse("bias scale is not a positive number")
    lowest = min(wanted[1], given[1], target[1])
    difference = abs((wanted[0] << (wanted[1] - lowest)) - (given[0] << (given[1] - lowest)))
    if difference * 50 > target[0] << (target[1] - lowest):
        op.refuse("bias scale is not input scale x weight scale")


class FullyConnected:
    def __init__(self, context, op, weights, bias, units, depth, batches):
        from ..fixed_point import wrap32
        from . import activation_range

        self._context = context
        self._units = units
        self._depth = depth
        reader, data = context.reader, context.data
        # Four views, one per row of a group of four: see matvec().
        self._weights = [
            as_int8(
                data,
                weights.offset + depth * (i if i < units else 0),
                weights.size - depth * (i if i < units else 0),
            )
            for i in range(4)
        ]
        multipliers = _multipliers(op, weights, bias)
        zero_point = op.inputs[0].zero_point()
        row = self._weights[0]
        folded = array("i", bytes(4 * units))
        largest = 0
        k = 0
        for unit in range(units):
            value = reader.i32(bias.offset + 4 * unit) if bias else 0
            if zero_point:
                total = 0
                for _ in range(depth):
                    total += row[k]
                    k += 1
                value -= zero_point * total
            folded[unit] = wrap32(value)
            largest = max(largest, abs(value))
        self._bias = folded
        # |x| and |w| are at most 128: no accumulator of this layer can exceed this.
        bound = (largest + (depth << 14)) << max(0, max(shift for _, shift in multipliers))
        self._wide = multipliers if bound >= _ACC_LIMIT else []
        self._high = array("H", [m >> 16 for m, _ in multipliers])
        self._low = array("H", [m & 0xFFFF for m, _ in multipliers])
        # A shift by over 29 leaves 0 of what is below 2**27; its rounding term is no small int.
        self._shift = array("b", [max(-29, shift) for _, shift in multipliers])
        self._zero_point = op.outputs[0].zero_point()
        activation = op.options.i8(schema.FULLY_CONNECTED_ACTIVATION) if op.options else 0
        self._lowest, self._highest = activation_range(op, op.outputs[0], activation)
        x, y = op.inputs[0].data, op.outputs[0].data
        self._batches = [
            (x[b * depth : (b + 1) * depth], y[b * units : (b + 1) * units]) for b in range(batches)
        ]
        context.want_scratch(units)

    def run(self):
        acc = self._context.scratch
        for x, y in self._batches:
            if self._wide:
                self._run_wide(x, y)
                continue
            matvec(acc, self._bias, self._weights, x, self._depth, self._units)
            requantize(
                acc,
                y,
                self._units,
                self._high,
                self._low,
                self._shift,
                self._zero_point,
                self._lowest,
                self._highest,
            )

    def _run_wide(self, x, y):
        """The same for accumulators beyond small ints: exact, wraps as C does, but allocates."""
        from ..fixed_point import multiply, wrap32

        weights = self._weights[0]
        k = 0
        for unit in range(self._units):
            acc = self._bias[unit]
            for v in x:
                acc += v * weights[k]
                k += 1
            multiplier, shift = self._wide[unit if len(self._wide) > 1 else 0]
            value = self._zero_point + multiply(wrap32(acc), multiplier, shift)
            y[unit] = max(self._lowest, min(self._highest, value))


def matvec(acc, bias, weights, x, depth, units):
    """acc[u] = bias[u] + sum over d of weights[u * depth + d] * x[d]: the seam for a native kernel.

    Four rows at a time, so that one turn of the interpreter's loop serves four products.
    """
    w0, w1, w2, w3 = weights
    k = 0
    for unit in range(0, units - 3, 4):
        a0 = bias[unit]
        a1 = bias[unit + 1]
        a2 = bias[unit + 2]
        a3 = bias[unit + 3]
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
        k += 3 * depth
    for unit in range(units & ~3, units):
        a0 = bias[unit]
        for v in x:
            a0 += v * w0[k]
            k += 1
        acc[unit] = a0


def requantize(acc, y, units, high, low, shift, zero_point, lowest, highest):
    """y[u] = clamp(zero_point + MultiplyByQuantizedMultiplier(acc[u], multiplier, shift)).

    In 31-bit small ints: with multiplier = h * 2**16 + m and acc = a * 2**14 + b, b in [0, 2**14),
    SaturatingRoundingDoublingHighMul, floor((acc * multiplier + 2**30) / 2**31), is

        floor((a * h + floor((q + 2**14) / 2**14)) / 2)
        where q = b * h + floor((a * m + floor(b * m / 2**14)) / 4)

    No product or sum leaves 31 bits while |acc| < 2**27. docs/engine.md has the proof.
    """
    h = high[0]
    m = low[0]
    s = shift[0]
    per_channel = len(high) > 1
    for unit in range(units):
        if per_channel:
            h = high[unit]
            m = low[unit]
            s = shift[unit]
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
        y[unit] = b
