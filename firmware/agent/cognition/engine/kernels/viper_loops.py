# mypy: ignore-errors
# ruff: noqa: F821
"""The inner loops of the viper set.

Compiled by mpy-cross for the board's architecture, or on the board. Viper's ints are 32 bits and
wrap; its bytes are unsigned: v is read as v + 128 (by ^ 128). Dense rows take 128 times the sum of
the inputs off the bias once instead of taking 128 off each weight. Arguments and what is assigned
first are in registers, so that some arguments are there only to be one.
"""

import micropython

# What loaded models go on using of this module: see forget_loader().
RUN = ""


@micropython.viper
def widen(x: ptr8, wide: ptr32, p: ptr32):
    """wide[i] = x[i] - zero point, for `rows`; p: its fields."""
    zero_in = p[7] + 128
    n = p[8]
    total = 0
    while n:
        v = (x[0] ^ 128) - zero_in
        wide[0] = v
        total += v
        x = ptr8(int(x) + 1)
        wide = ptr32(int(wide) + 4)
        n -= 1
    p[4] = total


@micropython.viper
def gather(g: ptr32, wide: ptr32, p: ptr32):
    """The same for the next window of an image; g: the fields named below."""
    zero_in = p[7] + 128
    total = 0
    row = g[11]
    for _ in range(g[4]):
        column = g[12]
        for _ in range(g[5]):
            n = g[6]
            if 0 <= row and row < g[1] and 0 <= column and column < g[2]:
                x = ptr8(g[0] + (row * g[2] + column) * g[3])
                while n:
                    v = (x[0] ^ 128) - zero_in
                    wide[0] = v
                    total += v
                    x = ptr8(int(x) + 1)
                    wide = ptr32(int(wide) + 4)
                    n -= 1
            else:
                while n:
                    wide[0] = 0
                    wide = ptr32(int(wide) + 4)
                    n -= 1
            column += g[8]
        row += g[7]
    p[4] = total
    g[12] = g[12] + g[10]
    g[13] = g[13] - 1
    if g[13] == 0:
        g[13] = g[14]
        g[12] = g[15]
        g[11] = g[11] + g[9]


@micropython.viper
def begin(g: ptr32):
    """Back to the image's first window."""
    g[11] = g[16]
    g[12] = g[15]
    g[13] = g[14]


@micropython.viper
def rows(w: ptr8, x: ptr32, p: ptr32, acc: ptr32):
    """acc[u] = bias[u] + weights[u] * wide. p: the fields named below; w, x: anything."""
    w = ptr8(p[0])
    bias = ptr32(p[1])
    units = p[3]
    correction = p[4] << 7
    wide = p[2]
    eights = p[5]
    rest = p[6]
    while units:
        x = ptr32(wide)
        a = bias[0] - correction
        n = eights
        while n:
            a += (w[0] ^ 128) * x[0]
            a += (w[1] ^ 128) * x[1]
            a += (w[2] ^ 128) * x[2]
            a += (w[3] ^ 128) * x[3]
            a += (w[4] ^ 128) * x[4]
            a += (w[5] ^ 128) * x[5]
            a += (w[6] ^ 128) * x[6]
            a += (w[7] ^ 128) * x[7]
            w = ptr8(int(w) + 8)
            x = ptr32(int(x) + 32)
            n -= 1
        n = rest
        while n:
            a += (w[0] ^ 128) * x[0]
            w = ptr8(int(w) + 1)
            x = ptr32(int(x) + 4)
            n -= 1
        acc[0] = a
        acc = ptr32(int(acc) + 4)
        bias = ptr32(int(bias) + 4)
        units -= 1


@micropython.viper
def plane(x: ptr8, y: ptr32, k: int, p: ptr32, channel: int, source: int):
    """A channel's part of the image, plus 128, and its weights, for `slide`; x, y, k: anything."""
    step = p[0]
    columns = p[1]
    n = p[2]
    to = p[3]
    x0 = p[4] + source
    while n:
        y = ptr32(to)
        x = ptr8(x0)
        k = columns
        while k:
            y[0] = x[0] ^ 128
            y = ptr32(int(y) + 4)
            x = ptr8(int(x) + step)
            k -= 1
        x0 += p[5]
        to += p[6]
        n -= 1
    n = p[7]
    x = ptr8(p[8] + channel)
    step = p[9]
    offsets = ptr16(p[10])
    to = p[11]
    total = 0
    while n:
        y = ptr32(to + offsets[0])
        k = (x[0] ^ 128) - 128
        y[0] = k
        total += k
        offsets = ptr16(int(offsets) + 2)
        x = ptr8(int(x) + step)
        n -= 1
    y = ptr32(p[12])
    p[13] = y[channel] - (total << 7)


@micropython.viper
def slide(x: ptr32, a: int, acc: ptr32, p: ptr32, w: ptr32):
    """acc[i] = bias + window * weights at every place of a plane; a: anything."""
    pitch = p[6]
    bias = p[13]
    step = p[14]
    start = int(x)
    weights = int(w)
    w0 = w[0]
    w1 = w[1]
    w2 = w[2]
    if p[17]:
        w3 = w[3]
        w4 = w[4]
        w5 = w[5]
        w6 = w[6]
        w7 = w[7]
        w8 = w[8]
    for _ in range(p[15]):
        at = start
        n = p[16]
        if p[17]:
            while n:
                x = ptr32(at)
                a = bias + x[0] * w0
                a += x[1] * w1
                a += x[2] * w2
                x = ptr32(int(x) + pitch)
                a += x[0] * w3
                a += x[1] * w4
                a += x[2] * w5
                x = ptr32(int(x) + pitch)
                a += x[0] * w6
                a += x[1] * w7
                acc[0] = a + x[2] * w8
                acc = ptr32(int(acc) + 4)
                at += step
                n -= 1
        while n:
            a = bias
            row = at
            w = ptr32(weights)
            for _ in range(p[19]):
                x = ptr32(row)
                k = p[18]
                while k:
                    a += w[0] * x[0]
                    a += w[1] * x[1]
                    a += w[2] * x[2]
                    w = ptr32(int(w) + 12)
                    x = ptr32(int(x) + 12)
                    k -= 1
                row += p[20]
            acc[0] = a
            acc = ptr32(int(acc) + 4)
            at += step
            n -= 1
        start += p[21]


@micropython.viper
def scale(b: int, a: int, acc: ptr32, q: ptr32, y: ptr8):
    """y = requantised acc, q[0] of them q[1] apart, from q[6] on; a, b: anything.

    MultiplyByQuantizedMultiplier as in docs/engine.md, for accumulators below 2**27 and shifts to
    the right; scales are triples: high and low 16 bits of the multiplier, and the shift r.
    """
    n = q[0]
    step = q[1]
    zero = q[2] - q[3]
    lowest = q[3]
    most = uint(q[4] - lowest)
    each = q[5]
    y = ptr8(int(y) + q[6])
    scales = ptr32(q[7] + q[8])
    fresh = 1
    while n:
        if fresh:
            h = scales[0]
            m = scales[1]
            r = scales[2]
            c = 1 << (r - 1)
            scales = ptr32(int(scales) + 12)
            fresh = each
        b = acc[0]
        a = b >> 14
        b &= 16383
        b = a * h + ((b * h + ((a * m + (b * m >> 14)) >> 2) + 16384) >> 14)
        # From the lowest output on, so that one comparison finds what is outside.
        a = b >> 31
        b >>= 1
        b = ((b + a + c) >> r) + zero
        if uint(b) > most:
            b = 0 if b < 0 else int(most)
        y[0] = b + lowest
        y = ptr8(int(y) + step)
        acc = ptr32(int(acc) + 4)
        n -= 1


@micropython.viper
def put(q: ptr32, at: int, offset: int):
    q[6] = at
    q[8] = offset
