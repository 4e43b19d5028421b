# mypy: ignore-errors
# ruff: noqa: F821
"""Dense layers in viper: for any chip whose MicroPython runs native code, and no other set.

Compiled by mpy-cross for the board's architecture, or on the board. Viper's ints are 32 bits and
wrap; its bytes are unsigned, so a weight w is read as w + 128 (by ^ 128) and 128 times the sum of
the inputs is taken off the bias once.
"""

import micropython

from ..ops.fully_connected import FullyConnected

# What loaded models go on using of this module: see forget_loader().
RUN = ("run", "widen", "layer", "put")


@micropython.viper
def widen(x: ptr8, wide: ptr32, n: int, zero_in: int) -> int:
    """wide[i] = x[i] - zero_in; returns their sum."""
    total = 0
    i = 0
    while i < n:
        v = (x[i] ^ 128) - 128 - zero_in
        wide[i] = v
        total += v
        i += 1
    return total


@micropython.viper
def layer(p: ptr32, y: ptr8, scales: ptr32):
    """y[u] = requantised bias[u] + weights[u] * wide. p: the fields named below.

    MultiplyByQuantizedMultiplier as in docs/engine.md, for accumulators below 2**27; scales are
    triples: high and low 16 bits of the multiplier, and the shift.
    """
    w = ptr8(p[0])
    bias = ptr32(p[1])
    units = p[2]
    eights = p[3]
    rest = p[4]
    correction = p[5] << 7
    step = p[6]
    while units:
        x = ptr32(p[7])
        acc = bias[0] - correction
        n = eights
        while n:
            acc += (w[0] ^ 128) * x[0]
            acc += (w[1] ^ 128) * x[1]
            acc += (w[2] ^ 128) * x[2]
            acc += (w[3] ^ 128) * x[3]
            acc += (w[4] ^ 128) * x[4]
            acc += (w[5] ^ 128) * x[5]
            acc += (w[6] ^ 128) * x[6]
            acc += (w[7] ^ 128) * x[7]
            w = ptr8(int(w) + 8)
            x = ptr32(int(x) + 32)
            n -= 1
        n = rest
        while n:
            acc += (w[0] ^ 128) * x[0]
            w = ptr8(int(w) + 1)
            x = ptr32(int(x) + 4)
            n -= 1
        h = scales[0]
        m = scales[1]
        s = scales[2]
        if s > 0:
            acc <<= s
        a = acc >> 14
        b = acc & 16383
        b = (a * h + ((b * h + ((a * m + (b * m >> 14)) >> 2) + 16384) >> 14)) >> 1
        if s < 0:
            if b < 0:
                b -= 1
            b = (b + (1 << (-1 - s))) >> (0 - s)
        b += p[8]
        if b < p[9]:
            b = p[9]
        if b > p[10]:
            b = p[10]
        y[0] = b
        y = ptr8(int(y) + 1)
        bias = ptr32(int(bias) + 4)
        scales = ptr32(int(scales) + step)
        units -= 1


class Dense:
    """A FullyConnected layer, computed by layer()."""

    def __init__(self, kernel, address):
        from array import array

        scaling = kernel.scaling
        zero_in, zero_out, lowest, highest = kernel.limits
        units, depth = kernel.units, kernel.depth
        self._zero_in = zero_in
        self._depth = depth
        self._wide = array("i", bytes(4 * depth))
        self._scales = array("i")
        for channel in range(len(scaling.shift)):
            self._scales.extend(
                array("i", (scaling.high[channel], scaling.low[channel], scaling.shift[channel]))
            )
        self._kept = (kernel.weights, kernel.bias)
        self._fields = bytearray(44)
        from struct import pack_into

        pack_into(
            "<IIiiiiiIiii",
            self._fields,
            0,
            address(kernel.weights[0]),
            address(kernel.bias),
            units,
            depth >> 3,
            depth & 7,
            0,
            12 if len(scaling.shift) > 1 else 0,
            address(self._wide),
            zero_out,
            lowest,
            highest,
        )
        self._rows = [
            (kernel.x[b * depth : (b + 1) * depth], kernel.y[b * units : (b + 1) * units])
            for b in range(len(kernel.y) // units)
        ]

    def run(self):
        fields = self._fields
        for x, y in self._rows:
            put(fields, widen(x, self._wide, self._depth, self._zero_in))
            layer(fields, y, self._scales)


@micropython.viper
def put(fields: ptr32, total: int):
    fields[5] = total


def program(prepared, data):
    """Dense layers by layer(), everything else as it is."""
    from uctypes import addressof

    runs = []
    for kernel in prepared:
        if isinstance(kernel, FullyConnected) and not kernel.scaling.wide:
            kernel = Dense(kernel, addressof)
        runs.append(kernel.run)
    return runs
