"""A model: loads a .tflite file, places its activations, runs it."""

import os
import struct
from array import array

from .errors import InputError
from .float32 import float_bytes, quantize
from .views import as_bytes

# Largest arena a model may ask for; the largest ESP32 heap with PSRAM is 8 MB, without it 0.2 MB.
MAX_ARENA_BYTES = 1 << 20


class Model:
    """An int8 model ready to run.

    source: path of a .tflite file, or its bytes. Bytes are used where they lie and must not change.
    keep_inputs: inputs keep their values over invoke(), for callers that change one number at a
    time; costs their bytes. Without, later activations may take their place, as in TFLite-Micro.
    Raises FormatError, UnsupportedError or ArenaError; OSError where the file cannot be read.

    ram: bytes of activations (arena, plus float tensors). len: bytes of the file.
    ops: operator names in order.
    input_shape, input_scale, input_zero_point, input_dtype ("b" int8, "f" float32): lists, one item
    per input; output_* likewise. A float tensor has scale 0.0. An output that is a shape is "i".
    inputs, outputs: views of the tensors, int8 or float32, flat, in C order.
    """

    def __init__(self, source, max_arena_bytes=MAX_ARENA_BYTES, keep_inputs=False):
        self._source = _read(source) if isinstance(source, str) else source
        self._data = as_bytes(self._source)
        self.len = len(self._data)
        self.ram = 0
        self.ops: list = []
        self._program: list = []
        self._states: list = []
        self.inputs: list = []
        self.input_shape: list = []
        self.input_scale: list = []
        self.input_zero_point: list = []
        self.input_dtype: list = []
        self.outputs: list = []
        self.output_shape: list = []
        self.output_scale: list = []
        self.output_zero_point: list = []
        self.output_dtype: list = []
        # Imported here so that forget_loader() can release it.
        from .loader import load

        self._scales = load(self, max_arena_bytes, keep_inputs)

    def invoke(self) -> None:
        """Computes `outputs` from `inputs`, which it may overwrite. Allocates nothing."""
        for run in self._program:
            run()

    def reset(self) -> None:
        """Forgets what an LSTM remembers of earlier inputs, as if newly loaded."""
        for state, value in self._states:
            for i in range(len(state)):
                state[i] = value

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
        if self.output_dtype[index] != "b":
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
