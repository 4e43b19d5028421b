"""The MicroPython VM that simulated boards run on."""

from host.simulation.vm.model import Vm, describe
from host.simulation.vm.provision import ensure_vm

__all__ = ["Vm", "describe", "ensure_vm"]
