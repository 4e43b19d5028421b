"""Fixed point on numbers up to 30 bits, without leaving the board's 31-bit small ints.

docs/engine.md has the derivation.
"""

# What loaded models go on using of this module: see forget_loader().
RUN = "high_mul rounding_divide rescaled16"


def high_mul(value: int, high: int, low: int) -> int:
    """SaturatingRoundingDoublingHighMul(value, high * 2**16 + low) for |value| < 2**30."""
    a = value >> 14
    b = value & 16383
    m = a * (low >> 8) * 64 + ((a * (low & 255) + (b * low >> 14)) >> 2)
    b *= high
    m = (b >> 14) + (m >> 14) + (((b & 16383) + (m & 16383) + 16384) >> 14)
    return a * (high >> 1) + ((a * (high & 1) + m) >> 1)


def rounding_divide(value: int, exponent: int) -> int:
    """RoundingDivideByPOT, half away from zero, without adding to a value near 2**30."""
    if exponent == 0:
        return value
    if value < 0:
        value -= 1
    return ((value >> (exponent - 1)) + 1) >> 1


def rescaled16(v, h, m, s):
    """MultiplyByQuantizedMultiplier for |v| < 2**27 after the left shift, clamped to int16."""
    if s > 0:
        v <<= s
    b = v & 16383
    v >>= 14
    v = (v * h + ((b * h + ((v * m + (b * m >> 14)) >> 2) + 16384) >> 14)) >> 1
    if s < 0:
        if v < 0:
            v -= 1
        v = (v + (1 << (-1 - s))) >> -s
    return -32768 if v < -32768 else 32767 if v > 32767 else v
