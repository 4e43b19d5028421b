"""Proof that a set computes what the portable kernels compute, on a few small layers.

Every path of the native kernels is taken: aligned and unaligned rows of whole and broken turns, one
scale and a scale per row, shifts to either side, large accumulators, several rows of inputs,
windows, strips of depthwise kernels at even and odd places.
"""

from array import array

from ..ops import Context
from ..ops.fully_connected import FullyConnected
from ..ops.scaling import Scaling, four_rows, requantize

# units, depth, rows of inputs, per channel, shift of the first channel, size of the biases in bits,
# mask of the weights and inputs
_LAYERS = (
    (3, 32, 1, False, -9, 12, 255),
    (5, 16, 2, True, -8, 14, 255),
    (4, 48, 1, True, -10, 12, 255),
    (6, 12, 3, False, -9, 10, 255),
    (4, 20, 1, True, -9, 12, 255),
    (5, 7, 2, True, -8, 10, 255),
    (3, 33, 1, False, 0, 4, 3),
    (4, 5, 1, True, 2, 3, 1),
    (3, 40, 1, True, -18, 25, 255),
    (1, 1, 2, False, -6, 5, 255),
)
# inputs, outputs, size of the image, of the kernel, stride
_IMAGES = (
    ("Convolution", 2, 3, 3, 3, 1),
    ("Depthwise", 4, 4, 5, 3, 1),
    ("Depthwise", 1, 2, 4, 5, 2),
)


class _File:
    """Stands for a model's reader: random bytes as a file's weights, or what is left of them."""

    def __init__(self, size, seed, mask):
        self.data = bytearray(size)
        for i in range(size):
            seed = (seed * 75 + 74) % 65537
            self.data[i] = seed >> 3 & mask


def layer(file, units, depth, rows, per_channel, shift, bits, mask):
    """A layer over a file of bytes, with some of them as its input, and its context."""
    context = Context(file)
    data = file.data
    count = units if per_channel else 1
    multipliers = [((1 << 30) + 9876543 * c + (data[c] << 18), shift - c % 3) for c in range(count)]
    bias = array("i", [(data[u] * 12345 & 0xFFFF) - 32768 for u in range(units)])
    for u in range(units):
        bias[u] = bias[u] << (bits - 15) if bits > 15 else bias[u] >> (15 - bits)
    x = array("b", [v - 128 for v in data[: rows * depth]])
    y = memoryview(array("b", bytes(rows * units)))
    weights = four_rows(data, len(data) - units * depth, units * depth, depth)
    zero_in = data[5] - 128
    scaling = Scaling(multipliers, bias, units, depth, max(zero_in + 128, 127 - zero_in))
    limits = (zero_in, (data[6] & 63) - 32, -128 + data[7] // 8, 127 - data[8] // 8)
    made = FullyConnected(context, memoryview(x), y, weights, bias, scaling, units, depth, limits)
    context.finish()
    return made


class _Slid:
    """A small convolution: what sets read of one, with a run() that is only plain.

    inputs, outputs: channels. It lies on a square image, padded as SAME.
    """

    def __init__(self, file, inputs, outputs, size, kernel, stride):
        data = file.data
        depthwise = type(self).__name__ == "Depthwise"
        out = (size + stride - 1) // stride
        zero_in = data[0] - 128
        pad = max(0, (out - 1) * stride + kernel - size) // 2
        geometry = (1, size, size, inputs, out, out, outputs, kernel, kernel, stride, stride, 1, 1)
        geometry += (pad, pad, zero_in, data[1] // 8, -120, 119)
        terms = kernel * kernel * (1 if depthwise else inputs)
        multipliers = [((1 << 30) + (data[c] << 18), -8 - c % 3) for c in range(outputs)]
        self.bias = array("i", [data[c] * 50 - 6000 for c in range(outputs)])
        self.scaling = Scaling(multipliers, self.bias, outputs, 2 * terms, 255)
        self.weights = four_rows(data, 3, terms * outputs, 1 if depthwise else terms)
        x = memoryview(array("b", [v - 128 for v in data[: size * size * inputs]]))
        self.x = [x] if depthwise else x
        self.y = memoryview(array("b", bytes(out * out * outputs)))
        self._whole = geometry
        if depthwise:
            self.geometry = array("i", geometry + (outputs // inputs,))
        else:
            self.geometry = [array("i", geometry + (inputs, 0, outputs, 0))]

    def run(self):
        (
            _, size, _, inputs, out, _, outputs, kernel, _, stride, _, _, _, pad, _,
            zero_in, zero_out, lowest, highest,
        ) = self._whole  # fmt: skip
        depthwise = type(self.x) is list
        x = self.x[0] if depthwise else self.x
        # The zero point's share is in the bias of depthwise layers.
        off = 0 if depthwise else zero_in
        w = self.weights[0]
        scaling = self.scaling
        times = outputs // inputs
        for place in range(out * out):
            acc = list(self.bias)
            for o in range(outputs):
                for tap in range(kernel * kernel):
                    row = place // out * stride - pad + tap // kernel
                    column = place % out * stride - pad + tap % kernel
                    inside = 0 <= row < size and 0 <= column < size
                    for c in (o // times,) if depthwise else range(inputs):
                        v = x[(row * size + column) * inputs + c] if inside else zero_in
                        if depthwise:
                            k = tap * outputs + o
                        else:
                            k = (o * kernel * kernel + tap) * inputs + c
                        acc[o] += (v - off) * w[k]
            requantize(
                acc, self.y, place * outputs, outputs, 0, scaling.high, scaling.low, scaling.shift,
                zero_out, lowest, highest,
            )  # fmt: skip


def _cases():
    """(layer, bytes of its file) of all there are."""
    for seed, shape in enumerate(_LAYERS):
        units, depth, rows = shape[:3]
        # Ends with the weights, so that reading rows past them would be noticed; every alignment.
        file = _File(units * depth + rows * depth + units + 16 + seed % 4, seed + 1, shape[6])
        yield layer(file, *shape), file.data
    for name, *shape in _IMAGES:
        file = _File(110, 7, 255)
        yield type(name, (_Slid,), {})(file, *shape), file.data


def proved(program):
    """Whether program() gives the portable results."""
    for made, data in _cases():
        made.run()
        wanted = bytes(made.y)
        for i in range(len(made.y)):
            made.y[i] = 0
        for run in program([made], data):
            run()
        if bytes(made.y) != wanted or (max(made.y) == min(made.y) and len(made.y) > 8):
            return False
    return True
