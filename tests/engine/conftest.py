"""Where the golden vectors are, and how cases are run on the MicroPython VM."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from host import reference

ROOT = Path(__file__).parents[2]
MODELS = Path(os.environ.get("FANWISE_DATA", ROOT.parent / "shared" / "data")) / "models"
FIRMWARE = ROOT / "firmware"
VM_SCRIPT = Path(__file__).with_name("on_vm.py")


def model_path(name: str) -> Path:
    path = MODELS / f"{name}_int8.tflite"
    if not path.exists():
        pytest.skip(f"recorded model {path.name} is not in the data folder")
    return path


def input_bytes(dtype: str, count: int, rows: int, rng) -> bytes:
    """Random raw rows for one input; int8 starts with the ends of the range, floats stay finite."""
    import numpy as np

    if dtype == "f":
        return np.float32(rng.normal(0, 2, (rows, count))).tobytes()
    data = rng.integers(-128, 128, (rows, count)).astype(np.int8)
    data[0], data[1] = -128, 127
    return data.tobytes()


@pytest.fixture
def arena_of(capfd):
    """arena_of(model) -> (head, total) of TFLite-Micro's arena in bytes."""
    from tflite_micro import runtime

    def measure(model: bytes) -> tuple[int, int]:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=reference.ARENA_BYTES)
        capfd.readouterr()
        interpreter.print_allocations()
        printed = "".join(capfd.readouterr())
        found = dict(re.findall(r"Arena allocation (head|total) (\d+) bytes", printed))
        return int(found["head"]), int(found["total"])

    return measure


@pytest.fixture(scope="session")
def vm():
    simulation = pytest.importorskip("host.simulation.vm")
    try:
        return simulation.ensure_vm()
    except Exception as error:
        if type(error).__name__ != "VmError":
            raise
        pytest.skip(f"no MicroPython VM: {error}")


@pytest.fixture(scope="session")
def run_on_vm(vm):
    """run_on_vm(script, *arguments, heap="4M") -> lines printed."""

    def run(script, *arguments, heap="4M", path=FIRMWARE) -> list[str]:
        command = [*vm.argv, "-X", f"heapsize={heap}", str(script), *map(str, arguments)]
        environment = {**os.environ, "MICROPYPATH": str(path)}
        # A file: the VM loses what a full pipe takes in part, as when it is stopped and goes on.
        with tempfile.TemporaryFile("w+") as stdout:
            done = subprocess.run(
                command,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                timeout=240,
                env=environment,
            )
            stdout.seek(0)
            said = stdout.read()
        assert done.returncode == 0, said[-2000:] + done.stderr[-4000:]
        return said.splitlines()

    return run
