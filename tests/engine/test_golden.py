"""Recorded models against recorded outputs of TFLite-Micro, operator by operator."""

import re
import zlib

import numpy as np
import pytest

from agent.cognition.engine import Model
from agent.cognition.engine.views import as_bytes
from host.simulation.filesystem import build_flash
from tests.engine.conftest import FIRMWARE, VM_SCRIPT, model_path
from tests.engine.tflite_builder import exposed

NAMES = ("hello_world", "ad01", "kws_ref_model")


def vectors(name: str):
    """(inputs, outputs, CRC-32 of every operator's output) over all recorded sets."""
    data = np.load(model_path(name).with_suffix(".npz"))
    sets = [key[: -len("_in0")] for key in data.files if key.endswith("_in0")]
    return [
        np.concatenate([data[s + suffix] for s in sets if s + "_opcrc" in data.files])
        for suffix in ("_in0", "_out0", "_opcrc")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_operator_as_recorded(name):
    model = Model(exposed(model_path(name).read_bytes()))
    inputs, _, checksums = vectors(name)
    assert len(inputs) >= 19
    for x, wanted in zip(inputs, checksums, strict=True):
        as_bytes(model.inputs[0])[:] = x.tobytes()
        model.invoke()
        assert [zlib.crc32(bytes(as_bytes(y))) for y in model.outputs] == list(wanted)


@pytest.mark.parametrize("name", NAMES)
def test_as_recorded(name):
    """In the arena as it is planned for use, where tensors share memory."""
    model = Model(str(model_path(name)))
    inputs, outputs, _ = vectors(name)
    for x, y in zip(inputs, outputs, strict=True):
        as_bytes(model.inputs[0])[:] = x.tobytes()
        model.invoke()
        assert bytes(as_bytes(model.outputs[0])) == y.tobytes()


def test_logits_as_recorded():
    """A soft-max may saturate; what enters it does not."""
    data = np.load(model_path("kws_ref_model").with_suffix(".npz"))
    model = Model(exposed(model_path("kws_ref_model").read_bytes()))
    assert model.ops[-1] == "SOFTMAX"
    for kind in ("rand", "smooth", "edge"):
        for x, logits in zip(data[f"{kind}_in0"], data[f"{kind}_logits"], strict=True):
            as_bytes(model.inputs[0])[:] = x.tobytes()
            model.invoke()
            assert bytes(as_bytes(model.outputs[-2])) == logits.tobytes()


def test_inputs_survive_invoke_when_kept():
    """Shapley values change one feature at a time and rely on it."""
    model = Model(str(model_path("ad01")), keep_inputs=True)
    row = bytes(range(256)) * 2 + bytes(128)
    as_bytes(model.inputs[0])[:] = row
    model.invoke()
    first = bytes(as_bytes(model.outputs[0]))
    assert bytes(as_bytes(model.inputs[0])) == row
    model.invoke()
    assert bytes(as_bytes(model.outputs[0])) == first


def test_description():
    model = Model(str(model_path("hello_world")))
    assert (model.ops, model.ram) == (["FULLY_CONNECTED"] * 3, 32)
    assert (model.input_shape, model.output_shape) == ([(1, 1)], [(1, 1)])
    assert (model.input_dtype, model.output_dtype) == (["b"], ["b"])
    assert (model.input_zero_point, model.output_zero_point) == ([-128], [5])
    assert model.input_scale == [pytest.approx(6.24 / 255, rel=1e-2)]


@pytest.mark.vm
@pytest.mark.parametrize("name", NAMES)
def test_as_recorded_on_the_vm(name, tmp_path, run_on_vm):
    inputs, outputs, checksums = vectors(name)
    original = model_path(name).read_bytes()
    for file, data in ((name, original), ("every_operator", exposed(original))):
        (tmp_path / f"{file}.tflite").write_bytes(data)
        (tmp_path / f"{file}.in").write_bytes(inputs.tobytes())
    lines = [line.split(" ") for line in run_on_vm(VM_SCRIPT, tmp_path)]
    assert [line[2] for line in lines if line[0] == "allocated"] == ["0", "0"]
    got = [bytes.fromhex(line[3]) for line in lines if line[:2] == ["out", name]]
    assert got == [y.tobytes() for y in outputs]
    every = [
        zlib.crc32(bytes.fromhex(line[3]))
        for line in lines
        if line[:2] == ["out", "every_operator"]
    ]
    assert every == checksums.ravel().tolist()


FITS = """
import sys
from agent.cognition.engine import Model
model = Model(sys.argv[1] + "/m.tflite")
for x in range(-128, 128):
    model.inputs[0][0] = x
    model.invoke()
    print(model.outputs[0][0])
"""


@pytest.mark.vm
def test_fits_beside_the_agent(tmp_path, run_on_vm, vm):
    """Engine and a small model, merged and shrunk as a board gets them, leave most of 110 KB."""
    build_flash(tmp_path, FIRMWARE, kept=tuple(re.findall(r"\w+", FITS)))
    (tmp_path / "m.tflite").write_bytes(model_path("hello_world").read_bytes())
    script = tmp_path / "fits.py"
    script.write_text(FITS)
    # 64-bit objects take about twice the bytes.
    heap = "52K" if vm.bits == 32 else "104K"
    lines = run_on_vm(script, tmp_path, heap=heap, path=tmp_path)
    here = Model(model_path("hello_world").read_bytes())
    for x, line in zip(range(-128, 128), lines, strict=True):
        here.inputs[0][0] = x
        here.invoke()
        assert int(line) == here.outputs[0][0]


FORGET = """
import gc, sys
from agent.cognition.engine import Model, forget_loader
model = Model(sys.argv[1] + "/m.tflite")
first = model.predict([b"\\x05"])[0][0]
gc.collect()
before = gc.mem_alloc()
forget_loader()
gc.collect()
print(before - gc.mem_alloc())
again = Model(sys.argv[1] + "/m.tflite").predict([b"\\x05"])[0][0]
print(model.predict([b"\\x05"])[0][0] == first, again == first)
"""


@pytest.mark.vm
def test_forget_loader_frees_what_only_loading_needs(tmp_path, run_on_vm):
    (tmp_path / "m.tflite").write_bytes(model_path("hello_world").read_bytes())
    script = tmp_path / "forget.py"
    script.write_text(FORGET)
    freed, same = run_on_vm(script, tmp_path)
    assert int(freed) > 8000
    assert same == "True True"
