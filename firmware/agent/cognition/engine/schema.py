"""Field numbers and codes of the TFLite flatbuffer schema, version 3.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs. A field number is the field's position in
its table.
"""

IDENTIFIER = b"TFL3"
VERSION = 3

# table Model
MODEL_VERSION = 0
MODEL_OPERATOR_CODES = 1
MODEL_SUBGRAPHS = 2
MODEL_BUFFERS = 4
MODEL_METADATA = 6

# table Metadata
METADATA_NAME = 0

# table Buffer
BUFFER_DATA = 0
BUFFER_OFFSET = 1

# table OperatorCode; builtin_code outgrew its byte, the larger of the two counts
OPCODE_DEPRECATED_BUILTIN = 0
OPCODE_CUSTOM = 1
OPCODE_VERSION = 2
OPCODE_BUILTIN = 3

# table SubGraph
SUBGRAPH_TENSORS = 0
SUBGRAPH_INPUTS = 1
SUBGRAPH_OUTPUTS = 2
SUBGRAPH_OPERATORS = 3

# table Tensor
TENSOR_SHAPE = 0
TENSOR_TYPE = 1
TENSOR_BUFFER = 2
TENSOR_QUANTIZATION = 4
TENSOR_IS_VARIABLE = 5
TENSOR_SPARSITY = 6

# table QuantizationParameters
QUANTIZATION_SCALE = 2
QUANTIZATION_ZERO_POINT = 3
QUANTIZATION_DIMENSION = 6

# table Operator
OPERATOR_OPCODE = 0
OPERATOR_INPUTS = 1
OPERATOR_OUTPUTS = 2
OPERATOR_OPTIONS = 4

# table FullyConnectedOptions
FULLY_CONNECTED_ACTIVATION = 0
FULLY_CONNECTED_WEIGHTS_FORMAT = 1

# table SoftmaxOptions
SOFTMAX_BETA = 0

# enum TensorType
FLOAT32 = 0
INT32 = 2
INT8 = 9
TYPE_NAMES = (
    "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 "
    "uint64 resource variant uint32 uint16 int4 bfloat16"
).split()
TYPE_SIZES = {FLOAT32: 4, INT32: 4, INT8: 1}

# enum ActivationFunctionType
ACTIVATION_NONE = 0
ACTIVATION_RELU = 1
ACTIVATION_RELU_N1_TO_1 = 2
ACTIVATION_RELU6 = 3
