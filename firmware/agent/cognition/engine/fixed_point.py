"""Fixed-point arithmetic of gemmlowp and TFLite-Micro, exact, in Python integers of any size.

Used when a model is loaded, for multipliers and look-up tables; the kernels use small-int forms of
the same. Sources: gemmlowp fixedpoint/fixedpoint.h and, in tensorflow/lite/kernels/internal,
common.cc and quantization_util.cc.
"""

from .float32 import bit_length

INT32_MAX = 0x7FFFFFFF
INT32_MIN = -0x80000000


def wrap32(value: int) -> int:
    """What is left of an integer in an int32 register."""
    return ((value + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def quantize_multiplier(number):
    """(multiplier, shift): number = multiplier / 2**31 * 2**shift; multiplier 0 or >= 2**30.

    C's QuantizeMultiplier: frexp, then round half away from zero to 31 bits.
    """
    m, e = number
    length = bit_length(m)
    shift = e + length
    if length > 31:
        multiplier = (m + (1 << (length - 32))) >> (length - 31)
    else:
        multiplier = m << (31 - length)
    if multiplier == 1 << 31:
        multiplier >>= 1
        shift += 1
    if m == 0 or shift < -31:
        return 0, 0
    return multiplier, shift


def high_mul(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul.

    C adds a nudge by sign and divides towards zero: together "round half up", for either sign.
    """
    if a == INT32_MIN and b == INT32_MIN:
        return INT32_MAX
    return (a * b + (1 << 30)) >> 31


def rounding_divide(value: int, exponent: int) -> int:
    """RoundingDivideByPOT: value / 2**exponent, half away from zero."""
    if exponent == 0:
        return value
    return (value + (1 << (exponent - 1)) - (1 if value < 0 else 0)) >> exponent


def saturating_shift(value: int, exponent: int) -> int:
    """SaturatingRoundingMultiplyByPOT for a positive exponent."""
    threshold = (1 << (31 - exponent)) - 1
    if value > threshold:
        return INT32_MAX
    if value < -threshold:
        return INT32_MIN
    return value << exponent


def multiply(value: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier, the form that rounds twice."""
    if shift > 0:
        return high_mul(wrap32(value << shift), multiplier)
    return rounding_divide(high_mul(value, multiplier), -shift)
