"""Random convolutions and poolings for tests.engine.operator_cases."""

import random

import numpy as np

from tests.engine.operator_cases import zero_point
from tests.engine.tflite_builder import Builder

SAME, VALID = 0, 1


def window(rng: random.Random, most: int = 4, dilated: bool = True) -> dict[str, int]:
    """Size, kernel, stride, dilation, padding and output size along one dimension."""
    while True:
        size, kernel = rng.choice((1, 2, 3, 4, 5, 7)), rng.randint(1, most)
        stride = rng.choice((1, 1, 2, 3))
        dilation = rng.choice((1, 1, 1, 2, 3)) if dilated else 1
        padding = rng.choice((SAME, VALID))
        out = output_size(padding, size, kernel, stride, dilation)
        if out > 0:
            return locals()


def output_size(padding: int, size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    if padding == SAME:
        return -(-size // stride)
    return (size + stride - (kernel - 1) * dilation - 1) // stride


def windows(rng: random.Random, **kind) -> tuple[dict[str, int], dict[str, int]]:
    """Rows and columns; one padding for both. A third of the images is one-dimensional."""
    while True:
        rows, columns = window(rng, **kind), window(rng, **kind)
        flat = rng.random()
        if flat < 0.3:
            one = rows if flat < 0.15 else columns
            one |= {"size": 1, "kernel": 1, "stride": 1, "dilation": 1, "out": 1}
        if rows["padding"] == columns["padding"]:
            return rows, columns


def weights(b: Builder, rng: random.Random, size: tuple[int, ...], dimension: int, s_x: float):
    """(weights, bias or None, usual size of input scale x weight scale)."""
    npr = np.random.default_rng(rng.getrandbits(32))
    channels = size[dimension]
    if rng.random() < 0.2:
        data = npr.choice(np.int8([-128, -127, 0, 127]), size)
    else:
        data = npr.integers(-127, 128, size).astype(np.int8)
    count = channels if rng.random() < 0.6 else 1
    scales = np.float32(np.exp(npr.uniform(-7, -3, count)))
    w = b.tensor(size, scales, 0, data=data, dimension=dimension)
    product = np.float32(s_x * scales)
    bias = None
    if rng.random() < 0.8:
        values = npr.integers(-9000, 9000, channels).astype(np.int32)
        bias = b.tensor((channels,), product, 0, "int32", values)
    return w, bias, float(np.exp(np.mean(np.log(product))))


def output_scale(rng: random.Random, product: float, terms: int) -> np.float32:
    """Now and then so small that the multiplier is above 1, or that most outputs saturate."""
    spread = np.exp(rng.uniform(-1.5, 1.0))
    if rng.random() < 0.1:
        spread /= 1000
    return np.float32(product * 70 * 80 * np.sqrt(terms) / 60 * spread)


def options(rng: random.Random, rows: dict[str, int], columns: dict[str, int]) -> dict[str, int]:
    return {
        "padding": rows["padding"],
        "strideH": rows["stride"],
        "strideW": columns["stride"],
        "fusedActivationFunction": rng.choice((0, 0, 1, 2, 3)),
    }


def dilations(rows: dict[str, int], columns: dict[str, int]) -> dict[str, int]:
    return {"dilationHFactor": rows["dilation"], "dilationWFactor": columns["dilation"]}


def image(b: Builder, rng: random.Random, size: tuple[int, ...]) -> int:
    return b.tensor(size, np.float32(np.exp(rng.uniform(-6, 1))), zero_point(rng))


def convolution(b: Builder, rng: random.Random, grouped: bool = False):
    rows, columns = windows(rng)
    batches = rng.choice((1, 1, 2))
    groups = rng.choice((2, 3)) if grouped else 1
    depth = rng.choice((1, 2, 3, 8))
    channels = groups * rng.choice((1, 2, 3, 4, 5, 9))
    x = image(b, rng, (batches, rows["size"], columns["size"], groups * depth))
    size = (channels, rows["kernel"], columns["kernel"], depth)
    w, bias, product = weights(b, rng, size, 0, b.scale(x))
    terms = rows["kernel"] * columns["kernel"] * depth
    y = b.tensor(
        (batches, rows["out"], columns["out"], channels),
        output_scale(rng, product, terms),
        zero_point(rng),
    )
    inputs = [x, w] if bias is None else [x, w, bias]
    kind = options(rng, rows, columns) | dilations(rows, columns)
    b.operator("CONV_2D", inputs, y, rng.randint(1, 8), **kind)
    return [x], [y]


def grouped_convolution(b: Builder, rng: random.Random):
    return convolution(b, rng, grouped=True)


def depthwise(b: Builder, rng: random.Random):
    rows, columns = windows(rng)
    batches = rng.choice((1, 1, 2))
    depth, times = rng.choice((1, 2, 3, 4, 5, 8)), rng.choice((1, 1, 2, 3))
    x = image(b, rng, (batches, rows["size"], columns["size"], depth))
    size = (1, rows["kernel"], columns["kernel"], depth * times)
    w, bias, product = weights(b, rng, size, 3, b.scale(x))
    y = b.tensor(
        (batches, rows["out"], columns["out"], depth * times),
        output_scale(rng, product, rows["kernel"] * columns["kernel"]),
        zero_point(rng),
    )
    inputs = [x, w] if bias is None else [x, w, bias]
    kind = options(rng, rows, columns) | dilations(rows, columns) | {"depthMultiplier": times}
    b.operator("DEPTHWISE_CONV_2D", inputs, y, rng.randint(1, 7), **kind)
    return [x], [y]


def transposed(b: Builder, rng: random.Random):
    rows, columns = windows(rng, dilated=False)
    batches = rng.choice((1, 1, 2))
    depth, channels = rng.choice((1, 2, 3, 8)), rng.choice((1, 2, 3, 4, 5, 9))
    # `size` is the output's here: a convolution of it would give the input.
    x = image(b, rng, (batches, rows["out"], columns["out"], depth))
    size = (channels, rows["kernel"], columns["kernel"], depth)
    w, bias, product = weights(b, rng, size, 0, b.scale(x))
    out = (batches, rows["size"], columns["size"], channels)
    terms = rows["kernel"] * columns["kernel"] * depth / rows["stride"] / columns["stride"]
    y = b.tensor(out, output_scale(rng, product, max(1, terms)), zero_point(rng))
    shape = b.tensor((4,), dtype="int32", data=np.int32(out))
    inputs = [shape, w, x] if bias is None else [shape, w, x, bias]
    b.operator("TRANSPOSE_CONV", inputs, y, rng.randint(1, 5), **options(rng, rows, columns))
    return [x], [y]


def pooling(name: str):
    def case(b: Builder, rng: random.Random):
        rows, columns = windows(rng, most=5, dilated=False)
        batches, channels = rng.choice((1, 1, 2)), rng.choice((1, 2, 3, 8))
        # A scale for which the limits of RELU6 and RELU_N1_TO_1 cut.
        scale, zero = np.float32(np.exp(rng.uniform(-6, -2))), zero_point(rng)
        x = b.tensor((batches, rows["size"], columns["size"], channels), scale, zero)
        y = b.tensor((batches, rows["out"], columns["out"], channels), scale, zero)
        kind = options(rng, rows, columns)
        kind |= {"filterHeight": rows["kernel"], "filterWidth": columns["kernel"]}
        b.operator(name, [x], y, rng.randint(1, 3), **kind)
        return [x], [y]

    return case
