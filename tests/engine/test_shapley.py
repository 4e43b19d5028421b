"""Exact Shapley values against the definition, the axioms, and the shap package."""

import itertools
import random
from fractions import Fraction
from math import factorial, prod

import numpy as np
import pytest

from agent.cognition.engine import Model
from agent.cognition.shapley import Shapley
from tests.engine.tflite_builder import Builder, dense


def explain(function, x, baselines):
    """The explanation of function(row) at x."""
    buffer = [99] * (len(x) + 1)
    result = Shapley(len(x), baselines).explain(lambda: function(buffer[:-1]), x, buffer)
    assert buffer == [*x, 99]
    return result


def phi(result) -> list[Fraction]:
    return [Fraction(n, result.denominator) for n in result.numerators]


def by_permutations(function, x, baselines) -> list[Fraction]:
    """The definition: the mean over all orders of arrival of what each feature adds."""
    n = len(x)
    total = [Fraction(0)] * n
    for order in itertools.permutations(range(n)):
        for row in baselines:
            current = list(row)
            before = function(current)
            for i in order:
                current[i] = x[i]
                after = function(current)
                total[i] += after - before
                before = after
    return [t / (factorial(n) * len(baselines)) for t in total]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_definition(n, rows):
    generator = random.Random(10 * n + rows)
    table: dict[tuple[int, ...], int] = {}

    def function(row):
        return table.setdefault(tuple(row), generator.randint(-128, 127))

    x = [generator.randint(-3, 3) for _ in range(n)]
    baselines = [[generator.randint(-3, 3) for _ in range(n)] for _ in range(rows)]
    result = explain(function, x, baselines)
    assert phi(result) == by_permutations(function, x, baselines)
    assert result.additivity_error_numerator == 0
    assert result.value == function(x)
    base = Fraction(sum(function(row) for row in baselines), rows)
    assert Fraction(result.base_numerator, result.denominator) == base


X, ZERO = [3, -2, 5, 3], [[0, 0, 0, 0]]
AXIOMS = [
    ("linear", lambda r: 2 * r[0] - r[1] + r[3], [6, 2, 0, 3]),
    ("dummy", lambda r: r[0] * r[1] * r[3], [-6, -6, 0, -6]),
    ("symmetric", lambda r: max(r[0], r[3]) * r[1], [-2, -3, 0, -2]),
    ("constant", lambda r: 7, [0, 0, 0, 0]),
    ("product", lambda r: prod(r), [Fraction(-90, 4)] * 4),
]


@pytest.mark.parametrize(("name", "function", "wanted"), AXIOMS, ids=[a[0] for a in AXIOMS])
def test_axioms(name, function, wanted):
    got = phi(explain(function, X, ZERO))
    if name == "symmetric":
        assert (got[0], got[2]) == (got[3], 0)
    else:
        assert got == wanted
    assert got == by_permutations(function, X, ZERO)
    assert sum(got) == function(X) - function(ZERO[0])


def test_additive_over_functions():
    def f(row):
        return row[0] * row[1]

    def g(row):
        return max(row)

    both = phi(explain(lambda r: f(r) + g(r), X, ZERO))
    assert both == [a + b for a, b in zip(*(phi(explain(h, X, ZERO)) for h in (f, g)), strict=True)]


def test_additivity_error_is_computed():
    """A function that answers differently each time is found out."""
    counter = itertools.count()
    result = Shapley(2, [[0, 0]]).explain(lambda: next(counter), [1, 1], [0, 0])
    assert result.additivity_error_numerator != 0


def test_eight_features_stay_small_ints():
    """The common denominator is lcm(1..8) * 4, and no partial sum reaches 2**30."""
    baselines = [[0] * 8, [1] * 8, [2] * 8, [3] * 8]
    result = explain(lambda r: 127 if sum(r) & 1 else -128, [9] * 8, baselines)
    assert result.denominator == 840 * 4
    assert 128 * result.denominator * 6 < 2**30


def test_big_values_are_exact():
    result = explain(lambda r: r[0] * 10**15 + r[1], [3, 1], [[0, 0]])
    assert phi(result) == [3 * 10**15, 1]


def test_buffer_is_restored_when_the_function_fails():
    buffer = [0, 0]

    def fails():
        if buffer[0] == 5:
            raise OSError("sensor")
        return 0

    with pytest.raises(OSError, match="sensor"):
        Shapley(2, [[1, 1]]).explain(fails, [5, 6], buffer)
    assert buffer == [5, 6]


@pytest.mark.parametrize(
    ("n", "baselines", "words"),
    [(0, [[]], "0 features"), (13, [[0] * 13], "13 features"), (2, [], "no baseline"),
     (2, [[1]], "baseline row of 1 items")],
)  # fmt: skip
def test_wrong_arguments(n, baselines, words):
    with pytest.raises(ValueError, match=words):
        Shapley(n, baselines)


def small_model(features: int) -> bytes:
    generator = random.Random(4)
    b = Builder()
    x = b.tensor((1, features), 0.05, -3)
    h = dense(b, x, 12, generator, activation=1, per_channel=True)
    return b.build([x], [dense(b, h, 1, generator)])


@pytest.mark.slow
def test_against_shap():
    shap = pytest.importorskip("shap")
    model = Model(small_model(6), keep_inputs=True)
    view, output = model.inputs[0], model.outputs[0]
    generator = np.random.default_rng(2)
    baselines = generator.integers(-128, 128, (4, 6))
    x = generator.integers(-128, 128, 6)

    def raw():
        model.invoke()
        return output[0]

    def rows(matrix):
        results = []
        for row in matrix:
            for i, value in enumerate(row):
                view[i] = int(value)
            results.append(raw())
        return np.array(results, float)

    mine = Shapley(6, baselines.tolist()).explain(raw, x.tolist(), view)
    masker = shap.maskers.Independent(baselines.astype(float), max_samples=4)
    theirs = shap.explainers.Exact(rows, masker)(x[None].astype(float))
    assert mine.additivity_error_numerator == 0
    assert any(mine.numerators)
    assert mine.values() == pytest.approx(theirs.values[0], abs=1e-6)
    assert mine.base_numerator / mine.denominator == pytest.approx(theirs.base_values[0], abs=1e-6)


VM_CODE = """
import gc, sys
from agent.cognition.engine import Model
from agent.cognition.shapley import Shapley
model = Model(sys.argv[1] + "/m.tflite", keep_inputs=True)
def raw():
    model.invoke()
    return model.outputs[0][0]
shapley = Shapley(8, [[-100] * 8, [100] * 8, [0] * 8, list(range(0, 80, 10))])
x = [5, -70, 33, 127, -128, 8, 90, -4]
result = shapley.explain(raw, x, model.inputs[0])
gc.collect()
before = gc.mem_alloc()
result = shapley.explain(raw, x, model.inputs[0])
print(gc.mem_alloc() - before, result.additivity_error_numerator, result.denominator)
print(*result.numerators)
"""


@pytest.mark.vm
def test_same_on_the_vm(tmp_path, run_on_vm):
    data = small_model(8)
    (tmp_path / "m.tflite").write_bytes(data)
    script = tmp_path / "explain.py"
    script.write_text(VM_CODE)
    first, second = run_on_vm(script, tmp_path)
    allocated, error, denominator = map(int, first.split())
    model = Model(data, keep_inputs=True)

    def raw():
        model.invoke()
        return model.outputs[0][0]

    x = [5, -70, 33, 127, -128, 8, 90, -4]
    baselines = [[-100] * 8, [100] * 8, [0] * 8, list(range(0, 80, 10))]
    result = Shapley(8, baselines).explain(raw, x, model.inputs[0])
    assert (error, denominator) == (0, result.denominator)
    assert [int(n) for n in second.split()] == result.numerators
    # The result itself, and nothing per coalition: there are 1024.
    assert allocated < 1024
