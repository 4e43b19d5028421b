"""What the benchmarks measure is what they say; nothing here is timed."""

import sys

import numpy as np
import pytest

from agent.cognition.engine import Model
from benchmarks import chip
from benchmarks.engine import cases, chips, emlearn, vm
from host import reference
from host.check_model import check_model
from host.simulation.vm import ensure_vm
from tests.engine.conftest import model_path

# Answers as an emulator would, after a look at what it is asked: a count is the statement's length.
EMULATOR = """
import base64, json, sys
asked = json.load(sys.stdin)
for path, data in asked["files"].items():
    base64.b64decode(data, validate=True)
compile(asked["setup"], "setup", "exec")
print(json.dumps({
    "output": OUTPUT,
    "counts": [len(statement) for statement in asked["count"]],
}))
"""


@pytest.fixture
def emulator(tmp_path, monkeypatch):
    """Stands in for the emulator: a program of the same contract that runs nothing."""

    def say(output):
        path = tmp_path / "emulator.py"
        path.write_text(EMULATOR.replace("OUTPUT", output))
        monkeypatch.setenv(chip.VARIABLE, f"{sys.executable} {path}")

    return say


@pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)
@pytest.mark.parametrize("name", cases.CASES)
def test_cases_are_sound_models_of_one_operator(name):
    case = cases.made(name)
    report = check_model(case.model)
    assert report.problems == []
    assert [layer.operator for layer in report.layers] == [case.operator]
    assert name.split(" ")[0] == case.operator
    assert (case.unit == "MAC") == (report.macs == case.steps)
    model = Model(case.model)
    rng = np.random.default_rng(1)
    dtype = model.input_dtype[0]
    n = len(model.inputs[0])
    row = rng.integers(-128, 128, n) if dtype == "b" else rng.normal(0, 3, n)
    wanted = reference.run_reference(case.model, [row])[0].ravel().tolist()
    for i, value in enumerate(row.tolist()):
        model.inputs[0][i] = value
    model.invoke()
    assert list(model.outputs[0]) == wanted
    assert len(wanted) == case.outputs


@pytest.mark.vm
def test_every_model_is_timed_on_the_vm(run_on_vm):
    machine = ensure_vm()
    case = cases.made("ADD")
    models = {"a": case.model, "b": model_path("hello_world").read_bytes()}
    found = vm.timed(machine, models, "portable")
    assert set(found) == {"a", "b"}
    assert all(one.invoke_us > 0 and one.load_us > 0 for one in found.values())


def test_what_a_chip_is_sent_and_how_it_is_read(emulator):
    emulator("''")
    case = cases.made("CONV_2D 1x1, 8 -> 8")
    assert {p.split("/")[-1] for p in chips.files("esp32", [case.operator]) if "ops/" in p} >= {
        "__init__.mpy",
        "conv.mpy",
    }
    assert not any("lstm" in path for path in chips.files("esp32", [case.operator]))
    counted = chips.operators("esp32c3", case)
    assert [(one.kernels, one.instructions) for one in counted] == [
        ("portable", len("portable()")),
        ("viper", len("viper()")),
        ("rv32", len("rv32()")),
    ]
    whole = chips.model("esp32", model_path("hello_world"), ["FULLY_CONNECTED"], 1.0)
    assert set(whole) == {"invoke", "load", "predict"}


def test_emlearn_beside_the_engine(emulator, tmp_path, monkeypatch):
    monkeypatch.delenv(emlearn.VARIABLE, raising=False)
    with pytest.raises(emlearn.Missing, match=emlearn.VARIABLE):
        emlearn.folder()
    monkeypatch.setenv(emlearn.VARIABLE, str(tmp_path))
    with pytest.raises(emlearn.Missing, match=r"xtensawin_6\.3/emlearn_cnn_int8\.mpy: No such"):
        emlearn.compared("esp32", emlearn.folder())
    (tmp_path / "xtensawin_6.3").mkdir()
    (tmp_path / "xtensawin_6.3" / "emlearn_cnn_int8.mpy").write_bytes(b"M\x06\x2b\x1f")
    (tmp_path / "mnist_cnn_int8.tmdl").write_bytes(b"MAIX")
    case = cases.made("CONV_2D 1x1, 8 -> 8")
    (tmp_path / "mnist_cnn_int8.tflite").write_bytes(case.model)
    emulator("'3\\n' if 'emlearn' in asked['setup'] else 'esp32\\n3\\n'")
    one = emlearn.compared("esp32", emlearn.folder())
    assert (one.emlearn, one.engine) == (len("n.run(x, y)"), len("m.invoke()"))
    assert (one.kernels, one.classes) == ("esp32", (3, 3))


def test_an_emulator_that_fails_is_told(tmp_path, monkeypatch):
    path = tmp_path / "fails.py"
    path.write_text("import sys; sys.exit('no image of that chip')")
    monkeypatch.setenv(chip.VARIABLE, f"{sys.executable} {path}")
    with pytest.raises(RuntimeError, match="no image of that chip"):
        chip.run("esp32", {}, "", [])
