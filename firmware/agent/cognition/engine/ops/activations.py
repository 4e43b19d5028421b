"""RELU, RELU6, LOGISTIC, TANH, int8 -> int8: one table of 256 bytes each, made at load.

C: tensorflow/lite/micro/kernels/{activations,logistic,tanh}*.cc and
tensorflow/lite/kernels/internal/reference/integer_ops/{logistic,tanh}.h, in fixed point throughout.
"""

from .. import schema
from ..fixed_point import (
    input_radius,
    logistic,
    multiply,
    quantize_multiplier,
    rounding_divide,
    tanh,
)
from ..float32 import DOUBLE_BITS, quotient, ratio
from .lookup import Lookup, clamp


def prepare(context, op):
    op.shaped(1, 1)
    op.typed(schema.INT8, schema.INT8)
    op.same_size()
    table = _TABLES[op.name]
    return Lookup(op, table(op, op.inputs[0], op.outputs[0]))


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


def _logistic(op, source, target):
    if target.zero_point() != -128:
        op.refuse("output zero point %d; -128 is supported" % target.zero_point())
    return _squash(op, source, logistic, 31 - 8, -128)


def _tanh(op, source, target):
    return _squash(op, source, tanh, 31 - 7, 0)


def _squash(op, source, function, output_shift, output_zero_point):
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
        return rounding_divide(result, output_shift) + output_zero_point

    return value


_TABLES = {"RELU": _relu, "RELU6": _relu6, "LOGISTIC": _logistic, "TANH": _tanh}
