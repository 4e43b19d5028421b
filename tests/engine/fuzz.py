"""Mutates valid .tflite files: each must give a ModelError or a model that runs.

    python -m tests.engine.fuzz --count 10000 --seed 1 [--vm]

Anything else (another exception, a read outside the file, more than a few seconds) is printed with
the file's number and saved. A file's number and the seed give its bytes again. With --vm the files
are run by the MicroPython VM, where weights are read through raw addresses.
"""

import argparse
import collections
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.cognition.engine import Model, ModelError, views
from tests.engine.conftest import FIRMWARE, MODELS
from tests.engine.families import FAMILIES
from tests.engine.restate import restated
from tests.engine.tflite_builder import Builder, random_model

ARENA_BYTES = 16384
SHARE_RESTATED = 0.1
SECONDS_PER_FILE = 5.0
VM_BATCH = 1000
VM_SCRIPT = Path(__file__).with_name("fuzz_on_vm.py")
WORDS = (0, 1, 2, 4, 8, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
FLOATS = (0x7F800000, 0x7FC00000, 0x00000001, 0x7F7FFFFF, 0x3F800000, 0x33800000, 0xBF800000)


def seeds() -> list[bytes]:
    """Valid models: every operator alone, every family in one, dense networks, recorded ones."""
    result = []
    for family in FAMILIES:
        for names in [*([name] for name in family), list(family)]:
            b = Builder()
            made = [family[name](b, random.Random(name)) for name in names]
            result.append(
                b.build(
                    [t for some, _ in made for t in some], [t for _, some in made for t in some]
                )
            )
    result += [random_model(seed)[0] for seed in range(4)]
    path = MODELS / "hello_world_int8.tflite"
    if path.exists():
        result.append(path.read_bytes())
    return result


def _position(data: bytearray, rng: random.Random, size: int, step: int) -> int:
    return rng.randrange(0, max(1, len(data) - size)) // step * step


def _byte(data, rng, others):
    data[_position(data, rng, 1, 1)] = rng.choice((0, 1, 2, 9, 127, 128, 255, rng.randrange(256)))


def _bit(data, rng, others):
    data[_position(data, rng, 1, 1)] ^= 1 << rng.randrange(8)


def _half(data, rng, others):
    """Field offsets and sizes of vtables are 16 bits."""
    position = _position(data, rng, 2, 2)
    data[position : position + 2] = struct.pack(
        "<H", rng.choice((0, 2, 4, 6, 8, 16, 0x7FFE, 0xFFFF))
    )


def _word(data, rng, others):
    position = _position(data, rng, 4, 4)
    value = rng.choice((*WORDS, *FLOATS, len(data), len(data) - position, rng.randrange(1 << 32)))
    data[position : position + 4] = struct.pack("<I", value & 0xFFFFFFFF)


def _nudge(data, rng, others):
    """Numbers just beside the right ones: lengths, indices, dimensions, types."""
    position = _position(data, rng, 4, 4)
    (value,) = struct.unpack_from("<I", data, position)
    value = rng.choice((value + 1, value - 1, value * 2, value // 2, value + 4, -value))
    data[position : position + 4] = struct.pack("<I", value & 0xFFFFFFFF)


def _offsets(data: bytearray) -> list[int]:
    """Where something lies that may be an offset: a word that points into the file."""
    words = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
    return [4 * i for i, word in enumerate(words) if 4 <= word < len(data) - 4 * i]


def _redirect(data, rng, others):
    """An offset leads where another one leads, backwards too: cycles, and tables as vectors."""
    offsets = _offsets(data)
    if len(offsets) > 1:
        a, b = rng.sample(offsets, 2)
        (far,) = struct.unpack_from("<I", data, b)
        data[a : a + 4] = struct.pack("<I", (b + far - a) & 0xFFFFFFFF)


def _vtable(data, rng, others):
    """A table's signed offset to its vtable leads elsewhere."""
    offsets = _offsets(data)
    if offsets:
        a = rng.choice(offsets)
        (far,) = struct.unpack_from("<I", data, a)
        table = a + far
        if table + 4 <= len(data):
            value = rng.choice((0, 4, table, table - len(data), table - rng.randrange(len(data))))
            data[table : table + 4] = struct.pack("<i", value)


def _run(data, rng, others):
    size = rng.randint(1, 24)
    position = _position(data, rng, size, 1)
    data[position : position + size] = bytes([rng.choice((0, 255, 128))]) * size


def _swap(data, rng, others):
    a, b = (_position(data, rng, 4, 4) for _ in range(2))
    data[a : a + 4], data[b : b + 4] = data[b : b + 4], data[a : a + 4]


def _truncate(data, rng, others):
    del data[rng.randrange(len(data)) :]


def _remove(data, rng, others):
    position = _position(data, rng, 8, 4)
    del data[position : position + rng.choice((1, 2, 4, 8, 64))]


def _insert(data, rng, others):
    position = _position(data, rng, 4, 4)
    data[position:position] = rng.choice((bytes(4), b"\xff" * 4, bytes(64)))


def _splice(data, rng, others):
    """A stretch of another model, over this one's or in its place."""
    other = rng.choice(others)
    start = rng.randrange(len(other))
    piece = other[start : start + rng.choice((4, 8, 16, 64, 256, 4096))]
    position = _position(data, rng, 4, 4)
    data[position : position + len(piece)] = piece


def _halves(data, rng, others):
    other = rng.choice(others)
    cut = _position(data, rng, 4, 4)
    data[cut:] = other[cut if rng.random() < 0.7 else rng.randrange(len(other)) :]


MUTATIONS: tuple[tuple[Callable[..., None], int], ...] = (
    (_byte, 6), (_bit, 6), (_half, 5), (_word, 8), (_nudge, 8), (_redirect, 5), (_vtable, 3),
    (_run, 2), (_swap, 3), (_truncate, 1), (_remove, 1), (_insert, 1), (_splice, 3), (_halves, 1),
)  # fmt: skip
_CHOICES = [mutation for mutation, weight in MUTATIONS for _ in range(weight)]


def mutated(number: int, seed: int, models: list[bytes]) -> bytes:
    rng = random.Random(f"{seed}/{number}")
    if rng.random() < SHARE_RESTATED:
        return restated(rng.choice(models), rng)
    data = bytearray(rng.choice(models))
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        if len(data) > 8:
            rng.choice(_CHOICES)(data, rng, models)
    return bytes(data)


class StrictView:
    """A view of constants that refuses what a memoryview would take for an index from its end.

    On the board such an index would be a read before the tensor.
    """

    kind = "b"

    def __init__(self, data, offset, length):
        end = offset + length * struct.calcsize(self.kind)
        if offset < 0 or end > len(data):
            raise IndexError(f"view of {length} items at {offset} of {len(data)} bytes")
        self._view = memoryview(data)[offset:end].cast(self.kind)

    def __len__(self):
        return len(self._view)

    def __getitem__(self, index):
        if not isinstance(index, slice) and index < 0:
            raise IndexError(f"index {index} of a constant tensor")
        return self._view[index]


class StrictInt32s(StrictView):
    kind = "i"


def strict_views(replace: Callable = setattr) -> None:
    """Puts strict views in place of as_int8 and as_int32 everywhere."""
    strict = {"as_int8": StrictView, "as_int32": StrictInt32s}
    originals = {name: getattr(views, name) for name in strict}
    for name, module in list(sys.modules.items()):
        for function, view in strict.items():
            if name.startswith("agent.cognition.engine") and (
                getattr(module, function, None) is originals[function]
            ):
                replace(module, function, view)


def outcome(data: bytes) -> str:
    """What became of one file; raises whatever should not have happened."""
    start = time.thread_time()
    try:
        model = Model(data, max_arena_bytes=ARENA_BYTES)
    except ModelError as error:
        result = type(error).__name__
    else:
        model.invoke()
        model.reset()
        model.invoke()
        result = "ran"
    seconds = time.thread_time() - start
    if seconds > SECONDS_PER_FILE:
        raise TimeoutError(f"{seconds:.1f} s")
    return result


def batches(count: int, seed: int, models: list[bytes]) -> Iterator[list[tuple[int, bytes]]]:
    for first in range(0, count, VM_BATCH):
        yield [(n, mutated(n, seed, models)) for n in range(first, min(first + VM_BATCH, count))]


def run_on_vm(argv: list[str], files: list[tuple[int, bytes]]) -> collections.Counter[str]:
    """One VM process over a batch of files. A line per file that misbehaves, and the totals."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "files"
        path.write_bytes(b"".join(struct.pack("<II", n, len(data)) + data for n, data in files))
        done = subprocess.run(
            [*argv, "-X", "heapsize=4M", str(VM_SCRIPT), str(path), str(ARENA_BYTES)],
            capture_output=True,
            text=True,
            timeout=240 + SECONDS_PER_FILE * len(files) / 20,
            env={**os.environ, "MICROPYPATH": str(FIRMWARE)},
        )
    totals: collections.Counter[str] = collections.Counter()
    for line in done.stdout.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "total":
            name, number = rest.split()
            totals[name] += int(number)
        else:
            totals["escaped"] += 1
            print(line)
    if done.returncode or sum(totals.values()) < len(files):
        totals["escaped"] += 1
        print(f"the VM ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-2000:]}")
    return totals


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vm", action="store_true")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this long")
    parser.add_argument("--save", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    models = seeds()
    totals: collections.Counter[str] = collections.Counter()
    start = time.monotonic()
    if arguments.vm:
        from host.simulation.vm import ensure_vm

        argv = list(ensure_vm().argv)
        for files in batches(arguments.count, arguments.seed, models):
            totals += run_on_vm(argv, files)
            if time.monotonic() - start > arguments.seconds:
                break
    else:
        for data in models:  # so that every kernel is imported
            outcome(data)
        strict_views()
        for number in range(arguments.first, arguments.first + arguments.count):
            data = mutated(number, arguments.seed, models)
            try:
                totals[outcome(data)] += 1
            except Exception as error:
                totals["escaped"] += 1
                path = arguments.save / f"fuzz_{arguments.seed}_{number}.tflite"
                path.write_bytes(data)
                where = traceback.extract_tb(error.__traceback__)[-1]
                print(f"{path}: {type(error).__name__}: {error} ({where.filename}:{where.lineno})")
            if time.monotonic() - start > arguments.seconds:
                break
    print(f"{sum(totals.values())} files in {time.monotonic() - start:.0f} s: {dict(totals)}")
    return 1 if totals["escaped"] else 0


if __name__ == "__main__":
    sys.exit(main())
