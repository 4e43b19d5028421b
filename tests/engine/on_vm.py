"""Runs on the VM: every model in a folder over its rows; prints outputs and bytes allocated.

For NAME.tflite there is NAME.in: raw input rows one after the other. One line per row and output.
"""

import gc
import os
import sys

import micropython

from agent.cognition.engine import Model
from agent.cognition.engine.views import as_bytes

SIZES = {"b": 1, "f": 4}


def run(folder, name):
    model = Model(folder + "/" + name + ".tflite")
    view = as_bytes(model.inputs[0], SIZES[model.input_dtype[0]])
    outputs = [as_bytes(o, SIZES[t]) for o, t in zip(model.outputs, model.output_dtype)]  # noqa: B905
    with open(folder + "/" + name + ".in", "rb") as file:
        rows = 0
        while file.readinto(view) == len(view):
            if rows == 1:
                row = bytes(view)
                gc.collect()
                before = gc.mem_alloc()
                model.invoke()
                print("allocated", name, gc.mem_alloc() - before)
                view[:] = row
                # Whoever allocates now gets a MemoryError. Accumulators past 31 bits have to.
                if not name.startswith("wide"):
                    micropython.heap_lock()
                try:
                    model.invoke()
                finally:
                    if not name.startswith("wide"):
                        micropython.heap_unlock()
            else:
                model.invoke()
            for output in outputs:
                print("out", name, rows, bytes(output).hex())
            rows += 1


for entry in sorted(os.listdir(sys.argv[1])):
    if entry.endswith(".tflite"):
        run(sys.argv[1], entry[: -len(".tflite")])
