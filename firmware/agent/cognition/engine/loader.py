"""From a file's bytes to a model's attributes and program. Needed only while a model is loaded."""

from array import array

from . import kernels, ops, schema
from .errors import ArenaError, UnsupportedError
from .graph import Graph
from .planner import plan

# By type: FLOAT32, INT32, INT16, INT8.
_LETTERS = "f i    h b"


def load(model, max_arena_bytes, keep_inputs):
    """Sets a Model's attributes from its bytes; returns exact scales of inputs and of outputs."""
    graph = Graph(model._data, ops.name_of)
    ops.check(graph.operators)
    model.ram = _place(graph, max_arena_bytes, keep_inputs)
    context = ops.Context(graph.reader)
    prepared = []
    model.ops = []
    for op in graph.operators:
        kernel = ops.prepare(context, op)
        if kernel:
            prepared.append(kernel)
        model.ops.append(op.name)
    context.finish()
    model.kernels = kernels.NAME
    model._program = kernels.program(prepared, model._data)
    if len(model._program) == 1:
        model.invoke = model._program[0]
    model._states = [
        (tensor.view, tensor.zero_point() if tensor.type == schema.INT8 else 0)
        for tensor in graph.tensors
        if tensor.variable
    ]
    model.reset()
    (
        model.inputs,
        model.input_shape,
        model.input_dtype,
        model.input_zero_point,
        model.input_scale,
        exact_in,
    ) = _described(graph.inputs)
    (
        model.outputs,
        model.output_shape,
        model.output_dtype,
        model.output_zero_point,
        model.output_scale,
        exact_out,
    ) = _described(graph.outputs)
    return exact_in, exact_out


def _place(graph, max_arena_bytes, keep_inputs):
    """Gives every activation its view; returns the bytes of all of them."""
    for tensor in graph.inputs + graph.outputs:
        # An int32 output is a shape, known when the model is loaded.
        if tensor.type not in (schema.INT8, schema.FLOAT32) and (
            tensor.type != schema.INT32 or tensor in graph.inputs
        ):
            raise UnsupportedError(
                "model input or output (tensor %d) is %s; int8 and float32 are supported: "
                "inference_input_type = inference_output_type = tf.int8"
                % (tensor.index, tensor.type_name)
            )
    spans = plan(graph, keep_inputs)
    arena_bytes = state_bytes = 0
    for tensor in graph.tensors:
        if tensor.variable:
            if tensor.type not in (schema.INT8, schema.INT16):
                raise UnsupportedError("state tensor %d is %s" % (tensor.index, tensor.type_name))
            state_bytes += tensor.bytes
        elif tensor.index in spans and tensor.type != schema.INT32:
            span = spans[tensor.index]
            arena_bytes = max(arena_bytes, span.begin + span.size)
    ram = arena_bytes + state_bytes
    if ram > max_arena_bytes:
        raise ArenaError("activations need %d bytes, %d are allowed" % (ram, max_arena_bytes))
    try:
        arena = memoryview(array("b", bytes(arena_bytes)))
        for tensor in graph.tensors:
            if tensor.variable:
                tensor.view = memoryview(array(_LETTERS[tensor.type], bytes(tensor.bytes)))
    except MemoryError:
        raise ArenaError("no memory for %d bytes of activations" % ram)
    for tensor in graph.tensors:
        span = spans.get(tensor.index)
        if span and tensor.type != schema.INT32:
            if not span.view:
                span.view = arena[span.begin : span.begin + span.size]
                if tensor.type == schema.FLOAT32:
                    from .float_views import as_float32

                    span.view = as_float32(arena, span.begin, tensor.size)
            tensor.view = span.view
    return ram


def _described(tensors):
    """Views, shapes, dtypes, zero points, scales, and scales as mantissa and exponent."""
    lists: tuple = ([], [], [], [], [], [])
    for tensor in tensors:
        exact, scale = (0, 0), 0.0
        if tensor.type == schema.INT8:
            exact = tensor.scale()
            scale = tensor.reader.number(tensor.scale_at(), "<f")
        letter = _LETTERS[tensor.type]
        values = tensor.view, tensor.shape, letter, tensor.zero_point(), scale, exact
        for i in range(len(lists)):
            lists[i].append(values[i])
    return lists
