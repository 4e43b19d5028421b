"""UNIDIRECTIONAL_SEQUENCE_LSTM: int8 inputs, weights and hidden state, int16 cell state.

C: tensorflow/lite/micro/kernels/lstm_eval{.h,.cc,_common.cc}; the int16 LOGISTIC and TANH in
tensorflow/lite/kernels/internal/reference/integer_ops. For every step of time and gate,

    gate = function(clamp16(clamp16(W x + bias) + clamp16(R h)))      Q3.12 in, Q0.15 out
    cell = clamp16(cell * forget gate + input gate * cell gate)
    h    = tanh(cell) * output gate

with function = tanh for the cell gate, the logistic function for the others. Products with R
are made by scaling.dot_rows, W and R stay in the file, and every product of two int16s but
the last is rescaled by a power of two, since the cell state's scale is one.
"""

from array import array

from .. import schema
from ..float32 import DOUBLE_BITS, from_bits, product, ratio
from .int16 import logistic, tanh
from .scaling import ACC_LIMIT, biases, dot_rows, four_rows
from .small_ints import high_mul, rescaled16, rounding_divide

# What loaded models go on using of this module: see forget_loader().
RUN = (
    "run _step _run_gate _update_hidden activate update_cell "
    "dot_rows logistic tanh rescaled16 rounding_divide high_mul"
)

# table UnidirectionalSequenceLSTMOptions
_ACTIVATION = 0
_CELL_CLIP = 1
_TIME_MAJOR = 3
_DIAGONAL = 5

# Inputs of the operator. Weights and biases of the gates in order input, forget, cell, output.
_WEIGHTS = 1
_RECURRENT = 5
_BIASES = 12
_INPUTS = 24
_LEFT_OUT = (9, 10, 11, 16, 17, 20, 21, 22, 23)  # peepholes, projection, normalisation


def prepare(context, op):
    inputs = op.inputs
    if len(inputs) != _INPUTS or len(op.outputs) != 1:
        op.refuse("has %d inputs and %d outputs" % (len(inputs), len(op.outputs)))
    for i, tensor in enumerate(inputs):
        if (tensor is None) != (i in _LEFT_OUT):
            op.refuse("input %d: peepholes, projection, normalisation are not supported" % i)
    x, y = inputs[0], op.outputs[0]
    if x.type != schema.INT8 or y.type != schema.INT8 or x.begin or len(x.shape) != 3:
        op.refuse("input is %s of shape %s; int8, 3 dimensions" % (x.type_name, x.shape))
    options = op.options
    if not options or options.i8(_ACTIVATION) != schema.ACTIVATION_TANH:
        op.refuse("only tanh is supported as activation")
    if options.i8(_DIAGONAL):
        op.refuse("diagonal recurrent weights are not supported")
    batches, steps, depth = x.shape
    by_batch, by_step = steps, 1
    if options.i8(_TIME_MAJOR):
        batches, steps = steps, batches
        by_batch, by_step = 1, batches
    units = (inputs[_WEIGHTS].shape or (0,))[0]
    if y.shape != x.shape[:2] + (units,):
        op.refuse("input shape %s, output shape %s" % (x.shape, y.shape))
    for index, kind in (
        (schema.LSTM_HIDDEN_STATE, schema.INT8),
        (schema.LSTM_CELL_STATE, schema.INT16),
    ):
        state = inputs[index]
        if state.type != kind or state.size != batches * units or len(state.shape) > 2:
            op.refuse("state is %s of shape %s" % (state.type_name, state.shape))
    rows = [
        (batch, batch * by_batch + t * by_step) for batch in range(batches) for t in range(steps)
    ]
    return Lstm(context, op, units, depth, batches, rows)


def _clip(op, power):
    """The cell state's limit, 32768 for none. C: CreateLstmCellStateInfo."""
    bits = op.options.u32(_CELL_CLIP)
    if not bits << 1 & 0xFFFFFFFF or bits >> 31:
        return 32768
    clip = from_bits(bits)
    if clip is None:
        op.refuse("cell clip is not a number")
    m, e = clip
    e -= power
    return min(32767, m << min(e, 16) if e >= 0 else m >> min(-e, 60))


class Lstm:
    """rows: (batch, row of x and y) of every step of time, in order."""

    def __init__(self, context, op, units, depth, batches, rows):
        hidden, cell = op.inputs[schema.LSTM_HIDDEN_STATE], op.inputs[schema.LSTM_CELL_STATE]
        # The reference rounds the logarithm of the scale; the converter makes it whole.
        m, e = cell.scale()
        self._cell_power = power = e + 23
        if m != 1 << 23 or not -29 <= power <= 0 or cell.zero_point():
            op.refuse("the cell state must be symmetric, its scale a power of two up to 1")
        self._clip = _clip(op, power)
        self._context = context
        self._units = units
        self._batches = batches
        self._rows = rows
        self._gates = [_gate(context, op, k, units, depth) for k in range(4)]
        self._numbers = _numbers(op, (1, -30), hidden.scale(), 0) + [hidden.zero_point()]
        self._x = op.inputs[0].view
        self._y = op.outputs[0].view
        self._inputs = array("b", bytes(depth))
        self._states = [
            (hidden.view[k : k + units], cell.view[k : k + units])
            for k in range(0, batches * units, units)
        ]
        self._buffers = [array("h", bytes(2 * units)) for _ in range(3)]
        self._acc = array("i", bytes(4 * units))
        context.want_scratch(units)

    def run(self):
        for batch, row in self._rows:
            self._step(batch, row)

    def _step(self, batch, row):
        x = self._x
        inputs = self._inputs
        k = row * len(inputs)
        for i in range(len(inputs)):
            inputs[i] = x[k]
            k += 1
        hidden, cell = self._states[batch]
        forget, gate, candidate = self._buffers
        self._run_gate(1, forget, hidden)
        self._run_gate(0, gate, hidden)
        self._run_gate(2, candidate, hidden)
        update_cell(cell, forget, gate, candidate, 29 + self._cell_power, self._clip)
        self._run_gate(3, gate, hidden)
        self._update_hidden(hidden, cell, gate, row)

    def _run_gate(self, k, out, hidden):
        units = self._units
        inputs = self._inputs
        acc_x = self._context.scratch
        acc_h = self._acc
        bias_x, weights_x, bias_h, weights_h, numbers = self._gates[k]
        dot_rows(acc_x, bias_x, weights_x, inputs, 0, 0, units)
        dot_rows(acc_h, bias_h, weights_h, hidden, 0, 0, units)
        activate(out, acc_x, acc_h, numbers, tanh if k == 2 else logistic)

    def _update_hidden(self, hidden, cell, gate, row):
        high, low, shift, zero_point = self._numbers
        y = self._y
        k = row * self._units
        shift_in = 12 + self._cell_power
        for i in range(len(hidden)):
            v = 3 * cell[i]
            if shift_in >= 0:
                v <<= shift_in
            else:
                v = (v + (1 << (-shift_in - 1))) >> -shift_in
            v = rounding_divide(high_mul(tanh(v) * gate[i], high, low), -shift) + zero_point
            v = -128 if v < -128 else 127 if v > 127 else v
            hidden[i] = v
            y[k] = v
            k += 1


def _numbers(op, scale, by, highest):
    """[high and low half of the multiplier of scale / by, its shift]."""
    from ..fixed_point import quantize_multiplier

    multiplier, shift = quantize_multiplier(ratio(scale, by, DOUBLE_BITS))
    if shift > highest:
        op.refuse("scales of weights or states are too far apart")
    return [multiplier >> 16, multiplier & 0xFFFF, shift]


def _gate(context, op, k, units, depth):
    """What gate `k` needs, in order input, forget, cell, output: biases and weights of its products
    with the input and with the hidden state, and their multipliers.
    """
    inputs = op.inputs
    bias = inputs[_BIASES + k]
    if bias.type != schema.INT32 or bias.shape != (units,) or not bias.begin:
        op.refuse("bias %d must be %d constant int32" % (bias.index, units))
    result: list = []
    numbers = array("i")
    for x, weights, added, terms in (
        (inputs[0], inputs[_WEIGHTS + k], bias, depth),
        (inputs[schema.LSTM_HIDDEN_STATE], inputs[_RECURRENT + k], None, units),
    ):
        if weights.type != schema.INT8 or weights.shape != (units, terms) or not weights.begin:
            op.refuse(
                "weights %d must be constant int8 of shape %s" % (weights.index, (units, terms))
            )
        if weights.scales != 1 or weights.zero_point():
            op.refuse("weights %d must be symmetric with one scale" % weights.index)
        rows = four_rows(context.view, weights.begin, weights.size, terms)
        # The input's zero point is folded into the bias.
        folded = [0] * units
        zeros = [-x.zero_point()] * terms
        dot_rows(folded, biases(context, added, units), rows, zeros, 0, 0, units)
        scale = product(x.scale(), weights.scale(), DOUBLE_BITS)
        high, low, shift = _numbers(op, scale, (1, -12), 16)
        largest = max([abs(v) for v in folded]) + (terms << 14)
        if largest << max(0, shift) >= ACC_LIMIT:
            op.refuse("weights or biases of tensor %d are too large" % weights.index)
        result += [array("i", folded), rows]
        numbers.extend(array("i", [high, low, max(-29, shift)]))
    return result + [numbers]


def activate(out, acc_x, acc_h, numbers, function):
    """out = function(clamp16(rescaled acc_x + rescaled acc_h)), each clamped before they are added.

    numbers: multiplier in halves and shift for acc_x, the same for acc_h.
    """
    h_x, m_x, s_x, h_h, m_h, s_h = numbers
    for u in range(len(out)):
        v = rescaled16(acc_x[u], h_x, m_x, s_x) + rescaled16(acc_h[u], h_h, m_h, s_h)
        out[u] = function(3 * (-32768 if v < -32768 else 32767 if v > 32767 else v))


def update_cell(cell, forget, gate, candidate, shift, clip):
    """cell = clamp16(cell * forget / 2**15 + clamp16(gate * candidate / 2**(shift + 1))), clipped.

    The multiplier 2**30 of a power of two makes SaturatingRoundingDoublingHighMul (v + 1) >> 1.
    """
    for i in range(len(forget)):
        v = rounding_divide((cell[i] * forget[i] + 1) >> 1, 14)
        w = rounding_divide((gate[i] * candidate[i] + 1) >> 1, shift)
        v += -32768 if w < -32768 else 32767 if w > 32767 else w
        v = -32768 if v < -32768 else 32767 if v > 32767 else v
        cell[i] = -clip if v < -clip else clip if v > clip else v
