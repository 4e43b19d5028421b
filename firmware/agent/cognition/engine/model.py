"""A model: loads a .tflite file, places its activations, runs it."""

import os

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

    ram: int
    ops: list
    _program: list
    _states: list
    inputs: list
    input_shape: list
    input_scale: list
    input_zero_point: list
    input_dtype: list
    outputs: list
    output_shape: list
    output_scale: list
    output_zero_point: list
    output_dtype: list

    def __init__(self, source, max_arena_bytes=MAX_ARENA_BYTES, keep_inputs=False):
        from .views import as_bytes

        self._source = _read(source) if isinstance(source, str) else source
        self._data = as_bytes(self._source)
        self.len = len(self._data)
        self._edges: tuple = ()
        # Imported here, as views is, so that forget_loader() can release it.
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
        # Who works with raw views has no need of it in memory; later calls go there directly.
        from .prediction import predict

        Model.predict = predict  # type: ignore[method-assign]
        return predict(self, inputs)


def _read(path):
    """A file's bytes: where they lie, on a file system that maps its files (RomFS), else a copy."""
    with open(path, "rb") as file:
        try:
            return memoryview(file)  # type: ignore[arg-type]
        except TypeError:
            pass
        data = bytearray(os.stat(path)[6])
        if file.readinto(data) != len(data):
            raise OSError("%s changed while it was read" % path)
    return data
