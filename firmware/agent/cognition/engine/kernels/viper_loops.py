# mypy: ignore-errors
# ruff: noqa: F821
"""The inner loops of the viper set.

Compiled by mpy-cross for the board's architecture, or on the board. Viper's ints are 32 bits and
wrap; its bytes are unsigned: v is read as v + 128 (by ^ 128). Dense rows take 128 times the sum of
the inputs off the bias once instead of taking 128 off each weight.

The first two arguments are kept in registers, all else on the stack: some arguments are there only
to be one of the two. An operator takes its right operand where it is but has its left one moved, so
that `x * w + a` costs two instructions less than `a + x * w` where `a` is in a register.
"""

import micropython

# What loaded models go on using of this module: see forget_loader().
RUN = ""


@micropython.viper
def gather(x: int, y: int, g: ptr32, p: ptr32, place: int):
    """The window at a place of an image, less the zero point, for `rows`; they come in order.

    g, p: Rows makes them; x, y: anything.
    """
    if place == 0:
        g[11] = g[16]
        g[12] = g[15]
        g[13] = g[14]
    zero_in = p[7] + 128
    y = p[2]
    total = 0
    row = g[11]
    for _ in range(g[4]):
        column = g[12]
        for _ in range(g[5]):
            n = g[6]
            if 0 <= row and row < g[1] and 0 <= column and column < g[2]:
                x = g[0] + (row * g[2] + column) * g[3]
                while n:
                    v = (ptr8(x)[0] ^ 128) - zero_in
                    ptr32(y)[0] = v
                    total += v
                    x += 1
                    y += 4
                    n -= 1
            else:
                while n:
                    ptr32(y)[0] = 0
                    y += 4
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
def rows(w: int, a: int, p: ptr32, acc: ptr32):
    """acc[u] = bias[u] + weights[u] * wide. p: Rows makes it; w, a: anything."""
    w = p[0]
    bias = ptr32(p[1])
    units = p[3]
    correction = p[4] << 7
    while units:
        x = ptr32(p[2])
        a = bias[0] - correction
        n = p[5]
        while n:
            a = (ptr8(w)[0] ^ 128) * x[0] + a
            a = (ptr8(w)[1] ^ 128) * x[1] + a
            a = (ptr8(w)[2] ^ 128) * x[2] + a
            a = (ptr8(w)[3] ^ 128) * x[3] + a
            a = (ptr8(w)[4] ^ 128) * x[4] + a
            a = (ptr8(w)[5] ^ 128) * x[5] + a
            a = (ptr8(w)[6] ^ 128) * x[6] + a
            a = (ptr8(w)[7] ^ 128) * x[7] + a
            w += 8
            x = ptr32(int(x) + 32)
            n -= 1
        n = p[6]
        while n:
            a = (ptr8(w)[0] ^ 128) * x[0] + a
            w += 1
            x = ptr32(int(x) + 4)
            n -= 1
        acc[0] = a
        acc = ptr32(int(acc) + 4)
        bias = ptr32(int(bias) + 4)
        units -= 1


@micropython.viper
def slide(x: int, a: int, p: ptr32, q: ptr32, y: ptr8, channel: int, end: int):
    """Channels of a depthwise layer, up to `end`. p, q: Planes makes them; x, a: anything.

    The image is copied into a plane with room for padding, four channels or one at a time: a pixel
    is a word. The kernel is cut into blocks of three by three, one pass over the plane for each.
    Sums wait in p[15], and end there where p[25] is 0, for `scale`. Else the last pass requantises
    them, for which they have to be below 2**20: docs/kernels.md.
    """
    down = p[13]
    back = p[14]
    lowest = q[3]
    zero = q[2] - lowest
    most = uint(q[4] - lowest)
    apart = q[1]
    while channel < end:
        source = channel // p[20]
        if channel % p[21] == 0:
            step = p[0]
            flip = p[2]
            to = p[3]
            x0 = p[4] + source
            n = p[24]
            while n:
                a = to
                x = x0
                columns = p[1]
                while columns:
                    if flip < 0:
                        ptr32(a)[0] = ptr32(x)[0] ^ flip
                    else:
                        ptr32(a)[0] = ptr8(x)[0] ^ flip
                    a += 4
                    x = step + x
                    columns -= 1
                x0 += p[5]
                to += p[6]
                n -= 1
        # The weights in the order of the blocks, and the sum of them off the bias.
        x = p[8] + channel
        step = p[9]
        offsets = ptr16(p[10])
        bias = ptr32(p[12])[channel]
        n = p[7]
        while n:
            a = (ptr8(x)[0] ^ 128) - 128
            ptr32(p[11] + offsets[0])[0] = a
            bias -= a << 7
            offsets = ptr16(int(offsets) + 2)
            x = step + x
            n -= 1
        scales = ptr32(q[6] + channel * p[23])
        m = (scales[0] << 16) + scales[1]
        r = scales[2]
        if r > 20:
            # Leaves 0 of whatever is below 2**20.
            m = 0
            r = 20
        h = m >> 21
        low = m & 2047
        m = m >> 11 & 1023
        c = (512 << r) + 512
        r += 10
        out = ptr8(int(y) + channel)
        w = ptr32(p[11])
        block = ptr32(p[18])
        n = p[19]
        first = 1
        last = 0
        while n:
            if n == 1:
                last = p[25]
            w0 = w[0]
            w1 = w[1]
            w2 = w[2]
            w3 = w[3]
            w4 = w[4]
            w5 = w[5]
            w6 = w[6]
            w7 = w[7]
            w8 = w[8]
            w = ptr32(int(w) + 36)
            start = block[0] + (source & p[22])
            block = ptr32(int(block) + 4)
            sums = ptr32(p[15])
            acc = sums
            rows = p[16]
            while rows:
                at = start
                columns = p[17]
                while columns:
                    x = at
                    a = bias
                    if not first:
                        a = acc[0]
                        acc = ptr32(int(acc) + 4)
                    a = ptr8(x)[0] * w0 + a
                    a = ptr8(x)[4] * w1 + a
                    a = ptr8(x)[8] * w2 + a
                    x = down + x
                    a = ptr8(x)[0] * w3 + a
                    a = ptr8(x)[4] * w4 + a
                    a = ptr8(x)[8] * w5 + a
                    x = down + x
                    a = ptr8(x)[0] * w6 + a
                    a = ptr8(x)[4] * w7 + a
                    a = ptr8(x)[8] * w8 + a
                    at = back + x
                    if last:
                        x = low * a >> 11
                        x = (a & -0x100000) + x
                        x = (m * a + x) >> 10
                        x = ((h * a + x + c) >> r) + zero
                        # From the lowest output on: one comparison finds what is outside.
                        if uint(x) > most:
                            x = 0 if x < 0 else int(most)
                        out[0] = lowest + x
                        out = ptr8(int(out) + apart)
                    else:
                        sums[0] = a
                        sums = ptr32(int(sums) + 4)
                    columns -= 1
                start += p[26]
                rows -= 1
            first = 0
            n -= 1
        channel += 1


@micropython.viper
def scale(a: int, b: int, acc: ptr32, q: ptr32, y: ptr8, at: int, offset: int):
    """y = requantised acc, q[0] of them q[1] apart, from `at` on; a, b: anything.

    MultiplyByQuantizedMultiplier as in docs/engine.md, for accumulators below 2**27 and shifts to
    the right; scales, from `offset` on, are triples: high and low 16 bits of the multiplier, and
    the shift r.
    """
    n = q[0]
    step = q[1]
    zero = q[2] - q[3]
    lowest = q[3]
    most = uint(q[4] - lowest)
    each = q[5]
    y = ptr8(int(y) + at)
    scales = ptr32(q[6] + offset)
    fresh = 1
    while n:
        if fresh:
            h = scales[0]
            m = scales[1]
            r = scales[2] + 1
            c = (1 << (r - 1)) + 1
            scales = ptr32(int(scales) + 12)
            fresh = each
        a = acc[0]
        b = a & 16383
        a >>= 14
        v = m * b >> 14
        v = (m * a + v) >> 2
        b = (h * b + v) >> 14
        b = h * a + b
        a = a >> 31 & -2
        b = ((b + a + c) >> r) + zero
        if uint(b) > most:
            b = 0 if b < 0 else int(most)
        y[0] = lowest + b
        y = ptr8(int(y) + step)
        acc = ptr32(int(acc) + 4)
        n -= 1
