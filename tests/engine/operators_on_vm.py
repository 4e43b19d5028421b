"""Runs on the VM: every model in a folder over its rows, each invoke with the heap locked.

Only models named wide... may allocate: their accumulators do not fit small ints.

For NAME.tflite there is NAME.in: per row, the raw bytes of all inputs. One line per row:
name, row, hexadecimal outputs.
"""

import gc
import os
import sys

import micropython

from agent.cognition.engine import Model
from agent.cognition.engine.views import as_bytes

SIZES = {"b": 1, "f": 4, "i": 4}


def run(folder, name):
    model = Model(folder + "/" + name + ".tflite")
    inputs = [as_bytes(v, SIZES[t]) for v, t in zip(model.inputs, model.input_dtype)]  # noqa: B905
    outputs = [as_bytes(v, SIZES[t]) for v, t in zip(model.outputs, model.output_dtype)]  # noqa: B905
    number = 0
    with open(folder + "/" + name + ".in", "rb") as file:
        while True:
            for view in inputs:
                if file.readinto(view) != len(view):
                    return
            if name.startswith("wide"):
                model.invoke()
            else:
                micropython.heap_lock()
                try:
                    model.invoke()
                finally:
                    micropython.heap_unlock()
            print(name, number, " ".join(bytes(output).hex() for output in outputs))
            number += 1


for entry in sorted(os.listdir(sys.argv[1])):
    if entry.endswith(".tflite"):
        gc.collect()
        run(sys.argv[1], entry[: -len(".tflite")])
