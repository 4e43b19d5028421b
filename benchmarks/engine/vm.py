"""Times on this machine: the MicroPython VM, CPython, and TFLite-Micro's C++, in one run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import run

from agent.cognition.engine import Model
from benchmarks.engine import ROOT
from host import reference
from host.simulation.vm import Vm

SETS = ("portable", "viper")
ROUNDS = 5
# Long enough for the clock, short enough for a model of three million products.
ROUND_US = 20_000

SCRIPT = """
import gc, os, sys
import utime as time  # the built-in one: a simulated board may have a clock of its own
from agent.cognition.engine import Model
from agent.cognition.engine.kernels import select
if select([sys.argv[2]]) != sys.argv[2]:
    raise SystemExit("no kernels " + sys.argv[2])
model = None
for name in sorted(os.listdir(sys.argv[1])):
    model = None
    gc.collect()
    before = gc.mem_alloc()
    start = time.ticks_us()
    model = Model(sys.argv[1] + "/" + name)
    load_us = time.ticks_diff(time.ticks_us(), start)
    gc.collect()
    heap = gc.mem_alloc() - before
    start = time.ticks_us()
    model.invoke()
    n = max(1, int(sys.argv[4]) // max(1, time.ticks_diff(time.ticks_us(), start)))
    best = None
    for _ in range(int(sys.argv[3])):
        start = time.ticks_us()
        for _ in range(n):
            model.invoke()
        us = time.ticks_diff(time.ticks_us(), start) / n
        best = us if best is None else min(best, us)
    print(name, best, load_us, heap)
"""


@dataclass(frozen=True)
class Timed:
    """One model on one kernel set: microseconds of an invoke and of loading, bytes of heap. Loading
    includes what code the models before it did not need.
    """

    invoke_us: float
    load_us: float
    heap: int


def best_us(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    n = max(1, int(ROUND_US / 1e6 / max(1e-7, time.perf_counter() - start)))
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(n):
            call()
        best = min(best, (time.perf_counter() - start) / n * 1e6)
    return best


def printed(vm: Vm, script: str | Path, *arguments: object) -> list[str]:
    """What a script prints there, line by line."""
    with tempfile.TemporaryDirectory() as folder:
        if not isinstance(script, Path):
            path = Path(folder) / "bench.py"
            path.write_text(script)
            script = path
        done = run(
            [*vm.argv, "-X", "heapsize=8M", str(script), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
            env={"MICROPYPATH": str(ROOT / "firmware")},
        )
    return done.stdout.splitlines()


def timed(vm: Vm, models: Mapping[str, bytes], kernels: str) -> dict[str, Timed]:
    """Every model (name -> .tflite) on the VM with one kernel set."""
    names = list(models)
    with tempfile.TemporaryDirectory() as folder:
        for i, name in enumerate(names):
            (Path(folder) / f"{i:03d}").write_bytes(models[name])
        lines = printed(vm, SCRIPT, folder, kernels, ROUNDS, ROUND_US)
    result = {}
    for line in lines:
        index, invoke, load, heap = line.split()
        result[names[int(index)]] = Timed(float(invoke), float(load), int(heap))
    return result


def here_us(model: bytes) -> float:
    """One invoke on this Python."""
    return best_us(Model(model).invoke)


def reference_us(model: bytes) -> float | None:
    """One invoke of TFLite-Micro, with its call from Python; None where it is not installed."""
    if not reference.reference_available():
        return None
    loaded = Model(model)
    tflm = reference.Reference(model, len(loaded.inputs), len(loaded.outputs))
    tflm.run([list(view) for view in loaded.inputs])
    return best_us(tflm._interpreter.invoke)
