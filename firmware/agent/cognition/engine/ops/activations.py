"""RELU, RELU6, LEAKY_RELU, HARD_SWISH, LOGISTIC, TANH, int8 -> int8: tables, made at load.

C: tensorflow/lite/micro/kernels/{activations,leaky_relu,hard_swish,logistic,tanh}*.cc and, in
tensorflow/lite/kernels/internal/reference, {leaky_relu,hard_swish}.h and
integer_ops/{logistic,tanh}.h, in fixed point throughout.
"""

from .. import schema
from ..fixed_point import multiply, quantize_multiplier, rounding_divide
from ..float32 import DOUBLE_BITS, from_bits, product, quotient, ratio
from .lookup import Lookup, clamp

# What loaded models go on using of this module: see forget_loader().
RUN = ""

_ALPHA = 0  # of LeakyReluOptions


def prepare(context, op):
    op.shaped(1, 1)
    op.typed(schema.INT8, schema.INT8)
    op.same_size()
    code = op.code
    source, target = op.inputs[0], op.outputs[0]
    make = _squash
    if code == schema.RELU:
        make = _relu
    elif code == schema.RELU6:
        make = _relu6
    elif code == schema.LEAKY_RELU:
        make = _leaky_relu
    elif code == schema.HARD_SWISH:
        make = _hard_swish
    return Lookup(op, make(op, source, target))


def _relu(op, source, target):
    multiplier, shift = quantize_multiplier(ratio(source.scale(), target.scale(), DOUBLE_BITS))
    if shift > 30:
        op.refuse("output scale is too small for the input scale")
    zero_in, zero_out = source.zero_point(), target.zero_point()
    return lambda v: max(zero_out, zero_out + multiply(v - zero_in, multiplier, shift))


def _relu6(op, source, target):
    # TFLite-Micro clamps and does not rescale: the converter gives input and output the same scale.
    zero = source.zero_point()
    m, e = source.scale()
    six = clamp(zero + quotient(3 << 22, -21, m, e))
    return lambda v: max(zero, min(six, v))


def _leaky_relu(op, source, target):
    bits = op.options.u32(_ALPHA) if op.options else 0
    alpha = from_bits(bits & 0x7FFFFFFF) if bits << 1 & 0xFFFFFFFF else (0, 0)
    if alpha is None:
        op.refuse("alpha is not a number")
    sign = -1 if bits >> 31 else 1
    s_in, s_out = source.scale(), target.scale()
    identity, shift = quantize_multiplier(ratio(s_in, s_out, DOUBLE_BITS))
    scaled = ratio(product(s_in, alpha, DOUBLE_BITS), s_out, DOUBLE_BITS)
    multiplier, alpha_shift = quantize_multiplier(scaled)
    if max(shift, alpha_shift) > 22:
        op.refuse("output scale is too small for the input scale")
    zero_in, zero_out = source.zero_point(), target.zero_point()

    def value(v):
        v -= zero_in
        if v >= 0:
            return zero_out + multiply(v, identity, shift)
        return zero_out + sign * multiply(v, multiplier, alpha_shift)

    return value


def _hard_swish(op, source, target):
    m, e = source.scale()
    hires = m, e - 7
    multiplier, shift = quantize_multiplier(ratio(hires, target.scale(), DOUBLE_BITS))
    relu, relu_shift = quantize_multiplier(ratio(hires, (3 << 22, -37), DOUBLE_BITS))
    # Beyond 15 places C shifts what is left of an int16 by more than its width.
    if not -15 <= shift <= 0 or not -15 <= relu_shift <= 31:
        op.refuse("its scales lie too far apart, or from 1")
    # DownScaleInt32ToInt16Multiplier.
    multiplier, relu = [min(0x7FFF, (m + (1 << 15)) >> 16) for m in (multiplier, relu)]
    zero_in, zero_out = source.zero_point(), target.zero_point()

    def value(v):
        # SaturatingRoundingDoublingHighMul of int16s is (a * b + 2**14) >> 15 as long as b >= 0.
        v = (v - zero_in) << 7
        preshift = (v * multiplier + (1 << 14)) >> 15
        if relu_shift > 0:
            v = _clamp16(v << (relu_shift - 1))
        v = (v * relu + (1 << 14)) >> 15
        if relu_shift > 0:
            v = _clamp16(v << 1)
        else:
            v = rounding_divide(v, -relu_shift)
        # Rounded towards zero, unlike all else.
        v = ((v + (1 << 15)) >> 1) * preshift
        v = v >> 15 if v >= 0 else -(-v >> 15)
        return zero_out + rounding_divide(v, -shift)

    return value


def _clamp16(v):
    return max(-32768, min(32767, v))


def _squash(op, source, target):
    """LOGISTIC and TANH."""
    from ..exponential import input_radius, logistic, tanh

    function, output_shift, lowest = tanh, 31 - 7, 0
    if op.code == schema.LOGISTIC:
        function, output_shift, lowest = logistic, 31 - 8, -128
        if target.zero_point() != lowest:
            op.refuse("output zero point %d; -128 is supported" % target.zero_point())
    zero = source.zero_point()
    m, e = source.scale()
    multiplier, shift = quantize_multiplier((m, e + 27))  # to Q4
    if shift < 0:
        op.refuse("input scale is too small")
    radius = input_radius(4, shift)

    def value(v):
        v -= zero
        if v <= -radius:
            return -128
        if v >= radius:
            return 127
        result = function(multiply(v, multiplier, shift))
        return rounding_divide(result, output_shift) + lowest

    return value
