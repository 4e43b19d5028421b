"""The operators the engine knows, one module per family.

A kernel module has a function `prepare(context, op)` that checks one operator, does all that can be
done ahead, and returns an object whose `run()` computes the operator's output from its input,
allocating nothing. It is imported only when a model needs it. To add an operator: write the module
and give it a line here.
"""

from array import array

from .. import schema
from ..views import CPYTHON

# What loaded models go on using of this module: see forget_loader().
RUN = ""

# Operators whose output is their input.
_SHARING = (22, 43, 70)

# Of each module: code and name of its operators, a digit each for their lowest and highest version.
# Versions are TFLite's own (tensorflow/lite/tools/versioning/op_version.cc). One text, since tuples
# would take 3 KB of heap.
_TABLE = (
    "\nelementwise 0:ADD12 18:MUL13 41:SUB13 55:MAXIMUM13 57:MINIMUM13 99:SQUARED_DIFFERENCE12"
    "\npooling 1:AVERAGE_POOL_2D13 17:MAX_POOL_2D13"
    "\ncopies 2:CONCATENATION12 34:PAD14 39:TRANSPOSE14 45:STRIDED_SLICE14 49:SPLIT13 60:PADV214"
    " 83:PACK12 88:UNPACK12"
    "\nconv 3:CONV_2D18"
    "\ndepthwise 4:DEPTHWISE_CONV_2D17"
    "\nquantize 6:DEQUANTIZE12 114:QUANTIZE12"
    "\nfully_connected 9:FULLY_CONNECTED46"
    "\nactivations 14:LOGISTIC12 19:RELU12 21:RELU612 28:TANH12 98:LEAKY_RELU11 117:HARD_SWISH11"
    "\nwalk 22:RESHAPE11 43:SQUEEZE11 70:EXPAND_DIMS11 77:SHAPE11"
    "\nsoftmax 25:SOFTMAX12"
    "\nreduce 40:MEAN12 74:SUM12"
    "\nlstm 44:UNIDIRECTIONAL_SEQUENCE_LSTM13"
    "\ntranspose_conv 67:TRANSPOSE_CONV15"
    "\nresize 97:RESIZE_NEAREST_NEIGHBOR13"
)

# Entries looked up before.
_found: dict = {}


def kernels() -> dict:
    """{code: (name, lowest version, highest version, module)} of all operators there are."""
    return {code: find(code) for code in range(256) if find(code)}


def find(code: int) -> tuple:
    """An operator's entry in kernels(), or ()."""
    if code not in _found:
        before, _, after = _TABLE.partition(" %d:" % code)
        if not after:
            return ()
        entry = after.split()[0]
        module = before.split("\n")[-1].split(" ")[0]
        _found[code] = entry[:-2], int(entry[-2]), int(entry[-1]), module
    return _found[code]


def name_of(code: int) -> str:
    entry = find(code)
    if entry:
        return entry[0]
    if CPYTHON:  # boards do without: models are checked before they get there
        from ..op_names import name_of as any_name

        return any_name(code)
    return "operator code %d" % code


def check(operators):
    """Refuses the first operator whose code or version has no kernel."""
    for op in operators:
        entry = find(op.code)
        if not entry or not entry[1] <= op.version <= entry[2]:
            from ..errors import UnsupportedError

            raise UnsupportedError(
                "%s version %d is not supported: ./run check-model tells what to use instead. "
                "This engine runs int8 %s"
                % (
                    op.name,
                    op.version,
                    ", ".join(["%s v%d-%d" % each[:3] for each in sorted(kernels().values())]),
                )
            )


def shares(op):
    """Whether the operator's output is its input, byte for byte, and may lie there."""
    if op.code not in _SHARING or not op.inputs:
        return False
    x, y = op.inputs[0], op.outputs[0]
    return x and x.type == y.type and x.size == y.size


def scratch(op):
    """Bytes of each scratch buffer that TFLite-Micro's kernel asks for, in its order.

    C: RequestScratchBufferInArena in reduce_common.cc, transpose_conv.cc and
    unidirectional_sequence_lstm.cc of tensorflow/lite/micro/kernels.
    """
    try:
        if op.code == schema.LSTM:
            return [op.inputs[schema.LSTM_CELL_STATE].bytes] * 4
        sums = [4 * op.outputs[0].size]
        if op.code == schema.TRANSPOSE_CONV:
            return sums
        if op.code in (schema.MEAN, schema.SUM):
            return sums + [4 * len(op.inputs[0].shape), 4 * op.inputs[1].size]
    except (AttributeError, IndexError):
        pass  # prepare() refuses what has not these inputs
    return ()


def prepare(context, op):
    """The operator's kernel, or None where nothing is left to run."""
    module = __import__(__name__ + "." + find(op.code)[3], None, None, ("prepare",))
    return module.prepare(context, op)


class Context:
    """What kernels of one model share: the file's bytes, and int32 scratch for the largest."""

    def __init__(self, reader):
        self.reader = reader
        self.view = reader.view
        self.scratch = None
        self.scratch_items = 0
        self._windows: list = []
        self._window_items = 0

    def want_scratch(self, items: int) -> None:
        self.scratch_items = max(self.scratch_items, items)

    def want_window(self, kernel: object, items: int) -> None:
        """Sets kernel.window to `items` int16 when all kernels are prepared; all share them."""
        self._windows.append((kernel, items))
        self._window_items = max(self._window_items, items)

    def finish(self):
        """Makes the scratch, and lets go of what only loading needs."""
        self.scratch = array("i", bytes(4 * self.scratch_items))
        window = memoryview(array("h", bytes(2 * self._window_items)))
        for kernel, items in self._windows:
            kernel.window = window[:items]
        self._windows.clear()
        self.reader = self.view = None


def activation_range(op, tensor, field):
    """(lowest, highest) int8 of the fused activation in a field of the options.

    C: CalculateActivationRangeQuantized.
    """
    activation = op.options.i8(field) if op.options else schema.ACTIVATION_NONE
    lowest, highest = -128, 127
    zero_point = tensor.zero_point()
    if activation == schema.ACTIVATION_NONE:
        return lowest, highest
    if activation == schema.ACTIVATION_RELU:
        return zero_point, highest
    from ..float32 import quotient

    m, e = tensor.scale()
    if activation == schema.ACTIVATION_RELU6:
        return zero_point, min(highest, zero_point + quotient(3 << 22, -21, m, e))
    if activation == schema.ACTIVATION_RELU_N1_TO_1:
        one = quotient(1 << 23, -23, m, e)
        return max(lowest, zero_point - one), min(highest, zero_point + one)
    return op.refuse(
        "fused activation %d; NONE, RELU, RELU6 and RELU_N1_TO_1 are supported" % activation
    )
