"""What the engine takes of a board's heap, and that models are used where they lie."""

import pytest

from host.simulation.filesystem import build_flash
from tests.engine.conftest import FIRMWARE, model_path

pytestmark = pytest.mark.vm

# Of the engine itself, with the loader still there: less the model's file and arena.
HEAP_BYTES = 25 * 1024
HEAP_BYTES_AFTER_FORGET = 13 * 1024

HEAP = """
import gc, sys
import agent.cognition
gc.collect()
before = gc.mem_alloc()
from agent.cognition.engine import Model, forget_loader
model = Model(sys.argv[1] + "/m.tflite")
gc.collect()
print(gc.mem_alloc() - before - model.len - model.ram)
forget_loader()
gc.collect()
print(gc.mem_alloc() - before - model.len - model.ram)
"""


def test_heap_of_engine_and_loader(tmp_path, run_on_vm, vm):
    """Merged and shrunk as a board gets it, with hello_world loaded."""
    if vm.bits != 32:
        pytest.skip("objects of a 64-bit VM are larger than a board's")
    build_flash(tmp_path, FIRMWARE, kept=("Model", "forget_loader", "len", "ram"))
    (tmp_path / "m.tflite").write_bytes(model_path("hello_world").read_bytes())
    script = tmp_path / "heap.py"
    script.write_text(HEAP)
    with_loader, without = map(int, run_on_vm(script, tmp_path, path=tmp_path))
    assert with_loader <= HEAP_BYTES, without
    assert without <= HEAP_BYTES_AFTER_FORGET


IN_PLACE = """
import gc, sys
from agent.cognition.engine import Model
def run(name, source, *arguments):
    gc.collect()
    before = gc.mem_alloc()
    model = Model(source, *arguments)
    gc.collect()
    taken = gc.mem_alloc() - before
    for i in range(len(model.inputs[0])):
        model.inputs[0][i] = (i * 37 & 255) - 128
    model.invoke()
    print(name, taken, sum(int(v) * (i + 1) for i, v in enumerate(model.outputs[0])))
    return model
with open(sys.argv[1] + "/m.tflite", "rb") as file:
    data = file.read()
run("first", data)
run("bytes", data)
run("view", memoryview(data))
for offset in (1, 2, 3, 4):
    run("offset", memoryview(bytes(offset) + data)[offset:])
try:
    from vfs import VfsRom, mount
except ImportError:
    VfsRom = None
if VfsRom:
    with open(sys.argv[1] + "/rom", "rb") as file:
        rom = file.read()
    mount(VfsRom(memoryview(rom)), "/rom")
    run("rom", "/rom/m.tflite")
run("copy", sys.argv[1] + "/m.tflite")
"""


def test_models_are_used_where_they_lie(tmp_path, run_on_vm):
    """Read-only memory, views at any offset, a file of a mapped file system."""
    from mpremote.romfs import VfsRomWriter

    data = model_path("ad01").read_bytes()
    (tmp_path / "m.tflite").write_bytes(data)
    writer = VfsRomWriter()
    writer.mkfile("m.tflite", data)
    (tmp_path / "rom").write_bytes(writer.finalise())
    script = tmp_path / "in_place.py"
    script.write_text(IN_PLACE)
    lines = [line.split() for line in run_on_vm(script, tmp_path)]
    assert len({result for _, _, result in lines}) == 1
    taken = {name: int(number) for name, number, _ in lines}
    assert {"bytes", "view", "offset", "copy"} <= taken.keys()
    assert taken.pop("first") < len(data) / 2  # with the engine's own code
    assert taken.pop("copy") > len(data)
    assert max(taken.values()) < len(data) / 8
