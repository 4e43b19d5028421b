"""Native kernels on plans of mutated models: none may touch memory outside the plan's.

    python -m tests.engine.hostile_plans --count 20000 --seed 1

Mutated models (tests.engine.fuzz) that load are planned on the VM; every plan is run one
instruction at a time on nothing but the memory it refers to, and has to give the portable result.
"""

from __future__ import annotations

import argparse
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import assembled
from host.devices.assembler.machine import Fault
from tests.engine import convolution_cases, fuzz
from tests.engine.conftest import FIRMWARE
from tests.engine.tflite_builder import Builder, random_model

SCRIPT = Path(__file__).with_name("on_vm_kernels.py")
SETS = ("esp32", "esp32s2", "rv32")
BATCH = 500


def seeds() -> list[bytes]:
    """Valid models of operators with native kernels."""
    cases = (
        convolution_cases.convolution,
        convolution_cases.grouped_convolution,
        convolution_cases.depthwise,
        convolution_cases.depthwise,
    )
    result = [random_model(seed)[0] for seed in range(4)]
    for seed in range(3):
        for case in cases:
            b = Builder()
            result.append(b.build(*case(b, random.Random(f"{case.__name__}{seed}"))))
    return result


def batch(first: int, count: int, seed: int, models: list[bytes]) -> list[tuple[int, bytes]]:
    return [(n, fuzz.mutated(n, seed, models)) for n in range(first, first + count)]


def plans(argv: list[str], files: list[tuple[int, bytes]]) -> list[str]:
    """What the VM prints of a batch."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "files"
        path.write_bytes(b"".join(struct.pack("<II", n, len(data)) + data for n, data in files))
        done = subprocess.run(
            [*argv, "-X", "heapsize=8M", str(SCRIPT), "hostile", str(path)],
            capture_output=True,
            text=True,
            timeout=600,
            env={**os.environ, "MICROPYPATH": str(FIRMWARE)},
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout.splitlines()


def checked(argv: list[str], files: list[tuple[int, bytes]]) -> tuple[int, list[str]]:
    """(layers run, those that left their memory or gave something else)."""
    lines = plans(argv, files)
    layers, wrong = 0, []
    for name in SETS:
        ran = assembled.ran(lines, name)
        try:
            for layer in ran:
                layers += 1
                if not layer.equal:
                    wrong.append(f"{name} {layer.name}")
        except Fault as fault:
            wrong.append(f"{name}, after {layers} layers: {fault}")
    return layers, wrong


def main() -> int:
    from host.simulation.vm import ensure_vm

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    arguments = parser.parse_args()
    argv, models = list(ensure_vm().argv), seeds()
    layers, wrong = 0, []
    for first in range(arguments.first, arguments.first + arguments.count, BATCH):
        some, bad = checked(argv, batch(first, BATCH, arguments.seed, models))
        layers += some
        wrong += bad
        for each in bad:
            print(f"files from {first} on: {each}", flush=True)
    print(f"{arguments.count} files, {layers} runs of plans, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
