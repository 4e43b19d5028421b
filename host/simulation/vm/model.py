"""What a VM is, and how one is asked what it can do."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from host.simulation.errors import VmError

OLDEST = (1, 24)
PROBE_TIMEOUT_S = 60

_PROBE = """
import sys, json
try:
    bytearray(200000)
    enforced = False
except MemoryError:
    enforced = True
try:
    import _device
    device = True
except ImportError:
    device = False
bits = 32 if sys.maxsize == 0x7fffffff else 64
i = sys.implementation
json.dump([list(i.version)[:3], bits, enforced, device], sys.stdout)
"""


@dataclass(frozen=True)
class Vm:
    """A MicroPython interpreter for simulated boards.

    `argv` starts it, `version` is like "1.26.1", `bits` the size of a word (a chip has 32).
    `raw_repl` says whether it has a device's REPL, which mpremote needs, and with it the frozen
    stand-ins; `heap_enforced` whether `-X heapsize=` is a real limit.
    """

    argv: tuple[str, ...]
    version: str
    bits: int
    source: str
    raw_repl: bool
    heap_enforced: bool
    note: str = ""

    @property
    def path(self) -> Path:
        """The interpreter's file."""
        return Path(self.argv[-1])


def probe(argv: tuple[str, ...], source: str, note: str = "") -> Vm:
    """Start the interpreter once and ask it. Raises VmError if it does not run or is too old."""
    command = [*argv, "-X", "heapsize=100K", "-c", _PROBE]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=PROBE_TIMEOUT_S, check=True, cwd="/"
        )
        version, bits, enforced, device = json.loads(done.stdout)
    except OSError as error:
        raise VmError(f"{argv[-1]} cannot be started: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise VmError(f"{argv[-1]} did not answer within {PROBE_TIMEOUT_S} s") from error
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise VmError(
            f"{argv[-1]} is not a usable MicroPython (exit {error.returncode}): {words[-1]}"
        ) from error
    except ValueError as error:
        raise VmError(f"{argv[-1]} does not answer like a MicroPython") from error
    text = ".".join(str(part) for part in version)
    if tuple(version[:2]) < OLDEST:
        wanted = ".".join(str(part) for part in OLDEST)
        raise VmError(f"{argv[-1]} is MicroPython {text}; boards need {wanted} or newer")
    if not device:
        extra = "no device REPL in this VM: boards run, but mpremote cannot attach to them"
        note = f"{note}; {extra}" if note else extra
    return Vm(tuple(argv), text, bits, source, device, enforced, note)


def describe(vm: Vm) -> list[str]:
    """Lines for people: which VM this is and what that means for memory figures."""
    lines = [f"MicroPython {vm.version}, {vm.bits}-bit, {vm.source}", f"  {' '.join(vm.argv)}"]
    if not vm.heap_enforced:
        lines.append("Memory: the heap size is not enforced; memory figures mean nothing here.")
    elif vm.bits == 32:
        lines.append(
            "Memory: objects have the size they have on a 32-bit chip and the heap is enforced, so"
            " free-heap figures and MemoryError carry over to an ESP32."
        )
    else:
        lines.append(
            "Memory: 64-bit objects take about twice the bytes they take on a chip; boards get"
            " twice the heap, so what fits here about fits there; byte figures do not carry over."
        )
    if vm.note:
        lines.append(f"Note: {vm.note}.")
    return lines
