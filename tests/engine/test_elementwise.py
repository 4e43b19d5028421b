"""Elementwise operators: random graphs as TFLite-Micro computes them, here and on the VM."""

import numpy as np
import pytest

from host import reference
from tests.engine import operator_cases as cases

ROWS = 5

pytestmark = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)


def binary(name):
    """Two inputs, one of them at times a constant, of shapes that broadcast."""

    def case(b, rng):
        size = cases.shape(rng)
        shapes = [size, size]
        if rng.random() < 0.7:
            mask = [[rng.random() < 0.4 for _ in size] for _ in range(2)]
            shapes = [tuple(1 if one else n for one, n in zip(m, size, strict=True)) for m in mask]
            size = tuple(map(max, *shapes))
            if rng.random() < 0.3:  # fewer dimensions
                k = rng.randint(0, 1)
                while shapes[k] and shapes[k][0] == 1 and len(shapes[k]) > rng.randint(0, 2):
                    shapes[k] = shapes[k][1:]
        fixed = rng.choice((None, None, 0, 1))
        operands = [
            (cases.constant if k == fixed else cases.activation)(b, rng, shapes[k])
            for k in range(2)
        ]
        if rng.random() < 0.3:  # equal scales, as between branches of one layer
            b.tensors[operands[1]]["scale"] = b.scale(operands[0])
        s_a, s_b = (float(b.scale(t)) for t in operands)
        spread = float(np.exp(rng.uniform(-1.5, 1.5)))
        if name == "MUL":
            s_y = s_a * s_b * 128 * spread * (2e-3 if rng.random() < 0.15 else 1)
        elif name == "SQUARED_DIFFERENCE":
            s_y = max(s_a, s_b) ** 2 * 128 * spread
        else:
            s_y = max(s_a, s_b) * 1.5 * spread
        y = b.tensor(size, np.float32(s_y), cases.zero_point(rng))
        options = {}
        if name in ("ADD", "SUB", "MUL"):
            options["fusedActivationFunction"] = rng.choice((0, 0, 1, 2, 3))
        b.operator(name, operands, y, **options)
        return [t for k, t in enumerate(operands) if k != fixed], [y]

    return case


def unary(name):
    """All 256 values at once."""

    def case(b, rng):
        size = rng.choice(((256,), (2, 128), (4, 8, 8), (1, 2, 16, 8)))
        s_x = cases.scale(rng)
        s_y = np.float32(s_x * np.exp(rng.uniform(-1.5, 1.5)))
        zero_y = cases.zero_point(rng)
        zero_x = cases.zero_point(rng)
        options = {}
        if name == "LEAKY_RELU":
            options["alpha"] = rng.choice((0.01, 0.2, 0.3, 0.0, rng.uniform(0, 1), 1.5))
        if name == "HARD_SWISH":
            s_y = np.float32(max(s_y, s_x / 100))
        if name in ("LOGISTIC", "TANH"):
            s_x = np.float32(rng.uniform(0.005, 0.15))
            s_y, zero_y = (1 / 256, -128) if name == "LOGISTIC" else (1 / 128, 0)
        if name == "RELU6":
            s_y, zero_y = s_x, zero_x
        x, y = b.tensor(size, s_x, zero_x), b.tensor(size, s_y, zero_y)
        b.operator(name, [x], y, **options)
        return [x], [y]

    return case


BINARY = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
UNARY = ("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH", "QUANTIZE")
CASES = {name: binary(name) for name in BINARY} | {name: unary(name) for name in UNARY}


@pytest.fixture(scope="module")
def models():
    return cases.files(CASES)


@pytest.fixture(scope="module")
def wanted(models):
    return cases.wanted(models, ROWS)


def test_on_cpython(models, wanted):
    assert cases.names(models) == set(CASES)
    assert cases.differing(cases.on_cpython(models, ROWS), wanted) == []


@pytest.mark.parametrize("name", CASES)
def test_cases_exercise_the_operator(name, wanted):
    assert cases.share_inside(wanted, name) > 0.25


@pytest.mark.vm
def test_on_the_vm(models, wanted, tmp_path, run_on_vm):
    assert cases.differing(cases.on_vm(models, ROWS, tmp_path, run_on_vm), wanted) == []
