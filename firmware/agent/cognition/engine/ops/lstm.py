"""UNIDIRECTIONAL_SEQUENCE_LSTM: int8 inputs, weights and hidden state, int16 cell state.

C: tensorflow/lite/micro/kernels/lstm_eval{.h,.cc,_common.cc}; the int16 LOGISTIC and TANH in
tensorflow/lite/kernels/internal/reference/integer_ops. For every step of time and gate,

    gate = function(clamp16(clamp16(W x + bias) + clamp16(R h)))      Q3.12 in, Q0.15 out
    cell = clamp16(cell * forget gate + input gate * cell gate)
    h    = tanh(cell) * output gate

with function = tanh for the cell gate, the logistic function for the others. Products with R
are made by fully_connected.matvec, W and R stay in the file, and every product of two int16s but
the last is rescaled by a power of two, since the cell state's scale is one.
"""

from array import array

from .. import schema
from ..float32 import DOUBLE_BITS, from_bits, product, ratio
from ..views import as_int8
from .fully_connected import matvec
from .int16 import logistic, rescaled16, tanh
from .small_ints import high_mul, rounding_divide

# table UnidirectionalSequenceLSTMOptions
_ACTIVATION = 0
_CELL_CLIP = 1
_TIME_MAJOR = 3
_DIAGONAL = 5

# Inputs of the operator. Weights and biases of the gates in order input, forget, cell, output.
_WEIGHTS = 1
_RECURRENT = 5
_BIASES = 12
_HIDDEN_STATE = 18
_CELL_STATE = 19
_INPUTS = 24
_LEFT_OUT = [9, 10, 11, 16, 17, 20, 21, 22, 23]  # peepholes, projection, normalisation

# Accumulators, shifted left where their multiplier asks for it, are small ints below this.
_ACC_LIMIT = 1 << 27


def prepare(context, op):
    inputs = op.inputs
    if len(inputs) != _INPUTS or len(op.outputs) != 1 or not inputs[0]:
        op.refuse("has %d inputs and %d outputs" % (len(inputs), len(op.outputs)))
    left_out = [i for i in range(_INPUTS) if not inputs[i]]
    if left_out != _LEFT_OUT:
        op.refuse("peepholes, projection, normalisation and coupled gates are not supported")
    x, y = inputs[0], op.outputs[0]
    if x.type != schema.INT8 or y.type != schema.INT8 or x.offset or len(x.shape) != 3:
        op.refuse("input is %s of shape %s; int8, 3 dimensions" % (x.type_name, x.shape))
    units = inputs[_WEIGHTS].shape[0] if inputs[_WEIGHTS].shape else 0
    options = op.options
    if not options or options.i8(_ACTIVATION) != schema.ACTIVATION_TANH:
        op.refuse("only tanh is supported as activation")
    if options.i8(_DIAGONAL):
        op.refuse("diagonal recurrent weights are not supported")
    time_major = options.i8(_TIME_MAJOR) != 0
    batches, steps = (x.shape[1], x.shape[0]) if time_major else (x.shape[0], x.shape[1])
    if y.shape != (x.shape[0], x.shape[1], units):
        op.refuse("input shape %s, output shape %s" % (x.shape, y.shape))
    for index, kind in ((_HIDDEN_STATE, schema.INT8), (_CELL_STATE, schema.INT16)):
        state = inputs[index]
        if state.type != kind or state.size != batches * units or len(state.shape) > 2:
            op.refuse("state is %s of shape %s" % (state.type_name, state.shape))
    return Lstm(context, op, units, x.shape[2], batches, steps, time_major)


def _cell_power(op, cell):
    """log2 of the cell state's scale. The reference rounds it; the converter makes it whole."""
    m, e = cell.scale()
    power = e + 23
    if m != 1 << 23 or not -29 <= power <= 0 or cell.zero_point():
        op.refuse("the cell state must be symmetric, its scale a power of two up to 1")
    return power


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
    def __init__(self, context, op, units, depth, batches, steps, time_major):
        inputs = op.inputs
        hidden, cell = inputs[_HIDDEN_STATE], inputs[_CELL_STATE]
        self._context = context
        self._units = units
        self._steps = steps
        self._batches = batches
        self._time_major = time_major
        gates = [Gate(context, op, k, units, depth) for k in range(4)]
        self._input_gate, self._forget_gate, self._cell_gate, self._output_gate = gates
        self._cell_power = _cell_power(op, cell)
        self._clip = _clip(op, self._cell_power)
        self._multiplier = _hidden_multiplier(op, hidden)
        self._zero_point = hidden.zero_point()
        self._x = op.inputs[0].data
        self._y = op.outputs[0].data
        self._row = array("b", bytes(depth))
        self._hidden = [hidden.data[b * units : (b + 1) * units] for b in range(batches)]
        self._cell = [cell.data[b * units : (b + 1) * units] for b in range(batches)]
        self._buffers = [array("h", bytes(2 * units)) for _ in range(3)]
        self._acc = array("i", bytes(4 * units))
        context.want_scratch(units)

    def run(self):
        steps = self._steps
        batches = self._batches
        for batch in range(batches):
            for t in range(steps):
                self._step(batch, t * batches + batch if self._time_major else batch * steps + t)

    def _step(self, batch, row):
        """One step of time. `row`: which row of x and y."""
        x = self._x
        inputs = self._row
        depth = len(inputs)
        k = row * depth
        for i in range(depth):
            inputs[i] = x[k]
            k += 1
        hidden = self._hidden[batch]
        cell = self._cell[batch]
        forget, gate, candidate = self._buffers
        acc_x = self._context.scratch
        acc_h = self._acc
        self._forget_gate.run(forget, inputs, hidden, acc_x, acc_h)
        self._input_gate.run(gate, inputs, hidden, acc_x, acc_h)
        self._cell_gate.run(candidate, inputs, hidden, acc_x, acc_h)
        update_cell(cell, forget, gate, candidate, 29 + self._cell_power, self._clip)
        self._output_gate.run(gate, inputs, hidden, acc_x, acc_h)
        self._update_hidden(hidden, cell, gate, row)

    def _update_hidden(self, hidden, cell, gate, row):
        high, low, shift = self._multiplier
        y = self._y
        k = row * self._units
        shift_in = 12 + self._cell_power
        for i in range(self._units):
            if shift_in >= 0:
                v = tanh(3 * cell[i] << shift_in)
            else:
                v = tanh((3 * cell[i] + (1 << (-shift_in - 1))) >> -shift_in)
            v = high_mul(v * gate[i], high, low)
            v = rounding_divide(v, shift) + self._zero_point
            v = -128 if v < -128 else 127 if v > 127 else v
            hidden[i] = v
            y[k] = v
            k += 1


def _hidden_multiplier(op, hidden):
    from ..fixed_point import quantize_multiplier

    multiplier, shift = quantize_multiplier(ratio((1, -30), hidden.scale(), DOUBLE_BITS))
    if shift > 0:
        op.refuse("the hidden state's scale is too small")
    return multiplier >> 16, multiplier & 0xFFFF, -shift


class Gate:
    """Gate `k` of the four, in order input, forget, cell, output."""

    def __init__(self, context, op, k, units, depth):
        self._units = units
        inputs = op.inputs
        weights, recurrent = inputs[_WEIGHTS + k], inputs[_RECURRENT + k]
        bias = inputs[_BIASES + k]
        _check_weights(op, weights, (units, depth))
        _check_weights(op, recurrent, (units, units))
        if bias.type != schema.INT32 or bias.shape != (units,) or not bias.offset:
            op.refuse("bias %d must be %d constant int32" % (bias.index, units))
        self._x = Product(context, op, inputs[0], weights, bias)
        self._h = Product(context, op, inputs[_HIDDEN_STATE], recurrent, None)
        self._numbers = array("i", self._x.numbers + self._h.numbers + [1 if k == 2 else 0])

    def run(self, out, x, hidden, acc_x, acc_h):
        units = self._units
        matvec(acc_x, self._x.bias, self._x.weights, x, self._x.depth, units)
        matvec(acc_h, self._h.bias, self._h.weights, hidden, units, units)
        activate(out, acc_x, acc_h, self._numbers, units)


def _check_weights(op, tensor, shape):
    if tensor.type != schema.INT8 or tensor.shape != shape or not tensor.offset:
        op.refuse("weights %d must be constant int8 of shape %s" % (tensor.index, shape))
    if tensor.scales != 1 or tensor.zero_point():
        op.refuse("weights %d must be symmetric with one scale" % tensor.index)


class Product:
    """One of a gate's two products: views of the weights, folded bias, multiplier."""

    def __init__(self, context, op, x, weights, bias):
        from ..fixed_point import quantize_multiplier

        units, depth = weights.shape
        self.depth = depth
        starts = [depth * (i if i < units else 0) for i in range(4)]
        self.weights = [
            as_int8(context.data, weights.offset + start, weights.size - start) for start in starts
        ]
        zero_point = x.zero_point()
        row = self.weights[0]
        folded = [context.reader.i32(bias.offset + 4 * u) if bias else 0 for u in range(units)]
        k = 0
        for unit in range(units):
            total = 0
            for _ in range(depth):
                total += row[k]
                k += 1
            folded[unit] -= zero_point * total
        scales = product(x.scale(), weights.scale(), DOUBLE_BITS)
        multiplier, shift = quantize_multiplier(ratio(scales, (1, -12), DOUBLE_BITS))
        largest = max([abs(v) for v in folded]) + (depth << 14)
        if shift > 16 or largest << max(0, shift) >= _ACC_LIMIT:
            op.refuse("weights or biases of tensor %d are too large" % weights.index)
        self.bias = array("i", folded)
        self.numbers = [multiplier >> 16, multiplier & 0xFFFF, max(-29, shift)]


def activate(out, acc_x, acc_h, numbers, units):
    """out = function(clamp16(rescaled acc_x + rescaled acc_h)), each clamped before they are added.

    numbers: multiplier in halves and shift for acc_x, the same for acc_h, 1 for tanh.
    """
    h_x = numbers[0]
    m_x = numbers[1]
    s_x = numbers[2]
    h_h = numbers[3]
    m_h = numbers[4]
    s_h = numbers[5]
    function = tanh if numbers[6] else logistic
    for u in range(units):
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
