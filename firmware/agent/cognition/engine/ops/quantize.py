"""QUANTIZE (int8 -> int8, float32 -> int8) and DEQUANTIZE (int8 -> float32).

C: tensorflow/lite/kernels/internal/reference/{requantize,quantize,dequantize}.h. Floats are read
and written as their four bytes: a float object would be allocated on the board, and would depend on
the width of its floats.
"""

from .. import schema
from ..fixed_point import multiply, quantize_multiplier
from ..float32 import DOUBLE_BITS, FLOAT_BITS, bit_length, quotient, ratio, rounded, to_bits
from ..views import as_bytes
from .activations import Lookup


def prepare(context, op):
    op.shaped(1, 1)
    op.same_size()
    if op.name == "DEQUANTIZE":
        op.typed(schema.INT8, schema.FLOAT32)
        return Dequantize(op)
    if op.inputs[0].type == schema.FLOAT32:
        op.typed(schema.FLOAT32, schema.INT8)
        return Quantize(op)
    op.typed(schema.INT8, schema.INT8)
    return Lookup(op, _requantize(op, op.inputs[0], op.outputs[0]))


def _requantize(op, source, target):
    multiplier, shift = quantize_multiplier(ratio(source.scale(), target.scale(), DOUBLE_BITS))
    if shift > 30:
        op.refuse("output scale is too small for the input scale")
    zero_in, zero_out = source.zero_point(), target.zero_point()
    return lambda v: zero_out + multiply(v - zero_in, multiplier, shift)


class Quantize:
    def __init__(self, op):
        self._x = as_bytes(op.inputs[0].data, 4)
        self._y = op.outputs[0].data
        self._scale, self._exponent = op.outputs[0].scale()
        self._zero_point = op.outputs[0].zero_point()

    def run(self):
        quantize(self._x, self._y, self._scale, self._exponent, self._zero_point)


def quantize(floats, y, scale_m, scale_e, zero_point):
    """y[i] = clamp(round(float / scale) + zero_point), the float32s given as bytes.

    NaN gives the zero point.
    What overflows an int32 in C, where the result is undefined, saturates here.
    """
    k = 0
    for i in range(len(y)):
        e = (floats[k + 3] & 127) << 1 | floats[k + 2] >> 7
        m = (floats[k + 2] & 127) << 16 | floats[k + 1] << 8 | floats[k]
        if e == 0:
            # A subnormal is less than half of any scale but a subnormal one.
            shift = 24 - bit_length(m) if m else 0
            v = quotient(m << shift, -149 - shift, scale_m, scale_e)
        elif e == 255 and m:
            v = 0
        else:
            v = quotient(m | 0x800000, e - 150, scale_m, scale_e)
        v = zero_point - v if floats[k + 3] & 128 else zero_point + v
        y[i] = -128 if v < -128 else 127 if v > 127 else v
        k += 4


def float_bytes(steps, scale):
    """float32(steps * scale), little-endian: the product is exact in double and is rounded once."""
    m, e = rounded(abs(steps) * scale[0], scale[1], FLOAT_BITS)
    bits = to_bits((m, e))
    sign = 128 if steps < 0 else 0
    return bytes((bits & 255, bits >> 8 & 255, bits >> 16 & 255, bits >> 24 | sign))


class Dequantize:
    def __init__(self, op):
        self._x = op.inputs[0].data
        self._y = as_bytes(op.outputs[0].data, 4)
        scale = op.inputs[0].scale()
        zero_point = op.inputs[0].zero_point()
        self._table = bytearray(1024)
        for v in range(256):
            steps = (v if v < 128 else v - 256) - zero_point
            self._table[4 * v : 4 * v + 4] = float_bytes(steps, scale)

    def run(self):
        y = self._y
        table = self._table
        k = 0
        for v in self._x:
            v = (v & 255) << 2
            y[k] = table[v]
            y[k + 1] = table[v + 1]
            y[k + 2] = table[v + 2]
            y[k + 3] = table[v + 3]
            k += 4
