"""Operators that move items or change shapes, as TFLite-Micro does, here and on the VM."""

import numpy as np
import pytest

from agent.cognition.engine import Model
from host import reference
from tests.engine import operator_cases as cases
from tests.engine.tflite_builder import Builder

ROWS = 4

pytestmark = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)


def like(b, tensor, size):
    return b.tensor(size, b.scale(tensor), b.tensors[tensor]["zero_point"])


def strided_slice(b, rng):
    size = cases.shape(rng, largest=6)
    x = cases.activation(b, rng, size)
    begins, ends, by, result = [], [], [], []
    masks = {"beginMask": 0, "endMask": 0, "shrinkAxisMask": 0}
    for i, n in enumerate(size):
        step = rng.choice((1, 1, 2, 3, -1, -2))
        first, last = rng.randint(0, n - 1), rng.randint(0, n - 1)
        first, last = sorted((first, last), reverse=step < 0)
        count = (last - first) // step + 1
        end = last + (1 if step > 0 else -1)
        if rng.random() < 0.2:
            step, count, end = 1, 1, first + 1
            masks["shrinkAxisMask"] |= 1 << i
        else:
            if (first == 0 if step > 0 else first == n - 1) and rng.random() < 0.5:
                masks["beginMask"] |= 1 << i
                first = rng.randint(-9, 9)
            if end in (-1, n):
                if rng.random() < 0.5 or end == -1:
                    masks["endMask"] |= 1 << i
                    end = rng.randint(-9, 9)
                else:
                    end += rng.randint(0, 3)
            elif rng.random() < 0.3:
                end -= n
            result.append(count)
        if rng.random() < 0.3 and 0 <= first < n and not masks["beginMask"] >> i & 1:
            first -= n
        begins.append(first)
        ends.append(end)
        by.append(step)
    y = like(b, x, tuple(result))
    b.operator("STRIDED_SLICE", [x, b.ints(*begins), b.ints(*ends), b.ints(*by)], y, **masks)
    return [x], [y]


def some_inputs(b, rng, sizes):
    """Activations, at times a constant among them, that share one scale."""
    first = cases.activation(b, rng, sizes[0])
    tensors, inputs = [first], [first]
    for size in sizes[1:]:
        if rng.random() < 0.2:
            tensors.append(cases.constant(b, rng, size))
            for key in ("scale", "zero_point"):
                b.tensors[tensors[-1]][key] = b.tensors[first][key]
        else:
            tensors.append(like(b, first, size))
            inputs.append(tensors[-1])
    return tensors, inputs


def concatenation(b, rng):
    size = cases.shape(rng)
    axis = rng.randrange(len(size))
    lengths = [rng.randint(1, 4) for _ in range(rng.randint(1, 5))]
    sizes = [(*size[:axis], n, *size[axis + 1 :]) for n in lengths]
    tensors, inputs = some_inputs(b, rng, sizes)
    y = like(b, inputs[0], (*size[:axis], sum(lengths), *size[axis + 1 :]))
    axis -= len(size) if rng.random() < 0.4 else 0
    b.operator("CONCATENATION", tensors, y, axis=axis)
    return inputs, [y]


def pack(b, rng):
    size = cases.shape(rng, 0, 3)
    axis = rng.randint(0, len(size))
    tensors, inputs = some_inputs(b, rng, [size] * rng.randint(1, 4))
    y = like(b, inputs[0], (*size[:axis], len(tensors), *size[axis:]))
    axis -= len(size) + 1 if rng.random() < 0.4 else 0
    b.operator("PACK", tensors, y, axis=axis, valuesCount=len(tensors))
    return inputs, [y]


def split(b, rng):
    size = cases.shape(rng)
    axis, parts = rng.randrange(len(size)), rng.randint(1, 4)
    x = cases.activation(b, rng, (*size[:axis], size[axis] * parts, *size[axis + 1 :]))
    ys = [like(b, x, size) for _ in range(parts)]
    axis -= len(size) if rng.random() < 0.4 else 0
    axes = b.tensor((), dtype="int32", data=np.int32(axis))
    b.operator("SPLIT", [axes, x], ys, numSplits=parts)
    return [x], ys


def unpack(b, rng):
    size = cases.shape(rng)
    axis = rng.randrange(len(size))
    x = cases.activation(b, rng, size)
    ys = [like(b, x, size[:axis] + size[axis + 1 :]) for _ in range(size[axis])]
    axis -= len(size) if rng.random() < 0.4 else 0
    b.operator("UNPACK", [x], ys, axis=axis, num=len(ys))
    return [x], ys


def split_floats(b, rng):
    """What the converter leaves where a part of a SPLIT is not used."""
    inputs, outputs = split(b, rng)
    x = b.tensors[inputs[0]]
    for tensor in (x, *(b.tensors[y] for y in outputs)):
        tensor["dtype"], tensor["scale"] = "float32", None
    source = cases.activation(b, rng, x["shape"])
    b.operator("DEQUANTIZE", [source], inputs[0])
    b.operators[-2:] = reversed(b.operators[-2:])
    return [source], outputs


def pad(name):
    def case(b, rng):
        size = cases.shape(rng)
        paddings = [[rng.choice((0, 0, 1, 2, 3)) for _ in range(2)] for _ in size]
        x = cases.activation(b, rng, size)
        y = like(b, x, tuple(n + sum(p) for n, p in zip(size, paddings, strict=True)))
        data = np.array(paddings, np.int32)
        inputs = [x, b.tensor(data.shape, dtype="int32", data=data)]
        if name == "PADV2":
            inputs.append(cases.constant(b, rng, (1,)))
            for key in ("scale", "zero_point"):
                b.tensors[inputs[-1]][key] = b.tensors[x][key]
        b.operator(name, inputs, y)
        return [x], [y]

    return case


def transpose(b, rng):
    size = cases.shape(rng)
    order = rng.sample(range(len(size)), len(size))
    x = cases.activation(b, rng, size)
    y = like(b, x, tuple(size[i] for i in order))
    b.operator("TRANSPOSE", [x, b.ints(*order)], y)
    return [x], [y]


def resize(b, rng):
    batch, rows, columns, depth = (rng.randint(1, n) for n in (2, 7, 7, 3))
    wanted = rng.randint(1, 17), rng.randint(1, 17)
    x = cases.activation(b, rng, (batch, rows, columns, depth))
    y = like(b, x, (batch, *wanted, depth))
    corners = rng.random() < 0.4
    b.operator(
        "RESIZE_NEAREST_NEIGHBOR",
        [x, b.ints(*wanted)],
        y,
        alignCorners=corners,
        halfPixelCenters=not corners and rng.random() < 0.5,
    )
    return [x], [y]


def squeeze(b, rng):
    size = cases.shape(rng)
    x = cases.activation(b, rng, size)
    ones = [i for i, n in enumerate(size) if n == 1]
    dims = rng.sample(ones, rng.randint(0, len(ones)))
    gone = dims or ones
    y = like(b, x, tuple(n for i, n in enumerate(size) if i not in gone))
    b.operator("SQUEEZE", [x], y, squeezeDims=dims)
    return [x], [y]


def expand_dims(b, rng):
    size = cases.shape(rng)
    axis = rng.randint(0, len(size))
    x = cases.activation(b, rng, size)
    y = like(b, x, (*size[:axis], 1, *size[axis:]))
    axis -= len(size) + 1 if rng.random() < 0.4 else 0
    b.operator("EXPAND_DIMS", [x, b.tensor((), dtype="int32", data=np.int32(axis))], y)
    return [x], [y]


def reshape(b, rng):
    size = cases.shape(rng)
    n = int(np.prod(size))
    x = cases.activation(b, rng, size)
    rows = rng.choice([k for k in range(1, n + 1) if n % k == 0])
    y = like(b, x, rng.choice(((n,), (rows, n // rows), (1, n // rows, rows))))
    b.operator("RESHAPE", [x, b.ints(*b.tensors[y]["shape"])], y)
    return [x], [y]


def shape(b, rng):
    size = cases.shape(rng)
    x = cases.activation(b, rng, size)
    y = b.tensor((len(size),), dtype="int32")
    b.operator("SHAPE", [x], y)
    return [x], [y]


def computed_shape(b, rng):
    """What Keras' Flatten and Reshape become: a shape made of the input's own first dimension."""
    size = cases.shape(rng, 2)
    x = cases.activation(b, rng, size)
    whole = b.operator("SHAPE", [x], b.tensor((len(size),), dtype="int32"))
    first = b.tensor((), dtype="int32")
    b.operator("STRIDED_SLICE", [whole, b.ints(0), b.ints(1), b.ints(1)], first, shrinkAxisMask=1)
    rest = b.tensor((), dtype="int32", data=np.int32(np.prod(size[1:])))
    packed = b.operator("PACK", [first, rest], b.tensor((2,), dtype="int32"), valuesCount=2)
    y = like(b, x, (size[0], int(np.prod(size[1:]))))
    b.operator("RESHAPE", [x, packed], y)
    return [x], [y, packed, first]


CASES = {
    "STRIDED_SLICE": strided_slice,
    "CONCATENATION": concatenation,
    "PACK": pack,
    "SPLIT": split,
    "UNPACK": unpack,
    "SPLIT_FLOATS": split_floats,
    "PAD": pad("PAD"),
    "PADV2": pad("PADV2"),
    "TRANSPOSE": transpose,
    "RESIZE": resize,
    "SQUEEZE": squeeze,
    "EXPAND_DIMS": expand_dims,
    "RESHAPE": reshape,
    "SHAPE": shape,
    "COMPUTED_SHAPE": computed_shape,
}


@pytest.fixture(scope="module")
def models():
    return cases.files(CASES)


@pytest.fixture(scope="module")
def wanted(models):
    return cases.wanted(models, ROWS)


def test_on_cpython(models, wanted):
    assert cases.names(models) == set(CASES)
    assert cases.differing(cases.on_cpython(models, ROWS), wanted) == []


@pytest.mark.vm
def test_on_the_vm(models, wanted, tmp_path, run_on_vm):
    assert cases.differing(cases.on_vm(models, ROWS, tmp_path, run_on_vm), wanted) == []


def test_changes_of_shape_alone_take_no_memory():
    b = Builder()
    x = b.tensor((1, 1, 40, 1), 0.1, 3)
    y = b.operator("SQUEEZE", [x], b.tensor((40,), 0.1, 3))
    y = b.operator("EXPAND_DIMS", [y, b.ints(0)], b.tensor((1, 40), 0.1, 3))
    y = b.operator("RESHAPE", [y], b.tensor((8, 5), 0.1, 3))
    model = Model(b.build([x], [y]))
    assert model.ram == 40
    assert model._program == []
    model.inputs[0][7] = -5
    assert model.outputs[0][7] == -5
