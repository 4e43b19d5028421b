"""FULLY_CONNECTED, int8 x int8 -> int8, per-tensor and per-channel scales, optional bias.

C: tensorflow/lite/kernels/internal/reference/integer_ops/fully_connected.h. With w the weights and
x the input,

    acc    = bias + sum(w * (x - input_zero_point))
    output = clamp(output_zero_point + MultiplyByQuantizedMultiplier(acc, multiplier, shift))

The zero point is taken off once per row of inputs. Weights and biases stay in the file. run() is
the portable kernel; the other sets (kernels/) compute the same from the object's attributes.
"""

from .. import schema
from . import activation_range
from .scaling import Scaling, biases, four_rows, reach_of, requantize, scaled_multiplier

# What loaded models go on using of this module: see forget_loader().
RUN = ("run", "matvec", "requantize")


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
    if not weights.symmetric():
        op.refuse("weights with a zero point; symmetric weights are supported")
    x, y = op.inputs[0], op.outputs[0]
    activation = op.options.i8(schema.FULLY_CONNECTED_ACTIVATION) if op.options else 0
    lowest, highest = activation_range(op, y, activation)
    values = biases(context, bias, units)
    scaling = Scaling(_multipliers(op, weights, bias), values, units, depth, reach_of(x))
    rows = four_rows(context.data, weights.offset, weights.size, depth)
    limits = (x.zero_point(), y.zero_point(), lowest, highest)
    return FullyConnected(context, x.data, y.data, rows, values, scaling, units, depth, limits)


def _multipliers(op, weights, bias):
    """(multiplier, shift) for every weight scale, with C's own roundings, all in double."""
    x, y = op.inputs[0].scale(), op.outputs[0].scale()
    result = []
    for channel in range(weights.scales or 1):
        w = weights.scale(channel)
        result.append(scaled_multiplier(x, w, y))
        if result[-1][1] > 30:
            op.refuse("output scale is too small for its input and weight scales")
    if bias and weights.scales == 1:
        _check_bias_scale(op, (x[0] * w[0], x[1] + w[1]), bias, y)
    return result


def _check_bias_scale(op, wanted, bias, target):
    """Refuses a bias scale off by over 2 % of the output scale, as TFLite-Micro does."""
    given = bias.scale() if bias.scales and bias.scale_bits() else (0, 0)
    lowest = min(wanted[1], given[1], target[1])
    difference = abs((wanted[0] << (wanted[1] - lowest)) - (given[0] << (given[1] - lowest)))
    if difference * 50 > target[0] << (target[1] - lowest):
        op.refuse("bias scale is not input scale x weight scale")


class FullyConnected:
    """One layer: y (batches x units) of x (batches x depth).

    weights: four int8 views, of all and of all but the first one, two and three rows. bias: int32
    per unit. limits: zero points of x and of y, lowest and highest y.
    """

    def __init__(self, context, x, y, weights, bias, scaling, units, depth, limits):
        self.x = x
        self.y = y
        self.weights = weights
        self.bias = bias
        self.scaling = scaling
        self.units = units
        self.depth = depth
        self.limits = limits
        self._rows = [(x[b * depth : (b + 1) * depth], b * units) for b in range(len(y) // units)]
        self._context = context
        self.window: list = []
        context.want_window(self, depth)
        context.want_scratch(units)

    def run(self):
        scaling = self.scaling
        units = self.units
        window = self.window
        zero_in, zero_out, lowest, highest = self.limits
        acc = [0] * units if scaling.wide else self._context.scratch
        for x, o in self._rows:
            i = 0
            for v in x:
                window[i] = v - zero_in
                i += 1
            matvec(acc, self.bias, self.weights, window, self.depth, units)
            requantize(
                acc, self.y, o, units, 0, scaling.high, scaling.low, scaling.shift,
                zero_out, lowest, highest,
            )  # fmt: skip


def matvec(acc, bias, weights, x, depth, units):
    """acc[u] = bias[u] + sum over d of weights[u * depth + d] * x[d].

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
