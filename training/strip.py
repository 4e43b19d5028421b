"""Makes a .tflite file small without changing what it computes.

A board keeps the file in RAM, since its kernels use weights where they lie. What the converter
writes for people and tools goes: names, descriptions, metadata, signatures, calibration ranges and
empty buffers. Equal vectors (shapes, and the zero points of weights and biases, all 0) are stored
once and referred to by all.
"""

from typing import Any

from training.network import quiet, tensorflow

IDENTIFIER = b"TFL3"
# The schema's force_align of a buffer's data.
ALIGNMENT = 16


def strip(model_bytes: bytes) -> bytes:
    """The same graph with the same numbers in a smaller file."""
    tensorflow()
    with quiet():
        from tensorflow.lite.python import schema_py_generated as schema
    model = schema.ModelT.InitFromPackedBuf(model_bytes, 0)
    for name in ("description", "metadata", "metadataBuffer", "signatureDefs"):
        setattr(model, name, None)
    buffers = [schema.BufferT()]  # the first one is empty by convention
    numbers: dict[bytes, int] = {b"": 0}
    for graph in model.subgraphs:
        graph.name = None
        for tensor in graph.tensors:
            _strip_tensor(tensor)
            data = model.buffers[tensor.buffer].data
            content = b"" if data is None else bytes(data)
            if content not in numbers:
                numbers[content] = len(buffers)
                buffers.append(model.buffers[tensor.buffer])
            tensor.buffer = numbers[content]
    model.buffers = buffers
    builder = _builder()
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _strip_tensor(tensor: Any) -> None:
    tensor.name = None
    if tensor.quantization is not None:
        tensor.quantization.min = tensor.quantization.max = None


def _builder() -> Any:
    import flatbuffers
    import numpy as np

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        """Stores equal vectors once, and aligns buffers' data as the schema asks, which the
        generated classes do not.
        """

        def __init__(self) -> None:
            super().__init__(1024)
            self.stored: dict[tuple[str, bytes], Any] = {}

        def CreateNumpyVector(self, x: Any) -> Any:
            key = x.dtype.str, x.tobytes()
            if key not in self.stored:
                self.stored[key] = self.aligned(x) if x.dtype == np.uint8 else self.plain(x)
            return self.stored[key]

        def plain(self, x: Any) -> Any:
            return super().CreateNumpyVector(x)

        def aligned(self, x: Any) -> Any:
            self.StartVector(1, x.size, ALIGNMENT)
            start = int(self.head) - x.size  # type: ignore[has-type]
            self.Bytes[start : start + x.size] = x.tobytes()
            self.head = start
            return self.EndVector()

    return Builder()
