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


def convert(how: str) -> bytes:
    """A Keras LSTM and a dense layer on it, converted to int8 by TensorFlow."""
    import tempfile

    tf = pytest.importorskip("tensorflow")
    import keras

    keras.utils.set_random_seed(1)
    steps, depth, units = 12, 4, 10
    layer = keras.layers.LSTM(units, return_sequences=True, unroll=True)
    dense = keras.layers.Dense(3)
    dense(layer(np.zeros((1, steps, depth), np.float32)))
    signature = tf.TensorSpec((1, steps, depth), tf.float32)

    if how == "unrolled":
        run = tf.function(lambda x: dense(layer(x)), input_signature=[signature])
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        frozen = convert_variables_to_constants_v2(run.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    else:
        # The converter knows a function with this attribute, these six arguments and five results
        # as an LSTM, and makes one operator of it.
        def cell(inputs, hidden, state, kernel, recurrent, bias):
            outputs = []
            for step in tf.unstack(tf.transpose(inputs, [1, 0, 2])):
                gates = tf.matmul(step, kernel) + tf.matmul(hidden, recurrent) + bias
                i, f, g, o = tf.split(gates, 4, axis=1)
                state = tf.sigmoid(f) * state + tf.sigmoid(i) * tf.tanh(g)
                hidden = tf.sigmoid(o) * tf.tanh(state)
                outputs.append(hidden)
            sequence = tf.transpose(tf.stack(outputs), [1, 0, 2])
            return hidden, sequence, hidden, state, tf.constant(1.0)

        weights = [tf.constant(w) for w in layer.get_weights()]
        zeros = tf.zeros((1, units))
        fused = tf.function(
            cell,
            autograph=False,
            input_signature=[
                tf.TensorSpec(t.shape)
                for t in (np.zeros((1, steps, depth)), zeros, zeros, *weights)
            ],
            experimental_attributes={
                "api_implements": "lstm_keras",
                "api_preferred_device": "CPU",
                "time_major": False,
                "go_backwards": False,
            },
        )
        kernel, bias = (tf.constant(w) for w in dense.get_weights())
        module = tf.Module()
        module.run = tf.function(
            lambda x: tf.tensordot(fused(x, zeros, zeros, *weights)[1], kernel, 1) + bias,
            input_signature=[signature],
        )
        folder = tempfile.mkdtemp()
        tf.saved_model.save(module, folder, signatures=module.run.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    generator = np.random.default_rng(0)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [np.float32(generator.normal(0, 1, (1, steps, depth)))] for _ in range(50)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "operators"),
    [
        ("fused", {"UNIDIRECTIONAL_SEQUENCE_LSTM", "FULLY_CONNECTED"}),
        ("unrolled", {"UNPACK", "SPLIT", "LOGISTIC", "TANH", "MUL", "ADD", "PACK"}),
    ],
)
def test_converted_from_keras(how, operators, tmp_path, run_on_vm):
    models = {how: convert(how)}
    assert operators <= set(Model(models[how]).ops)
    expected = cases.wanted(models, 40)
    assert cases.share_inside(expected, how) > 0.6
    assert cases.differing(cases.on_cpython(models, 40), expected) == []
    assert cases.differing(cases.on_vm(models, 40, tmp_path, run_on_vm), expected) == []
