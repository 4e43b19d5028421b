"""Small graphs for which a plan without TFLite-Micro's own would be larger than TFLite-Micro's.

Greedy placement is not monotonic: with a tensor less, or one that shares another's bytes, it can
end higher. Each graph was found by a search and made small.
"""

import random
from dataclasses import dataclass

import numpy as np

from tests.engine.tflite_builder import Builder

SCALE = 0.05


@dataclass(frozen=True)
class Case:
    """shape: of tensor 0, the input. steps: of each operator its name, the tensor it reads, and the
    shape of the tensor it makes, the next number. outputs: tensors that are the model's.

    first_bytes: the arena of the engine's first plan. head_bytes: TFLite-Micro's.
    """

    shape: tuple[int, ...]
    steps: tuple[tuple[str, int, tuple[int, ...]], ...]
    outputs: tuple[int, ...]
    first_bytes: int
    head_bytes: int

    def model(self) -> bytes:
        b = Builder()
        tensors = [b.tensor(self.shape, SCALE, 0)]
        for number, (name, source, shape) in enumerate(self.steps):
            tensors.append(_step(b, random.Random(number), name, tensors[source], shape))
        return b.build(tensors[:1], [tensors[i] for i in self.outputs])


def _step(b: Builder, rng: random.Random, name: str, x: int, shape: tuple[int, ...]) -> int:
    before = b.tensors[x]["shape"]
    inputs, options = [x], {}
    floats = name == "DEQUANTIZE" or (name == "RESHAPE" and b.tensors[x]["dtype"] == "float32")
    if name == "PAD":
        ends = [[0, after - size] for size, after in zip(before, shape, strict=True)]
        inputs.append(b.tensor((len(shape), 2), dtype="int32", data=np.array(ends, np.int32)))
    elif name == "STRIDED_SLICE":
        inputs += [b.ints(*[0] * len(shape)), b.ints(*shape), b.ints(*[1] * len(shape))]
    elif name == "RESHAPE":
        options = {"newShape": list(shape)}
    elif name == "MEAN":
        inputs.append(b.ints(*[i for i, size in enumerate(shape) if size != before[i]]))
        options = {"keepDims": True}
    elif name == "TRANSPOSE_CONV":
        weights = [rng.randint(-127, 127) for _ in range(shape[3] * before[3])]
        w = (shape[3], 1, 1, before[3])
        inputs = [b.ints(*shape), b.tensor(w, 0.01, 0, data=np.array(weights, np.int8)), x]
        options = {"padding": 0, "strideH": 1, "strideW": 1}
    y = b.tensor(shape, dtype="float32") if floats else b.tensor(shape, SCALE, 0)
    return b.operator(name, inputs, y, **options)


CASES = {
    "reshape": Case(
        (1, 128),
        (
            ("STRIDED_SLICE", 0, (1, 112)),
            ("STRIDED_SLICE", 1, (1, 80)),
            ("RESHAPE", 2, (80, 1)),
            ("PAD", 3, (144, 1)),
            ("STRIDED_SLICE", 4, (96, 1)),
        ),
        (5,),
        320,
        240,
    ),
    "reshape of floats": Case(
        (1, 8),
        (
            ("DEQUANTIZE", 0, (1, 8)),
            ("RESHAPE", 1, (8, 1)),
            ("QUANTIZE", 2, (8, 1)),
            ("QUANTIZE", 2, (8, 1)),
            ("RESHAPE", 3, (1, 8)),
            ("STRIDED_SLICE", 5, (1, 8)),
            ("DEQUANTIZE", 6, (1, 8)),
        ),
        (4, 7),
        72,
        64,
    ),
    # What C takes besides tensors, an int32 per output here, can make its arena smaller, too.
    "scratch of TRANSPOSE_CONV": Case(
        (1, 1, 16, 9),
        (
            ("TRANSPOSE_CONV", 0, (1, 1, 16, 3)),
            ("STRIDED_SLICE", 0, (1, 1, 16, 8)),
            ("PAD", 2, (1, 1, 16, 10)),
            ("PAD", 3, (1, 1, 16, 11)),
        ),
        (1, 4),
        512,
        384,
    ),
    "scratch of MEAN": Case(
        (4, 32),
        (
            ("MEAN", 0, (1, 32)),
            ("PAD", 1, (1, 112)),
            ("STRIDED_SLICE", 0, (1, 16)),
            ("PAD", 2, (1, 160)),
            ("PAD", 4, (1, 176)),
        ),
        (3, 4, 5),
        464,
        352,
    ),
}


def files() -> dict[str, bytes]:
    """Model files by name."""
    return {name.replace(" ", "_"): case.model() for name, case in CASES.items()}
