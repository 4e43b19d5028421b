"""The .tflite file as tensors and operators, checked as far as it can be for any operator."""

from . import schema
from .errors import FormatError, UnsupportedError
from .flatbuffer import Reader, Table

# table Model
_MODEL_VERSION = 0
_MODEL_OPERATOR_CODES = 1
_MODEL_SUBGRAPHS = 2
_MODEL_BUFFERS = 4
_MODEL_METADATA = 6

# table Metadata
_METADATA_NAME = 0

# table Buffer
_BUFFER_DATA = 0
_BUFFER_OFFSET = 1

# table OperatorCode; builtin_code outgrew its byte, the larger of the two counts
_OPCODE_DEPRECATED_BUILTIN = 0
_OPCODE_CUSTOM = 1
_OPCODE_VERSION = 2
_OPCODE_BUILTIN = 3

# table SubGraph
_SUBGRAPH_TENSORS = 0
_SUBGRAPH_INPUTS = 1
_SUBGRAPH_OUTPUTS = 2
_SUBGRAPH_OPERATORS = 3

# table Tensor
_TENSOR_SHAPE = 0
_TENSOR_TYPE = 1
_TENSOR_BUFFER = 2
_TENSOR_QUANTIZATION = 4
_TENSOR_IS_VARIABLE = 5
_TENSOR_SPARSITY = 6

# table QuantizationParameters
_QUANTIZATION_SCALE = 2
_QUANTIZATION_ZERO_POINT = 3
_QUANTIZATION_DIMENSION = 6

# table Operator
_OPERATOR_OPCODE = 0
_OPERATOR_INPUTS = 1
_OPERATOR_OUTPUTS = 2
_OPERATOR_OPTIONS = 4

_CUSTOM = 32

# Real models stay below these. In a hostile file vectors can overlap, so that the work of loading
# it would grow with the square of its size.
_MAX_DIMENSIONS = 8
_MAX_OPERANDS = 64
_MAX_OPERATORS = 1024
_MAX_TENSORS = 2048
_MAX_OVERLAP = 16


class Tensor:
    """One tensor. `view`, an activation's view of the arena, is set when the arena is placed."""

    view = None
    begin = 0  # of its bytes in the file; 0 for an activation
    variable = False
    dimension = 0
    _scales = _zero_points = (0, 0)

    def __init__(self, reader, position, index, buffers):
        self.reader = reader
        self.index = index
        fields = reader.fields(position)
        number = reader.number
        at = fields[_TENSOR_SHAPE]
        self.shape = reader.i32s(position + at, _MAX_DIMENSIONS) if at else ()
        at = fields[_TENSOR_TYPE]
        self.type = number(position + at, "<b") if at else 0
        size = 1
        for dimension in self.shape:
            # What no operator reads or writes may be empty: an LSTM's intermediate results are.
            size *= dimension if dimension > 0 else 0
        self.size = size
        self.bytes = size * schema.TYPE_SIZES.get(self.type, 1)
        if fields[_TENSOR_SPARSITY]:
            raise UnsupportedError("tensor %d is stored sparse: convert without it" % index)
        at = fields[_TENSOR_IS_VARIABLE]
        if at and number(position + at, "<b"):
            self.variable = True
        at = fields[_TENSOR_BUFFER]
        self._place(number(position + at) if at else 0, buffers)
        at = fields[_TENSOR_QUANTIZATION]
        if not at:
            return
        at += position
        at += number(at)
        fields = reader.fields(at)
        if fields[_QUANTIZATION_SCALE]:
            self._scales = reader.vector(at + fields[_QUANTIZATION_SCALE], 4)
        if fields[_QUANTIZATION_ZERO_POINT]:
            self._zero_points = reader.vector(at + fields[_QUANTIZATION_ZERO_POINT], 8)
        # TFLite-Micro takes a tensor without zero points for one that is not quantised.
        if self._zero_points[1] != self._scales[1]:
            raise FormatError("tensor %d has not as many zero points as scales" % index)
        if fields[_QUANTIZATION_DIMENSION]:
            self.dimension = number(at + fields[_QUANTIZATION_DIMENSION], "<i")

    def _place(self, buffer, buffers):
        """Finds the tensor's bytes in the file."""
        if buffer >= len(buffers):
            raise FormatError(
                "tensor %d refers to buffer %d of %d" % (self.index, buffer, len(buffers))
            )
        at = buffers[buffer]
        reader = self.reader
        fields = reader.fields(at)
        if fields[_BUFFER_OFFSET] and reader.number(at + fields[_BUFFER_OFFSET], "<Q") > 1:
            raise UnsupportedError("buffer %d lies outside the flatbuffer" % buffer)
        if not fields[_BUFFER_DATA]:
            return
        start, length = reader.vector(at + fields[_BUFFER_DATA], 1)
        if length:
            self.begin = start
            if length != self.bytes and self.type in schema.TYPE_SIZES:
                raise FormatError(
                    "tensor %d of shape %s needs %d bytes, its buffer has %d"
                    % (self.index, self.shape, self.bytes, length)
                )

    @property
    def type_name(self) -> str:
        return schema.type_name(self.type)

    @property
    def scales(self) -> int:
        """Number of scales: 0 not quantised, 1 per tensor, more per channel."""
        return self._scales[1]

    def scale_at(self, channel: int = 0) -> int:
        """Where a scale lies in the file."""
        start, length = self._scales
        if channel >= length:
            raise FormatError("tensor %d has no scale" % self.index)
        return start + 4 * channel

    def scale(self, channel=0):
        """A scale as (mantissa, exponent), the mantissa in [2**23, 2**24)."""
        at = self.scale_at(channel)
        data = self.reader.view
        high = data[at + 3] << 8 | data[at + 2]
        m = (high & 127) << 16 | data[at + 1] << 8 | data[at]
        if 128 <= high < 0x7F80:
            return m | 0x800000, (high >> 7) - 150
        if 0 < m and high < 128:
            from .float32 import from_bits

            return from_bits(m)
        raise FormatError("tensor %d has a scale that is not a positive number" % self.index)

    def zero_point(self, channel: int = 0) -> int:
        start, length = self._zero_points
        if channel >= length:
            return 0
        value = self.reader.number(start + 8 * channel, "<q")
        if not -128 <= value <= 127 and self.type == schema.INT8:
            raise FormatError("tensor %d has zero point %d, not an int8" % (self.index, value))
        return value

    def symmetric(self) -> bool:
        """Whether all zero points are 0."""
        start, length = self._zero_points
        return not bytes(self.reader.view[start : start + 8 * length]).strip(b"\0")


class Operator:
    """One operator: code, version, tensors (None where optional and left out), options table."""

    def __init__(self, index, table, codes, tensors):
        self.index = index
        opcode = table.number(_OPERATOR_OPCODE, "<I")
        if opcode >= len(codes):
            raise FormatError("operator %d refers to code %d of %d" % (index, opcode, len(codes)))
        self.code, self.version, self.name = codes[opcode]
        self.inputs = [
            _pick(tensors, i, index, True) for i in table.i32s(_OPERATOR_INPUTS, _MAX_OPERANDS)
        ]
        self.outputs = [
            _pick(tensors, i, index) for i in table.i32s(_OPERATOR_OUTPUTS, _MAX_OPERANDS)
        ]
        at = table.at(_OPERATOR_OPTIONS)
        self.options = Table(table.reader, at + table.reader.number(at)) if at else None

    def refuse(self, reason, *values):
        """`values` belong into `reason`, where it is the number of a text (a built board's)."""
        error = UnsupportedError(reason, *values)
        raise UnsupportedError("operator %d, %s: %s" % (self.index, self.name, error))

    def shaped(self, fewest: int, most: int) -> None:
        """Refuses other than `fewest` to `most` inputs (the first given) and one output."""
        if not fewest <= len(self.inputs) <= most or len(self.outputs) != 1 or not self.inputs[0]:
            self.refuse("has %d inputs and %d outputs" % (len(self.inputs), len(self.outputs)))
        if self.inputs[0].begin:
            self.refuse("its input, tensor %d, is a constant" % self.inputs[0].index)

    def exactly(self, inputs: int, outputs: int = 1) -> None:
        """Refuses other than so many inputs, all given, and so many outputs, at least one each."""
        given = len(self.inputs) - self.inputs.count(None)
        if not given == len(self.inputs) == inputs > 0 or not len(self.outputs) == outputs > 0:
            self.refuse("has %d inputs and %d outputs" % (given, len(self.outputs)))

    def typed(self, *types: int) -> None:
        """Refuses unless inputs and output, where present, have these types, in this order."""
        for tensor, wanted in zip(self.inputs + self.outputs, types):
            if tensor and tensor.type != wanted:
                self.refuse(
                    "tensor %d is %s; only %s is supported there: quantise the model to full int8"
                    % (tensor.index, tensor.type_name, schema.type_name(wanted))
                )

    def same_size(self) -> None:
        """Refuses unless the first input and the output have equally many items."""
        if self.inputs[0].size != self.outputs[0].size:
            self.refuse(
                "input shape %s, output shape %s" % (self.inputs[0].shape, self.outputs[0].shape)
            )


def _pick(tensors, index, operator, optional=False):
    if optional and index == -1:
        return None
    if not 0 <= index < len(tensors):
        raise FormatError("operator %d refers to tensor %d of %d" % (operator, index, len(tensors)))
    tensor = tensors[index]
    if tensor.size < 1:
        raise UnsupportedError(
            "tensor %d has shape %s: convert with a fixed batch of 1" % (index, tensor.shape)
        )
    return tensor


class Graph:
    """tensors, operators in order of execution, inputs and outputs of the file's one subgraph."""

    def __init__(self, data, name_of):
        reader = Reader(data)
        self.reader = reader
        if bytes(data[4:8]) != schema.IDENTIFIER:
            raise FormatError("not a .tflite file: no TFL3 at offset 4")
        model = reader.root()
        version = model.u32(_MODEL_VERSION)
        if version != schema.VERSION:
            raise UnsupportedError("schema version %d; version 3 is supported" % version)
        self._refuse_compression(model)
        codes = [self._code(Table(reader, p), name_of) for p in model.tables(_MODEL_OPERATOR_CODES)]
        subgraphs = model.tables(_MODEL_SUBGRAPHS)
        if len(subgraphs) != 1:
            raise UnsupportedError(
                "file has %d subgraphs; 1 is supported: convert one signature, without loops"
                % len(subgraphs)
            )
        subgraph = Table(reader, subgraphs[0])
        buffers = model.tables(_MODEL_BUFFERS)
        for field, most in (
            (_SUBGRAPH_TENSORS, _MAX_TENSORS),
            (_SUBGRAPH_OPERATORS, _MAX_OPERATORS),
        ):
            if subgraph.vector(field, 4)[1] > most:
                raise UnsupportedError("more than %d tensors or operators" % most)
        self.tensors = [
            Tensor(reader, p, i, buffers) for i, p in enumerate(subgraph.tables(_SUBGRAPH_TENSORS))
        ]
        self.operators = [
            Operator(i, Table(reader, p), codes, self.tensors)
            for i, p in enumerate(subgraph.tables(_SUBGRAPH_OPERATORS))
        ]
        self.inputs = [
            _pick(self.tensors, i, -1) for i in subgraph.i32s(_SUBGRAPH_INPUTS, _MAX_TENSORS)
        ]
        self.outputs = [
            _pick(self.tensors, i, -1) for i in subgraph.i32s(_SUBGRAPH_OUTPUTS, _MAX_TENSORS)
        ]
        if sum([t.bytes for t in self.tensors if t.begin]) > _MAX_OVERLAP * len(data):
            raise FormatError("the constants lie on top of each other")
        self._check_order()

    def _refuse_compression(self, model):
        for position in model.tables(_MODEL_METADATA):
            start, length = Table(self.reader, position).vector(_METADATA_NAME, 1)
            wanted = b"COMPRESSION_METADATA"
            if length == len(wanted) and bytes(self.reader.view[start : start + length]) == wanted:
                raise UnsupportedError("weights are compressed: convert without compression")

    @staticmethod
    def _code(table, name_of):
        code = max(table.i8(_OPCODE_DEPRECATED_BUILTIN), table.i32(_OPCODE_BUILTIN))
        if code == _CUSTOM and table.at(_OPCODE_CUSTOM):
            start, length = table.vector(_OPCODE_CUSTOM, 1)
            shown = bytes(table.reader.view[start : start + min(length, 40)])
            name = "custom operator %r" % shown
        else:
            name = name_of(code)
        return code, table.i32(_OPCODE_VERSION, 1), name

    def _check_order(self):
        """Refuses a graph that would read a tensor before it is computed, or compute one twice."""
        if not self.inputs or not self.outputs:
            raise FormatError(
                "model has %d inputs and %d outputs" % (len(self.inputs), len(self.outputs))
            )
        ready = set()
        for tensor in self.tensors:
            if tensor.begin or tensor.variable:
                ready.add(tensor.index)
            if tensor.begin and tensor.variable:
                raise UnsupportedError("tensor %d is a variable with a value" % tensor.index)
        for tensor in self.inputs:
            if tensor.index in ready:
                raise FormatError("input tensor %d is a constant or listed twice" % tensor.index)
            ready.add(tensor.index)
        for operator in self.operators:
            for k, tensor in enumerate(operator.inputs):
                state = operator.code == schema.LSTM and k in (
                    schema.LSTM_HIDDEN_STATE,
                    schema.LSTM_CELL_STATE,
                )
                if tensor and tensor.variable != state:
                    raise UnsupportedError(
                        "operator %d, %s: only an LSTM has state" % (operator.index, operator.name)
                    )
                if tensor and tensor.index not in ready:
                    raise FormatError(
                        "operator %d reads tensor %d before it is computed"
                        % (operator.index, tensor.index)
                    )
            for tensor in operator.outputs:
                if tensor.index in ready:
                    raise FormatError("tensor %d is computed twice" % tensor.index)
                ready.add(tensor.index)
        for tensor in self.outputs:
            if tensor.begin or tensor.variable or tensor.index not in ready:
                raise FormatError("output tensor %d is never computed" % tensor.index)
