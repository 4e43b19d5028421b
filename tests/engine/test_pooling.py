"""Poolings: random graphs as TFLite-Micro computes them, here and on the VM."""

import pytest

from agent.cognition.engine import Model, UnsupportedError
from host import reference
from tests.engine import convolution_cases, operator_cases
from tests.engine.tflite_builder import Builder

ROWS = 4
NAMES = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
CASES = {name: convolution_cases.pooling(name) for name in NAMES}

needs_tflm = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)


@pytest.fixture(scope="module")
def models():
    return operator_cases.files(CASES, 400)


@pytest.fixture(scope="module")
def wanted(models):
    return operator_cases.wanted(models, ROWS)


@needs_tflm
def test_on_cpython(models, wanted):
    assert operator_cases.names(models) == set(CASES)
    assert operator_cases.differing(operator_cases.on_cpython(models, ROWS), wanted) == []


@needs_tflm
@pytest.mark.parametrize("name", CASES)
def test_cases_exercise_the_operator(name, wanted):
    assert operator_cases.share_inside(wanted, name) > 0.3


@needs_tflm
@pytest.mark.vm
def test_on_the_vm(models, wanted, tmp_path, run_on_vm):
    got = operator_cases.on_vm(models, ROWS, tmp_path, run_on_vm)
    assert operator_cases.differing(got, wanted) == []


def one(name="AVERAGE_POOL_2D", version=2, x=(1, 4, 4, 3), y=(1, 2, 2, 3), **change) -> bytes:
    """A pooling by 2 x 2 with one thing changed."""
    b = Builder()
    first = b.tensor(x, 0.5, 3, change.get("dtype", "int8"))
    last = b.tensor(y, change.get("scale", 0.5), change.get("zero", 3), change.get("dtype", "int8"))
    options = {"padding": 1, "strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
    b.operator(name, [first], last, version, **options | change.get("options", {}))
    return b.build([first], [last])


REFUSALS = [
    (lambda: one(version=4), "AVERAGE_POOL_2D version 4"),
    (lambda: one("MAX_POOL_2D", version=4), "MAX_POOL_2D version 4"),
    (lambda: one(dtype="float32"), "is float32"),
    (lambda: one(scale=0.501), "different scales"),
    (lambda: one(zero=4), "different scales or zero points"),
    (lambda: one(y=(1, 2, 2, 2)), "gives no"),
    (lambda: one(y=(1, 3, 2, 3)), "gives no"),
    (lambda: one(x=(4, 4, 3)), "images are supported"),
    (lambda: one(options={"filterWidth": 0}), "kernel 0"),
    (lambda: one(options={"filterHeight": 1 << 20}), "kernel 1048576"),
    (lambda: one(options={"strideH": 0}), "stride 0"),
    (lambda: one(options={"fusedActivationFunction": 5}), "fused activation 5"),
]


@pytest.mark.parametrize(("make", "words"), REFUSALS, ids=[words for _, words in REFUSALS])
def test_refused(make, words):
    with pytest.raises(UnsupportedError, match=words):
        Model(make())


def test_scales_as_close_as_the_reference_asks():
    assert Model(one(scale=0.5000005)).ops == ["AVERAGE_POOL_2D"]
