"""Codes of the TFLite flatbuffer schema, version 3, that more than one module needs.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs. A field number is the field's position in
its table; those of the file's own structure are in graph.py.
"""

IDENTIFIER = b"TFL3"
VERSION = 3

# table FullyConnectedOptions
FULLY_CONNECTED_ACTIVATION = 0
FULLY_CONNECTED_WEIGHTS_FORMAT = 1

# table SoftmaxOptions
SOFTMAX_BETA = 0

# enum TensorType
FLOAT32 = 0
INT32 = 2
INT16 = 7
INT8 = 9
_TYPE_NAMES = (
    "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 "
    "uint64 resource variant uint32 uint16 int4 bfloat16"
)
TYPE_SIZES = {FLOAT32: 4, INT32: 4, INT16: 2, INT8: 1}

# enum ActivationFunctionType
ACTIVATION_NONE = 0
ACTIVATION_RELU = 1
ACTIVATION_RELU_N1_TO_1 = 2
ACTIVATION_RELU6 = 3
ACTIVATION_TANH = 4


def type_name(code: int) -> str:
    """The name of a TensorType."""
    names = _TYPE_NAMES.split()
    return names[code] if 0 <= code < len(names) else "type %d" % code
