"""UNIDIRECTIONAL_SEQUENCE_LSTM with state, as TFLite-Micro computes it, here and on the VM."""

import random

import numpy as np
import pytest

from agent.cognition.engine import Model, UnsupportedError
from agent.cognition.engine.ops import int16
from agent.cognition.engine.views import as_bytes
from host import reference
from tests.engine import operator_cases as cases
from tests.engine.tflite_builder import Builder

ROWS = 5

pytestmark = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)


def lstm(b, rng, **change):
    """One LSTM. change: what differs from a random, sound one."""
    batches, steps = rng.choice((1, 1, 2, 3)), rng.choice((1, 2, 3, 6))
    depth, units = rng.choice((1, 2, 3, 5, 8)), rng.choice((1, 2, 3, 4, 5, 8, 9))
    time_major = rng.random() < 0.4
    rows = (steps, batches) if time_major else (batches, steps)
    npr = np.random.default_rng(rng.getrandbits(32))
    s_x, s_h = np.float32(rng.uniform(0.005, 0.05)), np.float32(rng.uniform(0.003, 0.012))
    x = b.tensor((*rows, depth), s_x, cases.zero_point(rng))
    # Gates that are neither flat nor always at an end: a few units of their input.
    reach = rng.choice((1, 3, 8))
    s_w = np.float32(np.exp(npr.uniform(-0.5, 0.5, 4)) * reach / (70 * 70 * s_x * depth**0.5))
    s_r = np.float32(np.exp(npr.uniform(-0.5, 0.5, 4)) * reach / (70 * 70 * s_h * units**0.5))

    def weights(columns, s):
        data = npr.integers(-127, 128, (units, columns), np.int8)
        return b.tensor((units, columns), s, 0, data=data)

    inputs = [x, *(weights(depth, s) for s in s_w), *(weights(units, s) for s in s_r)]
    inputs += [-1] * 3
    for s in s_w:
        bias = npr.integers(-9000, 9000, units, np.int32)
        inputs.append(b.tensor((units,), s * s_x, 0, "int32", bias))
    inputs += [-1] * 2
    hidden_zero = change.get("hidden_zero", rng.choice((0, -5, 20, -128, 127)))
    inputs.append(b.tensor((batches, units), s_h, hidden_zero, variable=True))
    power = change.get("power", rng.choice((-11, -11, -12, -13, -15, -10, -8, -5)))
    cell_scale = np.float32(change.get("cell_scale", 2.0**power))
    inputs.append(b.tensor((batches, units), cell_scale, 0, "int16", variable=True))
    inputs += [-1] * 4
    y = b.tensor((*rows, units), s_h, hidden_zero)
    b.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        inputs,
        y,
        fusedActivationFunction=change.get("activation", 4),
        timeMajor=time_major,
        cellClip=change.get("clip", rng.choice((0.0, 0.0, 1.5, 10.0, 0.3, 1000.0))),
    )
    return [x], [y]


def one(**change) -> bytes:
    b = Builder()
    inputs, outputs = lstm(b, random.Random(7), **change)
    return b.build(inputs, outputs)


@pytest.fixture(scope="module")
def models():
    return cases.files({"LSTM": lstm})


@pytest.fixture(scope="module")
def wanted(models):
    """Rows in one run without a reset: state carries over from each to the next."""
    return cases.wanted(models, ROWS)


def test_on_cpython(models, wanted):
    assert cases.differing(cases.on_cpython(models, ROWS), wanted) == []


def test_cases_exercise_the_operator(wanted):
    assert cases.share_inside(wanted, "LSTM") > 0.6


@pytest.mark.vm
def test_on_the_vm(models, wanted, tmp_path, run_on_vm):
    assert cases.differing(cases.on_vm(models, ROWS, tmp_path, run_on_vm), wanted) == []


def test_reset_forgets():
    model = Model(one(hidden_zero=20))
    as_bytes(model.inputs[0])[:] = bytes(range(len(model.inputs[0])))
    runs = []
    for _ in range(2):
        model.invoke()
        runs.append(bytes(as_bytes(model.outputs[0])))
    model.reset()
    model.invoke()
    assert runs[0] != runs[1]
    assert bytes(as_bytes(model.outputs[0])) == runs[0]


def test_tables():
    """Within one unit in the last place of Q0.15, except where the table's ends cut off."""
    for raw in range(-32768, 32768, 97):
        exact = raw / 4096
        assert int16.logistic(3 * raw) / 32768 == pytest.approx(1 / (1 + np.exp(-exact)), abs=4e-5)
        assert int16.tanh(3 * raw) / 32768 == pytest.approx(np.tanh(exact), abs=6e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"activation": 1}, "only tanh is supported"),
        ({"cell_scale": 0.0005}, "a power of two"),
        ({"power": 3}, "a power of two up to 1"),
    ],
)
def test_refused(change, words):
    with pytest.raises(UnsupportedError, match=words):
        Model(one(**change))
