"""QUANTIZE (int8 -> int8, float32 -> int8) and DEQUANTIZE (int8 -> float32).

C: tensorflow/lite/kernels/internal/reference/{requantize,quantize,dequantize}.h. Floats are read
and written as their four bytes: a float object would be allocated on the board, and would depend on
the width of its floats.
"""

from .. import schema
from ..float32 import float_bytes, quantize
from ..views import as_bytes


def prepare(context, op):
    op.shaped(1, 1)
    op.same_size()
    if op.code == schema.DEQUANTIZE:
        op.typed(schema.INT8, schema.FLOAT32)
        return Dequantize(op)
    if op.inputs[0].type == schema.FLOAT32:
        op.typed(schema.FLOAT32, schema.INT8)
        return Quantize(op)
    op.typed(schema.INT8, schema.INT8)
    from .lookup import Lookup

    return Lookup(op, _requantize(op, op.inputs[0], op.outputs[0]))


def _requantize(op, source, target):
    from ..fixed_point import multiply, quantize_multiplier
    from ..float32 import DOUBLE_BITS, ratio

    multiplier, shift = quantize_multiplier(ratio(source.scale(), target.scale(), DOUBLE_BITS))
    if shift > 30:
        op.refuse("output scale is too small for the input scale")
    zero_in, zero_out = source.zero_point(), target.zero_point()
    return lambda v: zero_out + multiply(v - zero_in, multiplier, shift)


class Quantize:
    def __init__(self, op):
        y = op.outputs[0]
        self._x = as_bytes(op.inputs[0].view, 4)
        self._y = y.view
        self._scale, self._exponent = y.scale()
        self._zero_point = y.zero_point()

    def run(self):
        quantize(self._x, self._y, self._scale, self._exponent, self._zero_point)


class Dequantize:
    def __init__(self, op):
        x = op.inputs[0]
        self._x = x.view
        self._y = as_bytes(op.outputs[0].view, 4)
        scale = x.scale()
        zero_point = x.zero_point()
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
