"""What the engine costs, per kernel set and operator.

    python benchmarks/engine.py [folder of *_int8.tflite]

- Time of one invoke on the MicroPython VM (portable and viper kernels), on CPython, and of
  TFLite-Micro's C++. Best of several rounds, so that other work on the machine matters less. The VM
  runs on this machine's processor: ratios carry over to a board roughly, microseconds do not.
- Instructions of the native kernels, counted by running their assembled code one instruction at a
  time on the plans the VM makes of the models.
- Instructions on an emulated chip, everything included, where FANWISE_ESP32_EMULATOR names an
  emulator (benchmarks/chip.py). Instructions are not cycles.
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
from benchmarks import assembled, chip  # noqa: E402
from host import reference  # noqa: E402
from host.simulation.vm import Vm, ensure_vm  # noqa: E402

MODELS = ("hello_world", "ad01", "kws_ref_model")
NATIVE = ("esp32", "esp32s2", "rv32")
PLANS = ROOT / "tests/engine/on_vm_kernels.py"
ROUNDS = 5

ON_VM = """
import gc, sys
import utime as time  # the built-in one: a simulated board may have a clock of its own
from agent.cognition.engine import Model
from agent.cognition.engine.kernels import select
if select([sys.argv[4]]) != sys.argv[4]:
    raise SystemExit("no kernels " + sys.argv[4])
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


def on_vm(vm: Vm, script: str | Path, *arguments: object) -> list[str]:
    """What a script prints there, line by line."""
    with tempfile.TemporaryDirectory() as folder:
        if not isinstance(script, Path):
            path = Path(folder) / "bench.py"
            path.write_text(script)
            script = path
        done = run(
            [*vm.argv, "-X", "heapsize=4M", str(script), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
            env={"MICROPYPATH": str(ROOT / "firmware")},
        )
    return done.stdout.splitlines()


def table(vm: Vm, path: Path) -> int:
    """Prints instructions per kind of operator and native set; returns multiply-accumulates."""
    lines = on_vm(vm, PLANS, "model", path)
    total = 0
    for name in NATIVE:
        kinds: dict[str, list[int]] = {}
        for layer in assembled.ran(lines, name):
            if not layer.equal:
                raise SystemExit(f"{path.name}, {layer.name}: {name} kernels differ")
            sums = kinds.setdefault(layer.name, [0, 0, 0])
            for i, value in enumerate((1, layer.macs, layer.instructions)):
                sums[i] += value
        for kind, (count, macs, instructions) in kinds.items():
            print(
                f"  {name:8} {kind:15} x{count:<3} {macs:8} MAC {instructions:9} instructions"
                f"  {instructions / macs:6.2f}/MAC  assembled, without the call from Python"
            )
        total = max(total, sum(macs for kind, (_, macs, _) in kinds.items() if kind != "Lookup"))
    return total


SETUP = """
from agent.cognition.engine import Model
from agent.cognition.engine import kernels
from agent.cognition.engine.kernels import check, viper
def layer(units, depth, per_channel, program):
    file = check._File(units * depth + depth + units + 64, 1, 255)
    made = check.layer(file, units, depth, 1, per_channel, -10, 12, 255)
    return program([made], file.data)[0]
p = layer(128, 128, False, kernels.program)
q = layer(128, 128, True, kernels.program)
v = layer(128, 128, True, viper.program)
with open("FILE", "wb") as f:
    f.write(MODEL)
m = Model("FILE")
print(kernels.NAME, m.kernels)
"""


def on_chips(hello_world: Path) -> None:
    model = hello_world.read_bytes()
    setup = SETUP.replace("FILE", "/h.tflite").replace("MODEL", repr(model))
    for name in ("esp32", "esp32c3"):
        statements = ["p()", "q()", "v()", "m.invoke()", "m.predict([[1.0]])", "Model('/h.tflite')"]
        files = chip.engine_files(name, SETUP + " ".join(statements))
        answer = chip.run(name, files, setup, statements)
        tensor, channel, viper, invoke, predict, load = answer.counts
        macs = 128 * 128
        used = answer.output.split()[0]
        print(f"{name}, emulated, instructions, everything included; kernels {used}")
        print(f"  FULLY_CONNECTED 128 -> 128, one scale    {tensor / macs:6.2f}/MAC")
        print(f"  FULLY_CONNECTED 128 -> 128, per channel  {channel / macs:6.2f}/MAC")
        print(f"  the same by viper                        {viper / macs:6.2f}/MAC")
        print(f"  hello_world: invoke {invoke:.0f}, predict {predict:.0f}, load {load:.0f}")


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
        print(f"{name}: {model.len} B file, {model.ram} B arena")
        products = table(vm, path)
        n = max(3, 200_000 // products)
        here_us = best_us(model.invoke, n)
        for kernels in ("portable", "viper"):
            us, load_us, heap = map(float, on_vm(vm, ON_VM, path, n, ROUNDS, kernels)[-1].split())
            print(
                f"  VM, {kernels:9} {us:10.1f} us/invoke  {us * 1000 / products:7.1f} ns/MAC",
                end="",
            )
            print(f"  load {load_us / 1000:.1f} ms  heap {heap:.0f} B")
        print(f"  CPython       {here_us:10.1f} us/invoke")
        if not reference.reference_available():
            print("  TFLite-Micro is not installed here: not measured")
            continue
        tflm = reference.Reference(path.read_bytes(), len(model.inputs), len(model.outputs))
        tflm.run([list(view) for view in model.inputs])
        tflm_us = best_us(tflm._interpreter.invoke, max(n, 50))
        print(f"  TFLM C++      {tflm_us:10.1f} us/invoke")
    if chip.available():
        on_chips(folder / "hello_world_int8.tflite")
    else:
        print(f"no emulated chip: {chip.VARIABLE} is not set")


if __name__ == "__main__":
    main()
