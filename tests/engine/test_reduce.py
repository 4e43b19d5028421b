"""MEAN and SUM over random axes, as TFLite-Micro computes them, here and on the VM."""

import numpy as np
import pytest

from agent.cognition.engine import Model, UnsupportedError
from host import reference
from tests.engine import operator_cases as cases
from tests.engine.tflite_builder import Builder

ROWS = 5

pytestmark = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)


def reduction(name):
    def case(b, rng):
        size = cases.shape(rng, largest=rng.choice((5, 7, 9)))
        if rng.random() < 0.25:  # global average pooling
            size = (1, rng.randint(1, 8), rng.randint(1, 8), rng.randint(1, 6))
            axes = [1, 2]
        else:
            axes = rng.sample(range(len(size)), rng.randint(1, len(size)))
        keep = rng.random() < 0.5
        kept = [1 if i in axes else n for i, n in enumerate(size) if keep or i not in axes]
        count = int(np.prod([size[i] for i in axes]))
        if rng.random() < 0.3:
            axes = [axis - len(size) if rng.random() < 0.5 else axis for axis in axes]
        if rng.random() < 0.1:
            axes.append(axes[0])
        x = cases.activation(b, rng, size)
        # What is left of a mean of random values shrinks with their number.
        spread = np.exp(rng.uniform(-1, 2)) * (count if name == "SUM" else 1) / count**0.5
        y = b.tensor(kept, np.float32(b.scale(x) * spread), cases.zero_point(rng))
        b.operator(name, [x, b.ints(*axes)], y, keepDims=keep)
        return [x], [y]

    return case


CASES = {name: reduction(name) for name in ("MEAN", "SUM")}


def mean(size, scale_x, scale_y, name="MEAN"):
    b = Builder()
    x = b.tensor((1, size), scale_x, -128)
    y = b.tensor((1,), scale_y, 3)
    b.operator(name, [x, b.ints(1)], y)
    return b.build([x], [y])


CORNERS = {
    "one": mean(1, 0.1, 0.1),
    "large": mean(6000, 0.1, 0.07),
    "far above": mean(16, 0.1, 4e-4, "SUM"),
    "equal": mean(255, 0.1, 0.1),
    "far below": mean(8, 1e-4, 1e5),
}


@pytest.fixture(scope="module")
def models():
    return cases.files(CASES) | {f"CORNER_{i:03d}": m for i, m in enumerate(CORNERS.values())}


@pytest.fixture(scope="module")
def wanted(models):
    return cases.wanted(models, ROWS)


def test_on_cpython(models, wanted):
    assert cases.differing(cases.on_cpython(models, ROWS), wanted) == []


@pytest.mark.parametrize("name", CASES)
def test_cases_exercise_the_operator(name, wanted):
    assert cases.share_inside(wanted, name) > 0.4


@pytest.mark.vm
def test_on_the_vm(models, wanted, tmp_path, run_on_vm):
    assert cases.differing(cases.on_vm(models, ROWS, tmp_path, run_on_vm), wanted) == []


def test_a_scale_far_too_small_is_refused():
    with pytest.raises(UnsupportedError, match="MEAN: sums of 16 items, or an output scale far"):
        Model(mean(16, 1.0, 1e-9))
