"""Native kernels run instruction by instruction on plans that the VM printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from host.devices import build
from host.devices.assembler import Placed, listing, read
from host.devices.assembler.machine import Machine


@dataclass(frozen=True)
class Ran:
    """One operator: name, multiply-accumulates, instructions of its kernel, result as wanted."""

    name: str
    macs: int
    instructions: int
    equal: bool


def function(kernels: str) -> tuple[list[Placed], str]:
    """The code of a set, and the architecture it is for."""
    chip = next(chip for chip in build.CHIPS.values() if chip.kernels == kernels)
    text = read(build.NATIVE / f"{kernels}.s")
    return listing(text, chip.assembler)["run"], chip.assembler


def ran(lines: Iterable[str], kernels: str) -> Iterator[Ran]:
    """Runs every plan that tests/engine/on_vm_kernels.py printed. Faults where a kernel leaves the
    memory it was given.
    """
    code, architecture = function(kernels)
    machine = Machine(code, architecture)
    name, macs, instructions, fits = "", 0, 0, True
    strip = "4" if kernels == "esp32" else "3"
    shared: tuple[int, bytes] | None = None
    for line in lines:
        kind, *words = line.split()
        if kind == "file":
            shared = int(words[0]), bytes.fromhex(words[1])
        elif kind == "layer":
            name, macs = words[0], int(words[1])
            fits = words[2] in ("0", strip)
            machine = Machine(code, architecture)
            if shared:
                machine.memory.add(*shared)
        elif not fits:
            continue
        elif kind == "memory":
            machine.memory.add(int(words[0]), bytes.fromhex(words[1]))
        elif kind == "call":
            instructions = machine.run([int(words[0])])
        else:
            result = bytes.fromhex(words[1])
            equal = machine.memory.content(int(words[0]), len(result)) == result
            yield Ran(name, macs, instructions, equal)
