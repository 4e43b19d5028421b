"""Prints the tables of this package: `python -m benchmarks.engine`."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from agent.cognition.engine import Model, ModelError
from benchmarks import chip
from benchmarks.engine import MODELS, ROOT, cases, chips, emlearn, native, vm
from host.simulation.vm import Vm, ensure_vm

# For `predict`, of the models that take one number.
NUMBERS = {"hello_world": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(prog="invoke bench", description="What the engine costs.")
    parser.add_argument(
        "--models", type=Path, default=ROOT.parent / "shared/data/models", help="*_int8.tflite"
    )
    parser.add_argument(
        "--only", default="", help="operators with this in their name, '-' for none"
    )
    given = parser.parse_args()
    names = [name for name in cases.CASES if given.only in name]
    if find_spec("tensorflow") is None:
        print("single operators need the tensorflow package (schema classes): left out")
        names = []
    made = [cases.made(name) for name in names]
    machine = ensure_vm(print)
    print(f"MicroPython {machine.version}, {machine.bits}-bit, {machine.source}\n")
    models = {name: given.models / f"{name}_int8.tflite" for name in MODELS}
    for name, path in list(models.items()):
        if not path.exists():
            print(f"{name}: {path} is not there")
            del models[name]
    whole(machine, models)
    single(machine, made)
    if chip.available():
        on_chips(models, made)
        beside_emlearn()
    else:
        print(f"no emulated chip, and no emlearn on one: {chip.VARIABLE} is not set")


def whole(machine: Vm, models: dict[str, Path]) -> None:
    """Models on this machine, and the instructions of their native kernels."""
    for name, path in models.items():
        data = path.read_bytes()
        times = {kernels: vm.timed(machine, {name: data}, kernels) for kernels in vm.SETS}
        model = Model(data)
        print(f"{name}: {model.len} B file, {model.ram} B arena")
        reference = vm.reference_us(data)
        rows = [(f"VM, {kernels}", times[kernels][name].invoke_us) for kernels in vm.SETS]
        for label, us in [*rows, ("CPython", vm.here_us(data))]:
            beside = f"{us / reference:8.0f} times TFLite-Micro" if reference else ""
            print(f"  {label:13} {us:10.1f} us/invoke {beside}")
        if reference is None:
            print("  TFLite-Micro is not installed here: not measured")
        else:
            print(f"  {'TFLite-Micro':13} {reference:10.1f} us/invoke, in C++")
        for kernels in vm.SETS:
            one = times[kernels][name]
            print(
                f"  load, {kernels:8} {one.load_us / 1000:8.1f} ms, {one.heap} B of heap, with the"
                " operators' code"
            )
        for kernels in native.SETS:
            for kind, sums in native.counted(machine, path, kernels).items():
                print(
                    f"  {kernels:8} {kind:20} x{sums.count:<3} {sums.macs:8} steps"
                    f" {sums.instructions / sums.macs:6.2f} instructions each, assembled,"
                    " without the call from Python"
                )


def single(machine: Vm, made: list[cases.Case]) -> None:
    """Operators on this machine, beside TFLite-Micro."""
    if not made:
        return
    files = {case.name: case.model for case in made}
    times = {kernels: vm.timed(machine, files, kernels) for kernels in vm.SETS}
    heads = [f"{kernels + ', ns':>14} {'ratio':>6}" for kernels in vm.SETS]
    print("\nper step (MAC or item), on the VM; ratio: to TFLite-Micro's C++ with its call")
    print(f"{'':44} {'steps':>6} " + " ".join(heads))
    for case in made:
        reference = vm.reference_us(case.model)
        line = f"{case.name:44} {case.steps:6} "
        for kernels in vm.SETS:
            us = times[kernels][case.name].invoke_us
            ratio = f"{us / reference:6.0f}" if reference else f"{'':>6}"
            line += f"{us * 1000 / case.steps:14.1f} {ratio} "
        print(line)


def on_chips(models: dict[str, Path], made: list[cases.Case]) -> None:
    """Instructions on emulated chips, each line as it is known: this takes its time."""
    print("\nemulated chips, instructions, everything from the call on included")
    for name in chips.SETS:
        for model, path in models.items():
            try:
                counts = chips.model(name, path, Model(str(path)).ops, NUMBERS.get(model))
                told = ", ".join(f"{what} {count:,.0f}" for what, count in counts.items())
            except RuntimeError as error:
                told = f"not counted ({_last(error)})"
            print(f"{name:8} {model}: {told}", flush=True)
        print(f"{name:8} {'per step':44} " + " ".join(f"{s:>9}" for s in chips.SETS[name]))
        for case in made:
            try:
                counted = chips.operators(name, case)
                told = " ".join(f"{one.instructions / case.steps:9.2f}" for one in counted)
            except RuntimeError as error:
                told = f"not counted ({_last(error)})"
            print(f"{name:8} {case.name:44} {told}", flush=True)


def beside_emlearn() -> None:
    for name in ("esp32", "esp32c3"):
        try:
            one = emlearn.compared(name, emlearn.folder())
        except (emlearn.Missing, ModelError, RuntimeError) as error:
            print(f"emlearn on {name}: not counted ({_last(error)})")
            continue
        print(
            f"{emlearn.NETWORK} on {name}, instructions: emlearn {one.emlearn:,.0f}, engine"
            f" ({one.kernels}) {one.engine:,.0f}; they see {one.classes[0]} and {one.classes[1]}"
        )


def _last(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


if __name__ == "__main__":
    main()
