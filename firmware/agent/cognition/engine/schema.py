"""Codes of the TFLite flatbuffer schema, version 3, that more than one module needs.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs. A field number is the field's position in
its table; those of the file's own structure are in graph.py.
"""

from .errors import ModelError

IDENTIFIER = b"TFL3"
VERSION = 3

# enum BuiltinOperator, as far as one module has several
ADD = 0
CONCATENATION = 2
DEQUANTIZE = 6
LOGISTIC = 14
MAX_POOL_2D = 17
MUL = 18
RELU = 19
RELU6 = 21
TANH = 28
PAD = 34
TRANSPOSE = 39
MEAN = 40
LSTM = 44
STRIDED_SLICE = 45
MAXIMUM = 55
MINIMUM = 57
PADV2 = 60
TRANSPOSE_CONV = 67
SUM = 74
SHAPE = 77
PACK = 83
UNPACK = 88
LEAKY_RELU = 98
SQUARED_DIFFERENCE = 99
HARD_SWISH = 117

# table FullyConnectedOptions
FULLY_CONNECTED_ACTIVATION = 0
FULLY_CONNECTED_WEIGHTS_FORMAT = 1

# Where an LSTM's state is among its inputs
LSTM_HIDDEN_STATE = 18
LSTM_CELL_STATE = 19

# table SoftmaxOptions
SOFTMAX_BETA = 0

# enum TensorType
FLOAT32 = 0
INT32 = 2
INT16 = 7
INT8 = 9
TYPE_SIZES = {FLOAT32: 4, INT32: 4, INT16: 2, INT8: 1}

# enum ActivationFunctionType
ACTIVATION_NONE = 0
ACTIVATION_RELU = 1
ACTIVATION_RELU_N1_TO_1 = 2
ACTIVATION_RELU6 = 3
ACTIVATION_TANH = 4


def type_name(code: int) -> str:
    """The name of a TensorType."""
    # Only errors name types: as an error's text, the list is no code (docs/firmware.md).
    error = ModelError(
        "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 "
        "uint64 resource variant uint32 uint16 int4 bfloat16"
    )
    names = str(error).split()
    return names[code] if 0 <= code < len(names) else "type %d" % code
