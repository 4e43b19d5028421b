"""Runs an int8 model over many rows: by TFLite-Micro where its wheel exists, else by our engine.

The two agree bit for bit, which is checked before a bundle is written; which of them runs changes
speed only.
"""

import numpy as np
from numpy.typing import NDArray

from agent.cognition.engine import Model

Bytes = NDArray[np.int8]


class Runner:
    """One model of one int8 input and one int8 output tensor, batch 1."""

    def __init__(self, model_bytes: bytes):
        self._engine = Model(model_bytes)
        self.inputs = len(self._engine.inputs[0])
        self.outputs = len(self._engine.outputs[0])
        self.in_zero = int(self._engine.input_zero_point[0])
        self.out_zero = int(self._engine.output_zero_point[0])
        self.in_scale = float(self._engine.input_scale[0])
        self.out_scale = float(self._engine.output_scale[0])
        try:
            from tflite_micro import runtime

            self._tflm = runtime.Interpreter.from_bytes(bytes(model_bytes))
            self.by = "TFLite-Micro"
        except ImportError:
            self._tflm = None
            self.by = "the board's engine"

    def run(self, rows: Bytes) -> Bytes:
        """Raw outputs (rows by outputs) for raw input rows (rows by inputs)."""
        if self._tflm is None:
            return self.run_engine(rows)
        rows = np.ascontiguousarray(rows, np.int8)
        result = np.zeros((len(rows), self.outputs), np.int8)
        for index in range(len(rows)):
            self._tflm.set_input(rows[index : index + 1], 0)
            self._tflm.invoke()
            result[index] = self._tflm.get_output(0)[0]
        return result

    def one(self, row: list[int]) -> int:
        """The first raw output for one row."""
        return int(self.run(np.array([row], np.int8))[0, 0])

    def run_engine(self, rows: Bytes) -> Bytes:
        """The same by the engine that boards run."""
        engine = self._engine
        result = np.zeros((len(rows), self.outputs), np.int8)
        for index, row in enumerate(rows.tolist()):
            view = engine.inputs[0]
            for column, value in enumerate(row):
                view[column] = value
            engine.invoke()
            result[index] = list(engine.outputs[0])
        return result
