"""What the operators that slide a window over an image share: geometry, multipliers, requantising.

C: tensorflow/lite/kernels/padding.h, PopulateConvolutionQuantizationParams in
tensorflow/lite/kernels/kernel_util.cc, and common.h for MultiplyByQuantizedMultiplier. An image is
a tensor of (batch, height, width, channels); a 1-D convolution has a height or width of 1.
"""

from array import array

from .. import schema
from ..float32 import DOUBLE_BITS, product, ratio
from ..views import as_int8, as_int32

# requantize() is exact while the accumulator, shifted left where the multiplier asks for it, stays
# below this.
ACC_LIMIT = 1 << 27

# enum Padding
_SAME = 0
_VALID = 1

# Positions stay small ints, and no real model comes near.
_MOST = 1 << 15


def span(op, padding, size, kernel, stride, dilation):
    """(outputs, padding before the first) along one dimension."""
    if not (0 < stride < _MOST and 0 < dilation < _MOST and 0 < kernel < _MOST and size < _MOST):
        op.refuse("kernel %d, stride %d, dilation %d on %d" % (kernel, stride, dilation, size))
    reach = (kernel - 1) * dilation + 1
    if padding == _SAME:
        count = (size + stride - 1) // stride
    elif padding == _VALID:
        count = (size + stride - reach) // stride
    else:
        op.refuse("padding %d; SAME and VALID are supported" % padding)
    return count, max(0, (count - 1) * stride + reach - size) // 2


def images(op, *tensors):
    """Refuses unless all are images of one batch size."""
    for tensor in tensors:
        if len(tensor.shape) != 4 or tensor.shape[0] != tensors[0].shape[0]:
            op.refuse("shapes %s; images are supported" % ([t.shape for t in tensors],))


def prepared(op, x, weights, bias, y, dimension):
    """(multipliers, one or one per channel; biases) of a convolution.

    dimension: the weights' dimension of output channels.
    """
    for tensor, kind in ((x, schema.INT8), (weights, schema.INT8), (y, schema.INT8)):
        if not tensor or tensor.type != kind:
            op.refuse(
                "tensor %d is %s; int8 is supported: quantise the model to full int8"
                % (tensor.index if tensor else -1, tensor.type_name if tensor else "left out")
            )
    if x.offset:
        op.refuse("its input, tensor %d, is a constant" % x.index)
    if not weights.offset or (bias and not bias.offset):
        op.refuse("weights and bias must be constants")
    images(op, x, y)
    channels = y.shape[3]
    if len(weights.shape) != 4 or weights.shape[dimension] != channels:
        op.refuse("weights of shape %s for %d channels" % (weights.shape, channels))
    if bias and (bias.type != schema.INT32 or bias.size != channels):
        op.refuse(
            "bias is %s of %d; int32 of %d is supported" % (bias.type_name, bias.size, channels)
        )
    if weights.scales != 1 and (weights.scales != channels or weights.dimension != dimension):
        op.refuse("%d weight scales for %d channels" % (weights.scales, channels))
    for channel in range(weights.scales):
        if weights.zero_point(channel):
            op.refuse("weights with a zero point; symmetric weights are supported")
    return _multipliers(op, x, weights, y)


def _multipliers(op, x, weights, y):
    """(multiplier, shift) for every weight scale, in double as in C."""
    from ..fixed_point import quantize_multiplier

    source, target = x.scale(), y.scale()
    result = [
        quantize_multiplier(ratio(p, target, DOUBLE_BITS))
        for p in [product(source, weights.scale(c), DOUBLE_BITS) for c in range(weights.scales)]
    ]
    if max(shift for _, shift in result) > 30:
        op.refuse("output scale is too small for its input and weight scales")
    return result


def biases(context, bias, channels):
    """The biases where they lie, if int32s can be read there; else a copy. Zeros without."""
    if bias is None:
        return array("i", bytes(4 * channels))
    view = as_int32(context.data, bias.offset, channels)
    if view is not None:
        return view
    return array("i", [context.reader.i32(bias.offset + 4 * c) for c in range(channels)])


class Scaling:
    """Multipliers ready for requantize(); `wide` where accumulators may leave 31-bit small ints.

    terms: most products in one accumulator. reach: largest distance of an input from its zero
    point.
    """

    def __init__(self, multipliers, bias, channels, terms, reach):
        largest = 0
        for channel in range(channels):
            largest = max(largest, abs(bias[channel]))
        bound = (largest + terms * reach * 128) << max(0, max(s for _, s in multipliers))
        self.wide = bound >= ACC_LIMIT
        if self.wide:
            self.high, self.low, self.shift = multipliers, None, None
            return
        self.high = array("H", [m >> 16 for m, _ in multipliers])
        self.low = array("H", [m & 0xFFFF for m, _ in multipliers])
        # A shift by over 29 leaves 0 of what is below 2**27; its rounding term is no small int.
        self.shift = array("b", [max(-29, shift) for _, shift in multipliers])


def reach_of(x):
    zero_point = x.zero_point()
    return max(zero_point + 128, 127 - zero_point)


def four_rows(data, start, size, row):
    """Four views of weights from `start` on, `row` bytes apart; `size` bytes are there in all."""
    return [
        as_int8(data, start + row * i, size - row * i)
        if size > row * i
        else as_int8(data, start, 1)
        for i in range(4)
    ]


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
