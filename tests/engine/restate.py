"""Sound flatbuffers that say something wrong: shapes, types, scales, indices, options.

Mutated bytes seldom get past the reader; these reach what the operators check.
"""

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from agent.cognition.engine.ops import kernels
from tests.engine.tflite_builder import schema

NUMBERS = (-(1 << 31), -129, -128, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 127, 255, 65536, 2**31 - 1)
SCALES = (0.0, -1.0, float("nan"), float("inf"), 1e-45, 1e-38, 1e-20, 1e-5, 0.1, 1.0, 1e5, 3e38)
TYPES = (0, 2, 3, 6, 7, 9, 9, 9)


def _changed(values: Any, rng: random.Random, choices) -> list:
    """A list with an item changed, added, removed, repeated or moved."""
    items = [] if values is None else [v.item() if hasattr(v, "item") else v for v in values]
    place = rng.randint(0, len(items))
    kind = rng.randrange(5) if items else 1
    if kind == 0:
        items[place % len(items)] = rng.choice(choices)
    elif kind == 1:
        items.insert(place, rng.choice(choices))
    elif kind == 2:
        del items[place % len(items)]
    elif kind == 3:
        items.insert(place, items[place % len(items)])
    else:
        rng.shuffle(items)
    return items


def _shape(model, graph, tensor, op, rng):
    tensor.shape = _changed(tensor.shape, rng, NUMBERS if rng.random() < 0.2 else (1, 2, 3, 4, 8))


def _type(model, graph, tensor, op, rng):
    tensor.type = rng.choice(TYPES)


def _scale(model, graph, tensor, op, rng):
    if tensor.quantization is None or rng.random() < 0.1:
        tensor.quantization = schema().QuantizationParametersT()
    tensor.quantization.scale = np.float32(_changed(tensor.quantization.scale, rng, SCALES))


def _zero_point(model, graph, tensor, op, rng):
    if tensor.quantization is not None:
        points = _changed(tensor.quantization.zeroPoint, rng, NUMBERS)
        tensor.quantization.zeroPoint = np.int64(points)


def _buffer(model, graph, tensor, op, rng):
    tensor.buffer = rng.randrange(len(model.buffers) + 1)


def _variable(model, graph, tensor, op, rng):
    tensor.isVariable = not tensor.isVariable


def _constant(model, graph, tensor, op, rng):
    """An item of an index or shape."""
    small = [b for b in model.buffers if b.data is not None and 4 <= len(b.data) <= 64]
    if small:
        buffer = rng.choice(small)
        data = np.array(buffer.data, np.uint8)
        at = rng.randrange(len(data) // 4) * 4
        data[at : at + 4] = np.frombuffer(np.int32(rng.choice(NUMBERS)).tobytes(), np.uint8)
        buffer.data = data


def _operand(model, graph, tensor, op, rng):
    op.inputs = np.int32(_changed(op.inputs, rng, range(-1, len(graph.tensors) + 1)))


def _result(model, graph, tensor, op, rng):
    op.outputs = np.int32(_changed(op.outputs, rng, range(-1, len(graph.tensors) + 1)))


def _code(model, graph, tensor, op, rng):
    code = rng.choice(model.operatorCodes)
    code.builtinCode = code.deprecatedBuiltinCode = rng.choice(sorted(kernels()))
    code.version = kernels()[code.builtinCode][2]


def _option(model, graph, tensor, op, rng):
    options = op.builtinOptions
    names = [] if options is None else sorted(vars(options))
    if names:
        name = rng.choice(names)
        value = getattr(options, name)
        if isinstance(value, bool):
            setattr(options, name, not value)
        elif isinstance(value, float):
            setattr(options, name, rng.choice(SCALES))
        elif isinstance(value, int):
            narrow = "ctivation" in name or name.endswith(("Type", "Format", "padding"))
            setattr(options, name, rng.choice(range(8) if narrow else NUMBERS))
    elif rng.random() < 0.3:
        op.builtinOptionsType, op.builtinOptions = 0, None


def _ends(model, graph, tensor, op, rng):
    field = rng.choice(("inputs", "outputs"))
    setattr(graph, field, np.int32(_changed(getattr(graph, field), rng, range(len(graph.tensors)))))


def _order(model, graph, tensor, op, rng):
    graph.operators = _changed(graph.operators, rng, graph.operators)


CHANGES: tuple[Callable[..., None], ...] = (
    _shape, _shape, _type, _scale, _zero_point, _buffer, _variable, _constant, _constant,
    _operand, _result, _code, _option, _option, _option, _ends, _order,
)  # fmt: skip


def restated(data: bytes, rng: random.Random) -> bytes:
    """A valid model with one to three of its statements changed."""
    import flatbuffers

    s = schema()
    model = s.ModelT.InitFromObj(s.Model.GetRootAs(data, 0))
    (graph,) = model.subgraphs
    for _ in range(rng.choice((1, 1, 2, 3))):
        if graph.operators and graph.tensors:
            rng.choice(CHANGES)(
                model, graph, rng.choice(graph.tensors), rng.choice(graph.operators), rng
            )
    writer = flatbuffers.Builder(1024)
    writer.Finish(model.Pack(writer), file_identifier=b"TFL3")
    return bytes(writer.Output())
