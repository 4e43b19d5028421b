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
from .scaling import dot_rows, four_rows, requantize, weighted

# What loaded models go on using of this module: see forget_loader().
RUN = "run dot_rows requantize"


def prepare(context, op):
    op.shaped(2, 3)
    x, weights, bias = (op.inputs + [None])[:3]
    y = op.outputs[0]
    values, scaling = weighted(context, op, x, weights, bias, 2, 0)
    options = op.options
    if options and options.i8(schema.FULLY_CONNECTED_WEIGHTS_FORMAT):
        op.refuse("shuffled weights; the default format is supported")
    units, depth = weights.shape
    batches = x.size // depth
    if batches * depth != x.size or batches * units != y.size:
        op.refuse(
            "input shape %s and output shape %s do not fit weights of shape %s"
            % (x.shape, y.shape, weights.shape)
        )
    if bias and weights.scales == 1:
        _check_bias_scale(op, x.scale(), weights.scale(), bias, y.scale())
    limits = (x.zero_point(), y.zero_point()) + activation_range(
        op, y, schema.FULLY_CONNECTED_ACTIVATION
    )
    rows = four_rows(context.view, weights.begin, weights.size, depth)
    return FullyConnected(context, x.view, y.view, rows, values, scaling, units, depth, limits)


def _check_bias_scale(op, x, weights, bias, target):
    """Refuses a bias scale off by over 2 % of the output scale, as TFLite-Micro does."""
    wanted = x[0] * weights[0], x[1] + weights[1]
    given = bias.scale() if bias.scales and bias.reader.i32(bias.scale_at()) else (0, 0)
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
            dot_rows(acc, self.bias, self.weights, window, 0, 0, units)
            requantize(
                acc, self.y, o, units, 0, scaling.highs, scaling.lows, scaling.shifts,
                zero_out, lowest, highest,
            )  # fmt: skip
