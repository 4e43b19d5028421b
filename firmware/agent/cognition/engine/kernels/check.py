"""Proof that a set computes what the portable kernels compute, on a few small layers.

Every path of the native kernels is taken: aligned and unaligned rows of whole and broken turns, one
scale and a scale per row, shifts to either side, large accumulators, several rows of inputs.
"""

from array import array

from ..ops import Context
from ..ops.fully_connected import FullyConnected
from ..ops.scaling import Scaling, four_rows

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


def proved(program):
    """Whether program() gives the portable results."""
    for seed, shape in enumerate(_LAYERS):
        units, depth, rows = shape[:3]
        # Ends with the weights, so that reading rows past them would be noticed; every alignment.
        file = _File(units * depth + rows * depth + units + 16 + seed % 4, seed + 1, shape[6])
        made = layer(file, *shape)
        made.run()
        wanted = bytes(made.y)
        for i in range(len(made.y)):
            made.y[i] = 0
        for run in program([made], file.data):
            run()
        if bytes(made.y) != wanted or (max(made.y) == min(made.y) and len(made.y) > 8):
            return False
    return True
