"""Writes small .tflite files with TensorFlow's schema classes, without importing TensorFlow."""

import importlib.util
import random
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

# Class of an operator's options, without the word Options.
OPTIONS = {
    "FULLY_CONNECTED": "FullyConnected",
    "SOFTMAX": "Softmax",
    "RESHAPE": "Reshape",
    "ADD": "Add",
    "SUB": "Sub",
    "MUL": "Mul",
    "MAXIMUM": "MaximumMinimum",
    "MINIMUM": "MaximumMinimum",
    "SQUARED_DIFFERENCE": "SquaredDifference",
    "LEAKY_RELU": "LeakyRelu",
    "MEAN": "Reducer",
    "SUM": "Reducer",
    "SQUEEZE": "Squeeze",
    "EXPAND_DIMS": "ExpandDims",
    "SHAPE": "Shape",
    "STRIDED_SLICE": "StridedSlice",
    "PACK": "Pack",
    "CONCATENATION": "Concatenation",
    "SPLIT": "Split",
    "UNPACK": "Unpack",
    "PAD": "Pad",
    "PADV2": "PadV2",
    "TRANSPOSE": "Transpose",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "TRANSPOSE_CONV": "TransposeConv",
    "AVERAGE_POOL_2D": "Pool2D",
    "MAX_POOL_2D": "Pool2D",
}
TYPES = {"int8": 9, "int32": 2, "float32": 0, "int16": 7, "uint8": 3}
# Where it is not 2.
VERSIONS = {
    "FULLY_CONNECTED": 4,
    "RESHAPE": 1,
    "LEAKY_RELU": 1,
    "HARD_SWISH": 1,
    "SQUEEZE": 1,
    "EXPAND_DIMS": 1,
    "SHAPE": 1,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 1,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
}


@cache
def schema() -> ModuleType:
    tensorflow = importlib.util.find_spec("tensorflow")
    if tensorflow is None or not importlib.util.find_spec("flatbuffers"):
        pytest.skip("needs the schema classes of the tensorflow package")
    folder = Path(tensorflow.submodule_search_locations[0])  # type: ignore[index]
    spec = importlib.util.spec_from_file_location(
        "tflite_schema", folder / "lite/python/schema_py_generated.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def exposed(model: bytes) -> bytes:
    """The same model with every operator's first output as an output of the model."""
    import flatbuffers

    s = schema()
    made = s.ModelT.InitFromObj(s.Model.GetRootAsModel(model, 0))
    (graph,) = made.subgraphs
    graph.outputs = [op.outputs[0] for op in graph.operators]
    writer = flatbuffers.Builder(len(model))
    writer.Finish(made.Pack(writer), file_identifier=b"TFL3")
    return bytes(writer.Output())


@dataclass
class Builder:
    """Tensors and operators in order; tensors are known by number."""

    tensors: list[dict[str, Any]] = field(default_factory=list)
    operators: list[dict[str, Any]] = field(default_factory=list)

    def tensor(
        self,
        shape,
        scale=None,
        zero_point=0,
        dtype="int8",
        data=None,
        dimension=0,
        variable=False,
    ) -> int:
        self.tensors.append(locals() | {"self": None})
        return len(self.tensors) - 1

    def ints(self, *values: int) -> int:
        """A constant int32 tensor of one dimension."""
        return self.tensor((len(values),), dtype="int32", data=np.array(values, np.int32))

    def operator(self, name, inputs, output, version=None, **options):
        """Adds an operator and returns `output`, a tensor or a list of them."""
        version = VERSIONS.get(name, 2) if version is None else version
        self.operators.append(
            {"name": name, "inputs": inputs, "output": output, "version": version, "opt": options}
        )
        return output

    def scale(self, tensor: int) -> np.float32:
        return np.float32(self.tensors[tensor]["scale"])

    def build(self, inputs: list[int], outputs: list[int]) -> bytes:
        import flatbuffers

        s = schema()
        model = s.ModelT()
        model.version = 3
        model.buffers = [s.BufferT()]
        graph = s.SubGraphT()
        graph.tensors = [self._tensor(s, model, t) for t in self.tensors]
        graph.inputs, graph.outputs = inputs, outputs
        model.operatorCodes = []
        graph.operators = []
        for op in self.operators:
            code = s.OperatorCodeT()
            code.builtinCode = getattr(s.BuiltinOperator, op["name"])
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = op["version"]
            made = s.OperatorT()
            made.opcodeIndex = len(model.operatorCodes)
            made.inputs = op["inputs"]
            made.outputs = op["output"] if isinstance(op["output"], list) else [op["output"]]
            if op["name"] in OPTIONS:
                kind = OPTIONS[op["name"]] + "Options"
                made.builtinOptionsType = getattr(s.BuiltinOptions, kind)
                made.builtinOptions = getattr(s, kind + "T")()
                for key, value in op["opt"].items():
                    setattr(made.builtinOptions, key, value)
            model.operatorCodes.append(code)
            graph.operators.append(made)
        model.subgraphs = [graph]
        writer = flatbuffers.Builder(1024)
        writer.Finish(model.Pack(writer), file_identifier=b"TFL3")
        return bytes(writer.Output())

    @staticmethod
    def _tensor(s, model, spec):
        tensor = s.TensorT()
        tensor.shape, tensor.type = list(spec["shape"]), TYPES[spec["dtype"]]
        tensor.buffer = 0
        tensor.isVariable = spec["variable"]
        if spec["data"] is not None:
            buffer = s.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(spec["data"]).tobytes(), np.uint8)
            tensor.buffer = len(model.buffers)
            model.buffers.append(buffer)
        if spec["scale"] is not None:
            quantization = s.QuantizationParametersT()
            quantization.scale = np.atleast_1d(np.asarray(spec["scale"], np.float32))
            quantization.zeroPoint = np.full(len(quantization.scale), spec["zero_point"], np.int64)
            quantization.quantizedDimension = spec["dimension"]
            tensor.quantization = quantization
        return tensor


def dense(b: Builder, source: int, units: int, rng: random.Random, spread: float = 1.0, **kind):
    """Adds a FULLY_CONNECTED with random weights. kind: per_channel, bias, activation, version."""
    npr = np.random.default_rng(rng.getrandbits(32))
    shape = b.tensors[source]["shape"]
    depth = shape[-1]
    per_channel = kind.get("per_channel", False)
    weights = npr.integers(-127, 128, (units, depth), np.int8)
    scales = np.float32(np.exp(npr.uniform(-7, -3, units if per_channel else 1)))
    w = b.tensor((units, depth), scales, 0, data=weights)
    product = np.float32(b.scale(source) * scales)
    inputs = [source, w]
    if kind.get("bias", True):
        bias = npr.integers(-8000, 8000, units, np.int32)
        inputs.append(b.tensor((units,), product, 0, "int32", bias))
    out_scale = np.float32(
        spread * np.exp(np.mean(np.log(product))) * (70 * 80 * np.sqrt(depth)) / 60
    )
    y = b.tensor((*shape[:-1], units), out_scale, rng.randint(-128, 127))
    return b.operator(
        "FULLY_CONNECTED",
        inputs,
        y,
        kind.get("version", 4 if kind.get("bias", True) else 6),
        fusedActivationFunction=kind.get("activation", 0),
    )


def random_model(seed: int) -> tuple[bytes, int]:
    """A random dense model whose outputs are every operator's output; and its input's bytes."""
    rng = random.Random(seed)
    b = Builder()
    batch, width = rng.choice((1, 1, 2, 3)), rng.choice((1, 2, 3, 5, 8, 17, 33, 64))
    scale = np.float32(np.exp(rng.uniform(-6, 1)))
    if seed % 5 == 4:
        floats = b.tensor((batch, width), dtype="float32")
        x = b.tensor((batch, width), scale, rng.randint(-128, 127))
        first, outputs = floats, [b.operator("QUANTIZE", [floats], x, 1)]
    else:
        first = x = b.tensor((batch, width), scale, rng.randint(-128, 127))
        outputs = []
    for _ in range(rng.randint(1, 6)):
        x = dense(
            b,
            x,
            rng.choice((1, 2, 3, 4, 5, 7, 12, 16, 31)),
            rng,
            spread=float(np.exp(rng.uniform(-2, 2))),
            per_channel=rng.random() < 0.5,
            bias=rng.random() < 0.8,
            activation=rng.choice((0, 0, 1, 1, 2, 3)),
        )
        outputs.append(x)
        if rng.random() < 0.6:
            x = _extra(b, x, rng)
            outputs.append(x)
    shape = b.tensors[x]["shape"]
    p = b.tensor(shape, np.float32(1 / 256), -128)
    # A sensible temperature, so that the soft-max is neither flat nor one-hot.
    beta = float(np.float32(rng.uniform(1, 6) / (b.scale(x) * 60)))
    outputs.append(b.operator("SOFTMAX", [x], p, beta=beta))
    if seed % 3 == 0:
        y = b.tensor(shape, dtype="float32")
        outputs.append(b.operator("DEQUANTIZE", [x], y))
    return b.build([first], outputs), batch * width * (4 if seed % 5 == 4 else 1)


def _extra(b: Builder, x: int, rng: random.Random) -> int:
    """Adds one of the operators that have no weights."""
    shape, scale = b.tensors[x]["shape"], b.scale(x)
    zero = b.tensors[x]["zero_point"]
    name = rng.choice(("RELU", "RELU6", "LOGISTIC", "TANH", "QUANTIZE", "RESHAPE"))
    if name in ("LOGISTIC", "TANH"):
        # A table's input has to cover a few units for its output to vary.
        q = b.tensor(shape, np.float32(rng.uniform(0.01, 0.12)), rng.randint(-40, 40))
        x = b.operator("QUANTIZE", [x], q)
        form = (1 / 256, -128) if name == "LOGISTIC" else (1 / 128, 0)
        return b.operator(name, [x], b.tensor(shape, np.float32(form[0]), form[1]))
    if name == "RELU6":
        return b.operator(name, [x], b.tensor(shape, scale, zero))
    if name == "RESHAPE":
        shape = shape[::-1] if len(shape) == 2 and rng.random() < 0.5 else (1, *shape)
        return b.operator(name, [x], b.tensor(shape, scale, zero), newShape=list(shape))
    factor = np.float32(np.exp(rng.uniform(-1.5, 1.5)))
    y = b.tensor(shape, np.float32(scale * factor), rng.randint(-128, 127))
    return b.operator(name, [x], y)
