"""Time of one invoke: the engine on the MicroPython VM, the engine on CPython, TFLite-Micro's C++.

    python benchmarks/engine.py [folder of *_int8.tflite]

Best of several rounds, so that other work on the machine matters less. The VM runs on this
machine's processor: ratios carry over to a board roughly, microseconds do not.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import run

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "firmware")]

from agent.cognition.engine import Model  # noqa: E402
from host import reference  # noqa: E402
from host.model_costs import count_macs  # noqa: E402
from host.simulation.vm import Vm, ensure_vm  # noqa: E402

MODELS = ("hello_world", "ad01", "kws_ref_model")
ROUNDS = 5

ON_VM = """
import gc, sys
import utime as time  # the built-in one: a simulated board may have a clock of its own
from agent.cognition.engine import Model
gc.collect()
before = gc.mem_alloc()
start = time.ticks_us()
model = Model(sys.argv[1])
load_us = time.ticks_diff(time.ticks_us(), start)
gc.collect()
heap = gc.mem_alloc() - before
best = None
n = int(sys.argv[2])
rounds = int(sys.argv[3])
for _ in range(rounds):
    start = time.ticks_us()
    for _ in range(n):
        model.invoke()
    us = time.ticks_diff(time.ticks_us(), start) / n
    best = us if best is None else min(best, us)
print(best, load_us, heap)
"""


def best_us(call: Callable[[], object], n: int) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(n):
            call()
        best = min(best, (time.perf_counter() - start) / n * 1e6)
    return best


def on_vm(vm: Vm, path: Path, n: int) -> tuple[float, float, int]:
    """(us per invoke, us to load, bytes of heap the loaded model and its operators' code take)."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bench.py"
        script.write_text(ON_VM)
        done = run(
            [*vm.argv, "-X", "heapsize=4M", str(script), str(path), str(n), str(ROUNDS)],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env={"MICROPYPATH": str(ROOT / "firmware")},
        )
    us, load_us, heap = done.stdout.split()
    return float(us), float(load_us), int(heap)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data/models"
    vm = ensure_vm(print)
    print(f"MicroPython {vm.version}, {vm.bits}-bit, {vm.source}")
    for name in MODELS:
        path = folder / f"{name}_int8.tflite"
        if not path.exists():
            print(f"{name}: {path} is not there")
            continue
        model = Model(str(path))
        products = count_macs(path.read_bytes())
        n = max(3, 200_000 // products)
        vm_us, load_us, heap = on_vm(vm, path, n)
        here_us = best_us(model.invoke, n)
        print(f"{name}: {products} MAC, {model.len} B file, {model.ram} B arena")
        print(f"  VM       {vm_us:10.1f} us/invoke  {vm_us * 1000 / products:7.1f} ns/MAC", end="")
        print(f"  load {load_us / 1000:.1f} ms  heap {heap} B")
        print(f"  CPython  {here_us:10.1f} us/invoke  VM takes {vm_us / here_us:.2f} times that")
        if not reference.reference_available():
            print("  TFLite-Micro is not installed here: not measured")
            continue
        tflm = reference.Reference(path.read_bytes(), len(model.inputs), len(model.outputs))
        tflm.run([list(view) for view in model.inputs])
        tflm_us = best_us(tflm._interpreter.invoke, max(n, 50))
        print(f"  TFLM C++ {tflm_us:10.1f} us/invoke  VM takes {vm_us / tflm_us:.0f} times that")


if __name__ == "__main__":
    main()
