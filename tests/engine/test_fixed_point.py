"""The arithmetic against the C it stands for, written out with exact integers and fractions."""

import math
import random
import struct
from array import array
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cognition.engine import exponential, fixed_point, float32
from agent.cognition.engine.ops import scaling, softmax

INT32 = st.integers(-(2**31), 2**31 - 1)
EDGES = [-(2**31), -(2**31) + 1, -(2**30), -1, 0, 1, 2**30 - 1, 2**30, 2**31 - 2, 2**31 - 1]
POSITIVE = st.floats(2.0**-60, 2.0**60, width=32)


def truncate(value: Fraction) -> int:
    return math.trunc(value)


def c_high_mul(a: int, b: int) -> int:
    """gemmlowp's SaturatingRoundingDoublingHighMul, line by line."""
    if a == b == -(2**31):
        return 2**31 - 1
    nudge = 2**30 if a * b >= 0 else 1 - 2**30
    return truncate(Fraction(a * b + nudge, 2**31))


def c_divide(x: int, exponent: int) -> int:
    """gemmlowp's RoundingDivideByPOT, line by line."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def c_multiply(x: int, multiplier: int, shift: int) -> int:
    left, right = max(shift, 0), max(-shift, 0)
    return c_divide(c_high_mul(fixed_point.wrap32(x << left), multiplier), right)


@pytest.mark.parametrize("a", EDGES)
@pytest.mark.parametrize("b", EDGES)
def test_high_mul_at_the_edges(a, b):
    assert fixed_point.high_mul(a, b) == c_high_mul(a, b)


@given(INT32, INT32, st.integers(0, 31))
def test_rounding(a, b, exponent):
    assert fixed_point.high_mul(a, b) == c_high_mul(a, b)
    assert fixed_point.rounding_divide(a, exponent) == c_divide(a, exponent)


@given(INT32, st.integers(2**30, 2**31 - 1), st.integers(-31, 8))
def test_multiply(x, multiplier, shift):
    assert fixed_point.multiply(x, multiplier, shift) == c_multiply(x, multiplier, shift)


def requantized(acc: list[int], multiplier: int, shift: int) -> list[int]:
    """What the kernel's small-int form gives, before any int8 clamp."""
    y = [0] * len(acc)
    halves = array("H", [multiplier >> 16]), array("H", [multiplier & 0xFFFF])
    shifts = array("b", [max(-29, shift)])
    scaling.requantize(
        array("i", acc), y, 0, len(acc), 0, *halves, shifts, 0, -(2**40), 2**40
    )  # fmt: skip
    return y


LIMIT = 2**27 - 1
ACCUMULATORS = [-LIMIT, -(2**26), -16385, -16384, -16383, -1, 0, 1, 16383, 16384, 2**26, LIMIT]


@pytest.mark.parametrize("multiplier", [2**30, 2**30 + 1, 2**30 + 65535, 2**31 - 65536, 2**31 - 1])
@pytest.mark.parametrize("shift", [-31, -30, -29, -28, -15, -7, -1, 0])
def test_small_int_requantize_at_the_edges(multiplier, shift):
    expected = [c_multiply(a, multiplier, shift) for a in ACCUMULATORS]
    assert requantized(ACCUMULATORS, multiplier, shift) == expected


def test_small_int_requantize_at_every_tie():
    """Around the accumulators where either rounding changes its mind."""
    generator = random.Random(1)
    for _ in range(300):
        multiplier, shift = generator.randrange(2**30, 2**31), generator.randint(-12, 0)
        ties = []
        for level in range(-300, 300, 7):
            acc = round(Fraction(2 * level + 1, 2) * 2 ** (31 - shift) / multiplier)
            ties += [a for a in (acc - 1, acc, acc + 1) if abs(a) <= LIMIT]
        assert requantized(ties, multiplier, shift) == [
            c_multiply(a, multiplier, shift) for a in ties
        ]


@given(st.integers(-LIMIT, LIMIT), st.integers(2**30, 2**31 - 1), st.integers(-31, 0))
def test_small_int_requantize(acc, multiplier, shift):
    assert requantized([acc], multiplier, shift) == [c_multiply(acc, multiplier, shift)]


@given(st.integers(-(2**20), 2**20), st.integers(2**30, 2**31 - 1), st.integers(1, 6))
def test_small_int_requantize_with_a_left_shift(acc, multiplier, shift):
    assert requantized([acc], multiplier, shift) == [c_multiply(acc, multiplier, shift)]


def number(value: float):
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return float32.from_bits(bits)


def exact(pair) -> Fraction:
    return Fraction(pair[0]) * Fraction(2) ** pair[1]


@given(POSITIVE, POSITIVE)
def test_products_and_ratios_round_as_ieee_754(a, b):
    for bits, kind in ((24, np.float32), (53, np.float64)):
        product = float32.product(number(a), number(b), bits)
        assert exact(product) == Fraction(float(kind(a) * kind(b)))
        ratio = float32.ratio(number(a), number(b), bits)
        assert exact(ratio) == Fraction(float(kind(a) / kind(b)))


@given(st.floats(2.0**-149, 2.0**-100, width=32), st.floats(2.0**-40, 1, width=32))
def test_float_products_underflow_gradually(a, b):
    product = float32.product(number(a), number(b), 24)
    assert exact(product) == Fraction(float(np.float32(a) * np.float32(b)))


@given(st.floats(2.0**-40, 2.0**20))
def test_quantize_multiplier_as_frexp_does(value):
    mantissa, exponent = math.frexp(value)
    fixed = math.floor(Fraction(mantissa) * 2**31 + Fraction(1, 2))
    if fixed == 2**31:
        fixed, exponent = 2**30, exponent + 1
    wanted = (0, 0) if exponent < -31 else (fixed, exponent)
    m, e = math.frexp(value)
    assert fixed_point.quantize_multiplier((int(m * 2**53), e - 53)) == wanted


def half_away(value: float) -> int:
    return int(math.copysign(math.floor(abs(Fraction(value)) + Fraction(1, 2)), value))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), POSITIVE)
def test_quantize_floats(value, scale):
    with np.errstate(all="ignore"):
        real = float(np.float32(value) / np.float32(scale))
    steps = half_away(max(-1000.0, min(1000.0, real)))
    y = [0]
    float32.quantize(struct.pack("<f", value), y, *number(scale), 5)
    assert y == [max(-128, min(127, steps + 5))]


@given(st.integers(-140, 140), POSITIVE)
def test_quantize_floats_near_ties(level, scale):
    """(level + 1/2) * scale and its neighbours: where the division's own rounding decides."""
    middle = np.float32((level + 0.5) * np.float64(np.float32(scale)))
    for value in (middle, np.nextafter(middle, np.float32(np.inf)), np.nextafter(middle, -middle)):
        test_quantize_floats.hypothesis.inner_test(float(value), scale)


@given(st.integers(-255, 255), POSITIVE)
def test_float_bytes(steps, scale):
    wanted = np.float32(steps * float(np.float32(scale)))
    got = float32.float_bytes(steps, number(scale))
    assert np.frombuffer(got, "<f4")[0] == wanted


@given(INT32, INT32)
def test_limbs_multiply(a, b):
    if a == b == -(2**31):
        return
    limbs = [0, 0, 0]
    split = [part for v in (a, b) for part in (v & 2047, v >> 11 & 2047, v >> 22)]
    softmax._high_mul(limbs, *split)
    assert limbs[0] + (limbs[1] << 11) + (limbs[2] << 22) == c_high_mul(a, b)


@given(st.integers(2**19, 2**30 - 1))
def test_limbs_reciprocal(total):
    """Against the big-int form, which is checked through LOGISTIC against TFLite-Micro."""
    limbs = [0, 0, 0]
    shift = softmax._reciprocal(total, limbs, [0, 0, 0])
    fraction = (total << (32 - total.bit_length())) - 2**31
    wanted = exponential.one_over_one_plus(fraction)
    assert limbs[0] + (limbs[1] << 11) + (limbs[2] << 22) == wanted
    assert shift == total.bit_length() - 20


@pytest.mark.parametrize(
    ("function", "real", "domain"),
    [
        (exponential.logistic, lambda x: 1 / (1 + math.exp(-x)), (-15.9, 15.9)),
        (exponential.tanh, math.tanh, (-15.9, 15.9)),
        (lambda a: exponential.exp_on_negative_values(a, 4), math.exp, (-15.9, 0)),
    ],
    ids=["logistic", "tanh", "exp"],
)
def test_functions_are_near_the_real_ones(function, real, domain):
    """Guards against a constant that is wrong in both engine and test."""
    for i in range(200):
        x = domain[0] + (domain[1] - domain[0]) * i / 199
        assert function(round(x * 2**27)) / 2**31 == pytest.approx(real(x), abs=1e-6)
