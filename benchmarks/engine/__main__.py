"""Prints the tables of this package: `python -m benchmarks.engine`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from agent.cognition.engine import Model
from benchmarks import chip
from benchmarks.engine import MODELS, ROOT, cases, chips, emlearn, native, on_chips, vm
from host.simulation.vm import Vm, ensure_vm


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all was measured, or what was not is left out for want of a package, model or emulator;
    1: something failed; 130: Ctrl-C.
    """
    try:
        return _main(arguments)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _main(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="invoke bench", description="What the engine costs.")
    data = Path(os.environ.get("FANWISE_DATA", ROOT.parent / "shared/data"))
    parser.add_argument("--models", type=Path, default=data / "models", help="*_int8.tflite")
    parser.add_argument(
        "--only", default="", help="operators with this in their name, '-' for none"
    )
    parser.add_argument(
        "--chip", default="", choices=["", *chips.SETS], help="this emulated chip, and nothing else"
    )
    parser.add_argument(
        "--timeout", type=float, default=chip.TIMEOUT_S, help="seconds an emulator has for one case"
    )
    parser.add_argument("--record", type=Path, help="write the models' counts there, as JSON")
    given = parser.parse_args(arguments)
    models = {name: given.models / f"{name}_int8.tflite" for name in MODELS}
    for name, path in list(models.items()):
        if not path.exists():
            print(f"{name}: left out, {path} is not there (--models FOLDER)")
            del models[name]
    names = [name for name in cases.CASES if given.only in name and given.only != "-"]
    if names and find_spec("tensorflow") is None:
        print("single operators: left out, they need the tensorflow package (schema classes)")
        names = []
    made = [cases.made(name) for name in names]
    if not given.chip:
        machine = ensure_vm(print)
        print(f"MicroPython {machine.version}, {machine.bits}-bit, {machine.source}\n")
        whole(machine, models)
        single(machine, made)
    return _on_chips(models, made, given)


def _on_chips(models: dict[str, Path], made: list[cases.Case], given: argparse.Namespace) -> int:
    if not chip.available():
        print(
            f"\nemulated chips, and emlearn on them: left out, as {chip.VARIABLE} is not set. It"
            " names a command that runs stock MicroPython on an emulated chip (benchmarks/chip.py)"
        )
        return 1 if given.chip else 0
    print("\nemulated chips, instructions (not cycles), everything from the call on included")
    if not emlearn.available():
        print(f"emlearn: left out; {emlearn.VARIABLE}=FOLDER {emlearn.FOLDER}")
    try:
        found = on_chips.counted(models, made, given.timeout, given.chip)
    except chip.EmulatorMissingError as error:
        print(error, file=sys.stderr)
        return 1
    if given.record:
        given.record.write_text(json.dumps(found.counts, indent=1) + "\n")
    if found.failed:
        print(f"{len(found.failed)} of {found.done + len(found.failed)} failed:", file=sys.stderr)
        print("\n".join(f"  {line}" for line in found.failed), file=sys.stderr)
    return 1 if found.failed else 0


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


if __name__ == "__main__":
    sys.exit(main())
