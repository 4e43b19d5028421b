"""Proof that a set computes what the portable kernels compute, on a few small layers.

Every path of the native kernels is taken: aligned and unaligned rows of whole and broken turns, one
scale and a scale per row, large accumulators, several rows of inputs, windows, strips of depthwise
kernels at even and odd places. What the portable kernels give is known: one checksum of all.
"""

from array import array

from ..views import as_int8

# units, depth, rows of inputs, per channel, right shift, size of the biases in bits
_DENSE = (
    b"\x03\x20\x01\x00\x09\x0c\x05\x10\x02\x01\x08\x0e\x04\x30\x01\x01\x0a\x0c\x06\x0c\x03\x00\x09\x0a"
    b"\x04\x14\x01\x01\x09\x0c\x05\x07\x02\x01\x08\x0a\x03\x28\x01\x01\x12\x19\x01\x01\x02\x00\x06\x07"
)
# inputs, outputs, size of the image, of the kernel, stride, depthwise
_IMAGES = b"\x02\x03\x03\x03\x01\x00\x04\x04\x05\x03\x01\x01\x01\x02\x04\x05\x02\x01"
_WANTED = 11382036


class _Layer:
    """What sets read of an operator and its Scaling. The name of its class says which it is.

    The weights end where the file ends, so that reading rows past them would be noticed.
    """

    wide = False

    def __init__(self, seed, units, terms, channels, shift, bits, items, places):
        # Random bytes stand for the file, and for all else. Weights begin at every alignment.
        self.view = data = bytearray(units * terms + items + seed % 4)
        for i in range(len(data)):
            seed = (seed * 75 + 74) % 65537
            data[i] = seed >> 3 & 255
        self.weights = (as_int8(data, len(data) - units * terms, units * terms),)
        self.scaling = self
        self.highs = array("H", [16384 + 60 * v for v in data[:channels]])
        self.lows = array("H", [255 * v for v in data[1 : channels + 1]])
        self.shifts = array("b", [-shift - c % 3 for c in range(channels)])
        self.bias = array("i", [(v - 128) << (bits - 7) for v in data[:units]])
        self.x = memoryview(array("b", [v - 128 for v in data[:items]]))
        self.y = memoryview(array("b", bytes(units * places)))
        self.limits = data[5] - 128, (data[6] & 63) - 32, -128 + data[7] // 2, 127 - data[8] // 2

    def run(self):
        """For sets that do not compute it."""


def _cases():
    for i in range(0, len(_DENSE), 6):
        units, depth, rows, per_channel, shift, bits = _DENSE[i : i + 6]
        channels = units if per_channel else 1
        # At least what limits are made of.
        made = _kind("FullyConnected")(
            i, units, depth, channels, shift, bits, rows * depth + 16, rows
        )
        made.x = made.x[: rows * depth]
        made.units, made.depth = units, depth
        yield made
    for i in range(0, len(_IMAGES), 6):
        inputs, units, size, kernel, stride, depthwise = _IMAGES[i : i + 6]
        out = (size + stride - 1) // stride
        pad = max(0, (out - 1) * stride + kernel - size) // 2
        terms = kernel * kernel * (1 if depthwise else inputs)
        made = _kind("Depthwise" if depthwise else "Convolution")(
            i, units, terms, units, 8, 13, size * size * inputs, out * out
        )
        geometry = (1, size, size, inputs, out, out, units, kernel, kernel, stride, stride, 1, 1)
        geometry += (pad, pad) + made.limits
        if depthwise:
            made.x = (made.x,)
            made.geometry = array("i", geometry + (units // inputs,))
        else:
            made.geometry = (array("i", geometry + (inputs, 0, units, 0)),)
        yield made


def _kind(name):
    return type(name, (_Layer,), {})


def checksum(program):
    """Of all that program() computes."""
    total = 0
    for made in _cases():
        for run in program([made], made.view):
            run()
        for v in made.y:
            total = (total * 33 + v) & 0xFFFFFF
    return total


def proved(program):
    """Whether program() gives the portable results."""
    return checksum(program) == _WANTED
