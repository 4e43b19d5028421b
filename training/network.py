"""Small Keras networks and their conversion to full int8. TensorFlow is imported on first use."""

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import ToolMissingError

Floats = NDArray[np.float32]
INPUT_SCALE = 1.0 / 32.0
"""What one int8 input step is worth to the network; zero point 0, so inputs span -4 to 3.97."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what TensorFlow's C++ side prints on file descriptor 2 (and the converter on 1)."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (*kept, sink):
            os.close(descriptor)


def tensorflow() -> Any:
    """TensorFlow, imported without its start-up chatter. Raises ToolMissingError."""
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        with quiet():
            import tensorflow
    except ImportError as error:
        raise ToolMissingError(
            f"TensorFlow is not installed ({error}): `./run train` installs it and trains"
        ) from error
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


def dequantised(q: NDArray[np.int8]) -> Floats:
    """What the network sees for raw int8 inputs."""
    return q.astype(np.float32) * np.float32(INPUT_SCALE)


def train(
    inputs: Floats,
    targets: Floats,
    hidden: tuple[int, ...],
    *,
    seed: int,
    epochs: int,
    weights: Floats | None = None,
    batch: int = 512,
    rate: float = 4e-3,
    tick: Callable[[], None] = lambda: None,
) -> Any:
    """Fit a dense network (relu between layers, mean squared error, cosine learning rate)."""
    tensorflow()
    import keras

    keras.utils.set_random_seed(seed)
    layers: list[Any] = [keras.Input((inputs.shape[1],))]
    layers += [keras.layers.Dense(width, activation="relu") for width in hidden]
    model = keras.Sequential([*layers, keras.layers.Dense(targets.shape[1])])
    steps = epochs * -(-len(inputs) // batch)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(schedule), loss="mse", jit_compile=False)
    on_epoch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: tick())
    model.fit(
        inputs,
        targets,
        sample_weight=weights,
        batch_size=batch,
        epochs=epochs,
        verbose=0,
        shuffle=True,
        callbacks=[on_epoch],
    )
    return model


def predict(model: Any, inputs: Floats) -> Floats:
    """Float outputs, rows by outputs."""
    return np.asarray(model(inputs), np.float32)


def to_int8(model: Any, rows: NDArray[np.int8]) -> bytes:
    """Convert to full int8 TFLite; `rows` are raw int8 input rows that show the usual range.

    Keras 3 models crash the converter's calibration unless their variables are frozen first; a
    static batch of one keeps file and arena small. Two rows that span the int8 range pin the input
    to scale 1/32 and zero point 0.
    """
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    shown = dequantised(np.concatenate([rows, _spanning_rows(model, rows)]))

    def representative() -> Iterator[list[Floats]]:
        for row in shown:
            yield [row[None, :]]

    with quiet(), warnings.catch_warnings():
        # The converter warns that int8 inputs come without statistics; calibration supplies them.
        warnings.simplefilter("ignore")
        shape = tf.TensorSpec((1, rows.shape[1]), tf.float32, name="features")
        frozen = convert_variables_to_constants_v2(
            tf.function(lambda features: model(features)).get_concrete_function(shape)
        )
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        converted = bytes(converter.convert())
    from training.strip import strip

    return strip(converted)


def _spanning_rows(model: Any, rows: NDArray[np.int8]) -> NDArray[np.int8]:
    """Two rows that reach -128 and 127 and stretch the network's outputs least."""
    some = rows[:: max(1, len(rows) // 64)]
    usual = predict(model, dequantised(rows))
    centre, width = usual.mean(axis=0), usual.std(axis=0) + 1e-6
    found = []
    for extreme in (-128, 127):
        best: tuple[float, NDArray[np.int8]] | None = None
        for column in range(rows.shape[1]):
            tried = some.copy()
            tried[:, column] = extreme
            stretch = np.abs((predict(model, dequantised(tried)) - centre) / width).max(axis=1)
            index = int(stretch.argmin())
            if best is None or stretch[index] < best[0]:
                best = (float(stretch[index]), tried[index])
        assert best is not None
        found.append(best[1])
    return np.stack(found)
