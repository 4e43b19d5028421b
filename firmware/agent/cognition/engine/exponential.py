"""exp, logistic and tanh of gemmlowp in fixed point, exact: for tables made when a model is loaded.

Source: gemmlowp fixedpoint/fixedpoint.h. Raw values are int32; Qm means m integer bits, so a raw
value r stands for r / 2**(31 - m).
"""

from .fixed_point import INT32_MAX, high_mul, rounding_divide, saturating_shift

_Q2_ONE = 1 << 29
_Q2_48_OVER_17 = 1515870810
_Q2_NEG_32_OVER_17 = -1010580540

# exp(-2**k) in Q0 for k = -2, -1, 0, 1, 2, 3, 4
_EXP_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def input_radius(integer_bits: int, left_shift: int) -> int:
    """CalculateInputRadius: the largest input that does not saturate Q`integer_bits`."""
    return (((1 << integer_bits) - 1) << (31 - integer_bits)) >> left_shift


def _exp_below_zero(a: int) -> int:
    """exp(a) for a in [-1/4, 0), Q0 to Q0: a Taylor polynomial around -1/8."""
    x = a + (1 << 28)
    x2 = high_mul(x, x)
    x3 = high_mul(x2, x)
    x4 = high_mul(x2, x2)
    tail = rounding_divide(high_mul(rounding_divide(x4, 2) + x3, 715827883) + x2, 1)
    return 1895147668 + high_mul(1895147668, x + tail)


def exp_on_negative_values(a: int, integer_bits: int) -> int:
    """exp(a) for a <= 0, Q`integer_bits` (at most 5) to Q0."""
    if a == 0:
        return INT32_MAX
    fractional_bits = 31 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    a_mod = (a & (quarter - 1)) - quarter
    result = _exp_below_zero(saturating_shift(a_mod, integer_bits))
    remainder = a_mod - a
    for i in range(integer_bits + 2):
        if remainder & 1 << (fractional_bits - 2 + i):
            result = high_mul(result, _EXP_POWERS[i])
    return result


def _newton(a: int) -> int:
    """2 / (1 + a) for a in [0, 1], Q0 to Q2, by three steps of Newton and Raphson."""
    half_denominator = (a + INT32_MAX + 1) >> 1
    x = _Q2_48_OVER_17 + high_mul(half_denominator, _Q2_NEG_32_OVER_17)
    for _ in range(3):
        error = _Q2_ONE - high_mul(half_denominator, x)
        x += saturating_shift(high_mul(x, error), 2)
    return x


def one_over_one_plus(a: int) -> int:
    """1 / (1 + a) for a in [0, 1], Q0 to Q0."""
    return saturating_shift(_newton(a), 1)


def logistic(a: int) -> int:
    """1 / (1 + exp(-a)), Q4 to Q0."""
    if a == 0:
        return 1 << 30
    positive = one_over_one_plus(exp_on_negative_values(-abs(a), 4))
    return positive if a > 0 else INT32_MAX - positive


def tanh(a: int) -> int:
    """tanh(a), Q4 to Q0: the argument's raw value read as Q5 is twice the argument."""
    if a == 0:
        return 0
    result = saturating_shift(_newton(exp_on_negative_values(-abs(a), 5)) - _Q2_ONE, 2)
    return result if a > 0 else -result
