"""A model: loads a .tflite file, places its activations, runs it."""

import os
import struct
from array import array

from . import ops, planner, schema
from .errors import ArenaError, InputError
from .graph import Graph
from .ops.quantize import float_bytes, quantize
from .views import as_bytes

# Largest arena a model may ask for; the largest ESP32 heap with PSRAM is 8 MB, without it 0.2 MB.
MAX_ARENA_BYTES = 1 << 20


class Model:
    """An int8 model ready to run.

    source: path of a .tflite file, or its bytes. Bytes are used where they lie and must not change.
    Raises FormatError, UnsupportedError or ArenaError; OSError where the file cannot be read.

    ram: bytes of activations (arena, plus float tensors). len: bytes of the file.
    ops: operator names in order.
    input_shape, input_scale, input_zero_point, input_dtype ("b" int8, "f" float32): lists, one item
    per input; output_* likewise. A float tensor has scale 0.0.
    inputs, outputs: views of the tensors, int8 or float32, flat, in C order.
    """

    def __init__(self, source, max_arena_bytes=MAX_ARENA_BYTES):
        self._source = _read(source) if isinstance(source, str) else source
        self._data = as_bytes(self._source)
        self.len = len(self._data)
        graph = Graph(self._data, ops.name_of)
        ops.check(graph.operators)
        self._place(graph, max_arena_bytes)
        context = ops.Context(graph.reader)
        kernels = [ops.prepare(context, op) for op in graph.operators]
        context.scratch = array("i", bytes(4 * context.scratch_items))
        self._program = [kernel.run for kernel in kernels if kernel]
        self.ops = [op.name for op in graph.operators]
        self._scales = [_scale(t) for t in graph.inputs], [_scale(t) for t in graph.outputs]
        self.inputs, self.input_shape, self.input_dtype = _described(graph.inputs)
        self.outputs, self.output_shape, self.output_dtype = _described(graph.outputs)
        self.input_zero_point = [t.zero_point() for t in graph.inputs]
        self.output_zero_point = [t.zero_point() for t in graph.outputs]
        self.input_scale = [_as_float(s) for s in self._scales[0]]
        self.output_scale = [_as_float(s) for s in self._scales[1]]

    def _place(self, graph, max_arena_bytes):
        for tensor in graph.inputs + graph.outputs:
            if tensor.type not in (schema.INT8, schema.FLOAT32):
                raise _unsupported_io(tensor)
        spans = planner.lifetimes(graph, ops.shares)
        by_id = {id(s): s for i, s in spans.items() if graph.tensors[i].type != schema.FLOAT32}
        floats = {id(s): s for i, s in spans.items() if graph.tensors[i].type == schema.FLOAT32}
        arena_bytes = planner.place(list(by_id.values()))
        self.ram = arena_bytes + sum(s.size for s in floats.values())
        if self.ram > max_arena_bytes:
            raise ArenaError(
                "activations need %d bytes, %d are allowed" % (self.ram, max_arena_bytes)
            )
        try:
            arena = memoryview(array("b", bytes(arena_bytes)))
            arrays = {key: memoryview(array("f", bytes(s.size))) for key, s in floats.items()}
        except MemoryError:
            raise ArenaError("no memory for %d bytes of activations" % self.ram)
        for index, span in spans.items():
            tensor = graph.tensors[index]
            if tensor.type == schema.FLOAT32:
                tensor.data = arrays[id(span)]
            else:
                tensor.data = arena[span.offset : span.offset + span.size]

    def invoke(self) -> None:
        """Computes `outputs` from `inputs`, which keep their values. Allocates nothing."""
        for run in self._program:
            run()

    def predict(self, inputs):
        """Sets the inputs, runs, and returns one array of floats per output.

        inputs: one item per input: a buffer of int8 (taken as it is), numbers or nested lists of
        numbers in the input's own units (quantised here), or a callable that is given the input's
        view and fills it. Raises InputError on a wrong count.
        """
        if len(inputs) != len(self.inputs):
            raise InputError("%d inputs given, the model has %d" % (len(inputs), len(self.inputs)))
        for i, value in enumerate(inputs):
            self._fill(i, value)
        self.invoke()
        return [self._floats(i) for i in range(len(self.outputs))]

    def _fill(self, index, value):
        view = self.inputs[index]
        if callable(value):
            value(view)
            return
        raw = _int8_buffer(value)
        if raw is not None and self.input_dtype[index] == "b":
            self._expect(index, len(raw))
            for i in range(len(view)):
                v = raw[i]
                view[i] = v - 256 if v > 127 else v
            return
        numbers: list = []
        _flatten(value, numbers, len(view))
        self._expect(index, len(numbers))
        try:
            floats = struct.pack("<%df" % len(numbers), *[float(v) for v in numbers])
        except (OverflowError, TypeError, ValueError):
            raise InputError("input %d: not all items are numbers that fit a float32" % index)
        if self.input_dtype[index] == "f":
            as_bytes(view, 4)[:] = floats
        else:
            scale_m, scale_e = self._scales[0][index]
            quantize(floats, view, scale_m, scale_e, self.input_zero_point[index])

    def _expect(self, index, count):
        if count != len(self.inputs[index]):
            raise InputError(
                "input %d has %d items, %s given: its shape is %s"
                % (
                    index,
                    len(self.inputs[index]),
                    count,
                    self.input_shape[index],
                )
            )

    def _floats(self, index):
        view = self.outputs[index]
        if self.output_dtype[index] == "f":
            return array("f", view)
        scale = self._scales[1][index]
        zero_point = self.output_zero_point[index]
        return array(
            "f", [struct.unpack("<f", float_bytes(v - zero_point, scale))[0] for v in view]
        )


def _read(path):
    """A file's bytes in one allocation of exactly its size."""
    data = bytearray(os.stat(path)[6])
    with open(path, "rb") as file:
        if file.readinto(data) != len(data):
            raise OSError("%s changed while it was read" % path)
    return data


def _unsupported_io(tensor):
    from .errors import UnsupportedError

    return UnsupportedError(
        "model input or output (tensor %d) is %s; int8 and float32 are supported"
        % (tensor.index, tensor.type_name)
    )


def _scale(tensor):
    return tensor.scale() if tensor.type == schema.INT8 else (0, 0)


def _as_float(scale):
    return struct.unpack("<f", float_bytes(1, scale))[0]


def _described(tensors):
    return (
        [tensor.data for tensor in tensors],
        [tensor.shape for tensor in tensors],
        ["b" if tensor.type == schema.INT8 else "f" for tensor in tensors],
    )


def _int8_buffer(value):
    """A view of the value's bytes where it is a buffer of single bytes, else None."""
    try:
        view = memoryview(value)
    except TypeError:
        return None
    # MicroPython's memoryview does not tell the size of its items.
    return view if len(bytes(view[:1])) == 1 else None


def _flatten(value, into, limit):
    """Appends numbers depth first, at most `limit`."""
    try:
        items = iter(value)
    except TypeError:
        into.append(value)
        return
    for item in items:
        if isinstance(item, str) or len(into) > limit:
            raise InputError("an input is text, or longer than the model's input")
        _flatten(item, into, limit)
