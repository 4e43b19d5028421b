"""Instructions of the native kernels, run one at a time on the plans the VM makes of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks import assembled
from benchmarks.engine import ROOT
from benchmarks.engine.vm import printed
from host.simulation.vm import Vm

SETS = ("esp32", "esp32s2", "rv32")
PLANS = ROOT / "tests/engine/on_vm_kernels.py"


class WrongResult(Exception):
    """A native kernel gave other bytes than the portable one."""


@dataclass
class Kind:
    """All operators of one kind in a model, without the calls from Python."""

    count: int = 0
    macs: int = 0
    instructions: int = 0


def counted(vm: Vm, path: Path, kernels: str) -> dict[str, Kind]:
    """Kind of operator -> what its kernels of a set take. Raises WrongResult."""
    kinds: dict[str, Kind] = {}
    for layer in assembled.ran(printed(vm, PLANS, "model", path), kernels):
        if not layer.equal:
            raise WrongResult(f"{path.name}, {layer.name}: {kernels} kernels differ")
        kind = kinds.setdefault(layer.name, Kind())
        kind.count += 1
        kind.macs += layer.macs
        kind.instructions += layer.instructions
    return kinds
