"""Exact float arithmetic in integers: results do not depend on the width of the machine's floats.

A positive number is a pair (m, e) that stands for m * 2**e. TFLite-Micro prepares its multipliers
in C float and double; here every such operation is done exactly and then rounded to 24 or 53 bits,
half to even, as IEEE 754 does. All of it runs when a model is loaded, except `quotient`, which
needs small ints only.
"""

FLOAT_BITS = 24
DOUBLE_BITS = 53
_DOUBLE_LOWEST = -1074
_FLOAT_LOWEST = -149

# quotient() stops counting here: beyond it every int8 is saturated, whatever the zero point.
QUOTIENT_LIMIT = 511


def bit_length(value: int) -> int:
    """int.bit_length, which MicroPython before 1.27 lacks."""
    length = 0
    while value >= 65536:
        value >>= 16
        length += 16
    while value:
        value >>= 1
        length += 1
    return length


def from_bits(bits):
    """(m, e) of a positive finite float32, m in [2**23, 2**24); None for any other bits."""
    exponent = bits >> 23
    mantissa = bits & 0x7FFFFF
    if not 0 < bits < 0x7F800000:
        return None
    if exponent == 0:
        shift = FLOAT_BITS - bit_length(mantissa)
        return mantissa << shift, _FLOAT_LOWEST - shift
    return mantissa | 0x800000, exponent - 150


def to_bits(number):
    """Bits of a number already rounded to float32; None where it overflows to infinity."""
    m, e = number
    if m == 0:
        return 0
    shift = FLOAT_BITS - bit_length(m)
    m = m << shift if shift >= 0 else m >> -shift
    e -= shift
    if e < _FLOAT_LOWEST:
        return m >> (_FLOAT_LOWEST - e)
    if e > 104:
        return 0x7F800000
    return (e + 150) << 23 | m & 0x7FFFFF


def rounded(m, e, bits):
    """m * 2**e to `bits` bits of mantissa, half to even, gradual underflow included."""
    lowest = _FLOAT_LOWEST if bits == FLOAT_BITS else _DOUBLE_LOWEST
    shift = max(bit_length(m) - bits, lowest - e)
    if shift <= 0:
        return m, e
    low = m & ((1 << shift) - 1)
    m >>= shift
    half = 1 << (shift - 1)
    if low > half or (low == half and m & 1):
        m += 1
    return m, e + shift


def product(a, b, bits):
    return rounded(a[0] * b[0], a[1] + b[1], bits)


def ratio(a, b, bits):
    shift = max(0, bits + 2 + bit_length(b[0]) - bit_length(a[0]))
    numerator = a[0] << shift
    m = numerator // b[0]
    # One sticky bit below the two guard bits stands for everything the division left over.
    sticky = 1 if m * b[0] != numerator else 0
    return rounded(m << 1 | sticky, a[1] - b[1] - shift - 1, bits)


def quotient(m: int, e: int, scale_m: int, scale_e: int) -> int:
    """round(float(value / scale)), half away from zero, at most QUOTIENT_LIMIT; allocates nothing.

    C's `TfLiteRound(value / scale)` in float. Both mantissas lie in [2**23, 2**24) (or m is 0). The
    long division gives n = floor(2 * value / scale); the quotient is rounded to 24 bits before it
    is rounded to an integer, so n counts one more where it lies within half a unit in the last
    place below n + 1.
    """
    steps = e - scale_e + 1
    if m == 0 or steps < 0:
        return 0
    if steps > 9:
        return QUOTIENT_LIMIT
    n = 0
    bits = -1
    if m >= scale_m:
        m -= scale_m
        n = 1
        bits = 0
    for _ in range(steps):
        m <<= 1
        n <<= 1
        if bits >= 0:
            bits += 1
        if m >= scale_m:
            m -= scale_m
            n |= 1
            if bits < 0:
                bits = 0
    if n and scale_m - m <= scale_m >> (24 - bits):
        n += 1
    return min((n + 1) >> 1, QUOTIENT_LIMIT)


def quantize(floats, y, scale_m, scale_e, zero_point):
    """y[i] = clamp(round(float / scale) + zero_point), the float32s given as bytes.

    NaN gives the zero point.
    What overflows an int32 in C, where the result is undefined, saturates here.
    """
    k = 0
    for i in range(len(y)):
        e = (floats[k + 3] & 127) << 1 | floats[k + 2] >> 7
        m = (floats[k + 2] & 127) << 16 | floats[k + 1] << 8 | floats[k]
        if e == 0:
            # A subnormal is less than half of any scale but a subnormal one.
            shift = 24 - bit_length(m) if m else 0
            v = quotient(m << shift, -149 - shift, scale_m, scale_e)
        elif e == 255 and m:
            v = 0
        else:
            v = quotient(m | 0x800000, e - 150, scale_m, scale_e)
        v = zero_point - v if floats[k + 3] & 128 else zero_point + v
        y[i] = -128 if v < -128 else 127 if v > 127 else v
        k += 4


def float_bytes(steps, scale):
    """float32(steps * scale), little-endian: the product is exact in double and is rounded once."""
    m, e = rounded(abs(steps) * scale[0], scale[1], FLOAT_BITS)
    bits = to_bits((m, e))
    sign = 128 if steps < 0 else 0
    return bytes((bits & 255, bits >> 8 & 255, bits >> 16 & 255, bits >> 24 | sign))
