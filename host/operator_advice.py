"""What to use instead of operators the engine does not run."""

from __future__ import annotations

FULL_INT8 = (
    "convert with full int8 quantisation: optimizations = [tf.lite.Optimize.DEFAULT], a"
    " representative_dataset, target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8],"
    " inference_input_type = inference_output_type = tf.int8"
)

_ELEMENTWISE = "compute it before the model, as a feature, or replace it by a dense layer"
_SELECT = "use MAXIMUM, MINIMUM or a RELU, or decide outside the model"
_OUTSIDE = "leave it out of the model and compute it from the model's output"
_RECURRENT = "use keras.layers.LSTM, GRU or SimpleRNN with unroll=True, or 1-D convolutions"
_STATIC = "convert with a fixed batch of 1 and fixed shapes, so that it is not needed"
_NEAREST = (
    "use RESIZE_NEAREST_NEIGHBOR (keras.ops.image.resize with interpolation='nearest';"
    " UpSampling2D becomes TILE) or Conv2DTranspose"
)
_ACTIVATION = "use RELU, RELU6, LEAKY_RELU, HARD_SWISH, LOGISTIC or TANH"

# operator: what to use instead
INSTEAD = {
    "SELECT": _SELECT,
    "SELECT_V2": _SELECT,
    "WHERE": _SELECT,
    "GREATER": _SELECT,
    "GREATER_EQUAL": _SELECT,
    "LESS": _SELECT,
    "LESS_EQUAL": _SELECT,
    "EQUAL": _SELECT,
    "NOT_EQUAL": _SELECT,
    "BATCH_MATMUL": "use a Dense layer (FULLY_CONNECTED); attention between activations is not run",
    "GATHER": (
        "use STRIDED_SLICE or SPLIT with constant indices, or pick items before the model; a"
        " Reshape with an open batch becomes it too: convert with a fixed batch of 1"
    ),
    "GATHER_ND": "use STRIDED_SLICE or SPLIT with constant indices",
    "SLICE": "use STRIDED_SLICE (x[:, a:b] in Keras)",
    "EMBEDDING_LOOKUP": "feed the embedded vector, or one-hot input and a Dense layer",
    "ONE_HOT": "make the one-hot input before the model",
    "CAST": "feed int8 or float32 input directly",
    "DIV": "multiply by the constant's inverse (MUL)",
    "FLOOR_DIV": _ELEMENTWISE,
    "FLOOR_MOD": _ELEMENTWISE,
    "EXP": _ELEMENTWISE,
    "LOG": _ELEMENTWISE,
    "SQRT": _ELEMENTWISE,
    "RSQRT": "fold the normalisation into the layer before it (batch normalisation does)",
    "SQUARE": "use MUL of the tensor with itself",
    "POW": "use MUL",
    "ABS": "use MAXIMUM of x and -x, or SQUARED_DIFFERENCE",
    "NEG": "use SUB from 0, or fold the sign into the next layer's weights",
    "SIN": _ELEMENTWISE,
    "COS": _ELEMENTWISE,
    "ELU": _ACTIVATION,
    "GELU": _ACTIVATION,
    "PRELU": "use LEAKY_RELU",
    "RELU_N1_TO_1": "use MAXIMUM and MINIMUM with constants, or the fused form",
    "RELU_0_TO_1": "use RELU6 with the scales adapted, or MAXIMUM and MINIMUM",
    "LOG_SOFTMAX": "use SOFTMAX, or take the logits",
    "L2_NORMALIZATION": "normalise before the model",
    "L2_POOL_2D": "use AVERAGE_POOL_2D",
    "ARG_MAX": _OUTSIDE,
    "ARG_MIN": _OUTSIDE,
    "TOPK_V2": _OUTSIDE,
    "NON_MAX_SUPPRESSION_V4": _OUTSIDE,
    "NON_MAX_SUPPRESSION_V5": _OUTSIDE,
    "REDUCE_MAX": "use MAX_POOL_2D over the whole window",
    "REDUCE_MIN": "use MAX_POOL_2D of the negative",
    "CUMSUM": "use a dense layer with a triangle of ones, or sum before the model",
    "RESIZE_BILINEAR": _NEAREST,
    "SPACE_TO_DEPTH": "use a convolution with a stride",
    "DEPTH_TO_SPACE": "use TRANSPOSE_CONV or RESIZE_NEAREST_NEIGHBOR",
    "SPACE_TO_BATCH_ND": "use CONV_2D with a dilation: newer converters emit it",
    "BATCH_TO_SPACE_ND": "use CONV_2D with a dilation: newer converters emit it",
    "MIRROR_PAD": "use PAD, or padding='same'",
    "TILE": f"let ADD or MUL broadcast; to scale an image up, {_NEAREST}",
    "BROADCAST_TO": "let ADD or MUL broadcast",
    "BROADCAST_ARGS": _STATIC,
    "FILL": _STATIC,
    "RANGE": _STATIC,
    "SPLIT_V": "use SPLIT into equal parts, or STRIDED_SLICE",
    "REVERSE_V2": "reverse the input before the model",
    "REVERSE_SEQUENCE": "reverse the input before the model",
    "ADD_N": "use ADD of two tensors at a time",
    "CONV_3D": "use CONV_2D over stacked channels",
    "SVDF": "use FULLY_CONNECTED or 1-D convolutions",
    "RNN": _RECURRENT,
    "LSTM": _RECURRENT,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _RECURRENT,
    "BIDIRECTIONAL_SEQUENCE_RNN": _RECURRENT,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _RECURRENT,
    "WHILE": "unroll the loop: recurrent layers have unroll=True",
    "IF": "decide outside the model",
    "CALL_ONCE": "freeze variables before converting",
    "VAR_HANDLE": "freeze variables before converting; state is kept in an LSTM only",
    "READ_VARIABLE": "freeze variables before converting; state is kept in an LSTM only",
    "ASSIGN_VARIABLE": "freeze variables before converting; state is kept in an LSTM only",
}


def advice(name: str, supported: str) -> str:
    """What to do about an operator that is not run. supported: names of those that are."""
    if name.startswith("custom operator"):
        return "convert without allow_custom_ops and without select TensorFlow operators"
    if name.startswith("STABLEHLO"):
        return "convert to TFLite builtins, not to StableHLO"
    return INSTEAD.get(name, f"use one of {supported}")
