"""Runs on the VM: loads and invokes every file of a batch; prints totals and what misbehaves.

The batch: per file its number and its length as little-endian 32-bit words, then its bytes.
"""

import gc
import sys
from struct import unpack

import utime as time

from agent.cognition.engine import Model, ModelError

# Of the processor's time: how busy the machine is says nothing.
LIMIT_S = 5


def outcome(data, arena_bytes):
    try:
        model = Model(data, arena_bytes)
    except ModelError as error:
        return type(error).__name__
    model.invoke()
    model.reset()
    model.invoke()
    return "ran"


totals = {}
with open(sys.argv[1], "rb") as batch:
    while True:
        header = batch.read(8)
        if not header:
            break
        number, size = unpack("<II", header)
        data = batch.read(size)
        start = time.clock()
        try:
            result = outcome(data, int(sys.argv[2]))
            if time.clock() - start > LIMIT_S:
                print("file", number, "too slow")
                continue
        except Exception as error:
            print("file", number, type(error).__name__, error)
            continue
        totals[result] = totals.get(result, 0) + 1
        gc.collect()
for name, count in totals.items():
    print("total", name, count)
