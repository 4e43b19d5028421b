"""What the benchmarks measure is what they say; nothing here is timed."""

import json
import random
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from agent.cognition.engine import Model
from benchmarks import chip
from benchmarks.engine import __main__ as command
from benchmarks.engine import cases, chips, emlearn, on_chips, vectors, vm
from host import reference
from host.check_model import check_model
from host.simulation.vm import ensure_vm
from tests.engine.conftest import model_path
from tests.engine.tflite_builder import Builder, dense

# Runs what it is asked here, with the engine of this tree; a count is the statement's length.
EMULATOR = """
import base64, contextlib, io, json, sys
asked = json.load(sys.stdin)
for path, content in asked["files"].items():
    base64.b64decode(content, validate=True)
output = io.StringIO()
with contextlib.redirect_stdout(output):
    space = {"data": {k: base64.b64decode(v) for k, v in asked["data"].items()}}
    exec(BEFORE + asked["setup"], space)
    for statement in asked["count"]:
        exec(statement, space)
print(json.dumps({
    "output": output.getvalue(),
    "counts": [len(statement) for statement in asked["count"]],
}))
"""
# Every set is the portable one.
ANY_SET = """
from agent.cognition.engine import kernels
kernels.select = lambda names: setattr(kernels, "program", kernels.portable) or names[0]
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """program(source): that is the emulator."""

    def write(source):
        path = tmp_path / "emulator.py"
        path.write_text(source)
        monkeypatch.setenv(chip.VARIABLE, f"{sys.executable} {path}")

    monkeypatch.delenv(emlearn.VARIABLE, raising=False)
    return write


@pytest.fixture
def emulator(program):
    """Stands in for the emulator: a program of the same contract; before: code run first."""
    return lambda before=ANY_SET: program(EMULATOR.replace("BEFORE", repr(before)))


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
    emulator()
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


@pytest.mark.parametrize("name", ["hello_world", "ad01"])
def test_whole_models_are_compared_with_what_is_recorded(emulator, name):
    emulator()
    path = model_path(name)
    rows = vectors.recorded(path)
    data, operators = path.read_bytes(), Model(path.read_bytes()).ops
    whole = chips.model("esp32", "esp32", data, operators, rows)
    assert (whole.rows, whole.wrong) == (len(rows), [])
    assert (whole.invoke, whole.load, whole.predict) == (len("m.invoke()"), len("again()"), None)
    wrong = [vectors.Vector(row.x, row.y[:-1] + bytes([row.y[-1] ^ 1])) for row in rows]
    found = chips.model("esp32", "esp32", data, operators, rows[:2] + wrong[2:3] + rows[3:])
    assert found.wrong == [2]
    layers = chips.layers("esp32", "esp32", data, operators, len(operators))
    assert layers == [len(f"layers[{i}]()") for i in range(len(operators))]


def test_models_without_vectors_are_compared_with_this_machine(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(cases.made("ADD").model)
    rows = vectors.recorded(path)
    assert len(rows) == 3
    assert [len(row.x) for row in rows] == [len(row.y) for row in rows] == [256] * 3
    path.write_bytes(cases.made("DEQUANTIZE").model)
    assert vectors.recorded(path) == []


def test_emlearn_beside_the_engine(emulator, tmp_path, monkeypatch):
    monkeypatch.setenv(emlearn.VARIABLE, str(tmp_path))
    with pytest.raises(
        emlearn.MissingError, match=r"xtensawin_6\.3/emlearn_cnn_int8\.mpy: No such"
    ):
        emlearn.compared("esp32", emlearn.folder())
    (tmp_path / "xtensawin_6.3").mkdir()
    (tmp_path / "xtensawin_6.3" / "emlearn_cnn_int8.mpy").write_bytes(b"M\x06\x2b\x1f")
    (tmp_path / "mnist_cnn_int8.tmdl").write_bytes(b"MAIX")
    b = Builder()
    x = b.tensor((1, 784), 0.05, 3)
    model = b.build([x], [dense(b, x, 10, random.Random(1))])
    (tmp_path / "mnist_cnn_int8.tflite").write_bytes(model)
    emulator(
        """
import sys, types
class Net:
    def output_dimensions(self): return (4,)
    def run(self, x, y): y[3] = 1.0
sys.modules["emlearn_cnn_int8"] = types.SimpleNamespace(new=lambda content: Net())
"""
    )
    one = emlearn.compared("esp32", emlearn.folder())
    assert (one.emlearn, one.engine) == (len("n.run(x, y)"), len("m.invoke()"))
    image = [(i * 7 + i // 28 * 13) % 256 - 128 for i in range(784)]
    here = Model(model)
    for i, value in enumerate(image):
        here.inputs[0][i] = value
    here.invoke()
    guess = max(range(10), key=lambda i: here.outputs[0][i])
    assert (one.kernels, one.classes) == ("portable", (3, guess))


def test_all_of_it_on_one_chip(emulator, capsys, tmp_path, monkeypatch):
    emulator()
    models = model_path("hello_world").parent
    monkeypatch.setattr(command, "MODELS", ["hello_world"])
    record = tmp_path / "counts.json"
    arguments = ["--chip", "esp32c3", "--only", "MEAN", "--record", str(record)]
    assert command.main([*arguments, "--models", str(models)]) == 0
    out = capsys.readouterr().out
    assert "FANWISE_EMLEARN=FOLDER gives the comparison" in out
    assert out.count("esp32c3  hello_world, ") == 3
    assert "rows byte for byte as recorded" in out
    assert "MEAN 256 -> 8" in out
    counts = json.loads(record.read_text())
    assert counts["hello_world"]["esp32c3 rv32"]["layers"] == [len("layers[0]()")] * 3


FAILS = {
    "told": ("import sys; sys.exit('no image of that chip')", "failed with 1: no image of that"),
    "silent": ("import os; os._exit(3)", "failed with 3"),
    "chatty": ("print('booting')", r"has to print {.*}, not 'booting'"),
    "other": ("print('[1, 2]')", "has to print"),
    "fewer": ("""print('{"output": "", "counts": [1]}')""", r"\[2 numbers\]"),
    "text": ("""print('{"output": "", "counts": ["a", "b"]}')""", r"\[2 numbers\]"),
}


@pytest.mark.parametrize(("source", "words"), FAILS.values(), ids=FAILS)
def test_an_emulator_that_fails_is_told(program, source, words):
    program(source)
    with pytest.raises(chip.EmulatorError, match=words):
        chip.run("esp32", {}, "", ["1", "2"])


def test_an_emulator_that_hangs_is_ended_with_all_it_started(tmp_path, monkeypatch):
    started = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {started}.new; mv {started}.new {started}; wait"
    monkeypatch.setenv(chip.VARIABLE, shlex.join(["sh", "-c", script]))
    for limit_s in (1, 10, 60):
        with pytest.raises(chip.EmulatorHungError, match=rf"no answer .* within {limit_s} s"):
            chip.run("esp32", {}, "", [], timeout_s=limit_s)
        if started.exists():  # else it was ended before it had begun
            break
    state = Path(f"/proc/{int(started.read_text())}/stat")
    end = time.monotonic() + 60
    # Killed, it may wait for somebody to ask how it ended.
    while state.exists() and state.read_text().rsplit(") ", 1)[1][0] != "Z":
        assert time.monotonic() < end, "what the emulator started still runs"
        time.sleep(0.1)


@pytest.mark.parametrize("value", ["/nowhere/emulator", "'", "  ' '"])
def test_a_command_that_cannot_be_run_is_told_once(monkeypatch, capsys, tmp_path, value):
    monkeypatch.setenv(chip.VARIABLE, value)
    arguments = ["--chip", "esp32", "--only", "MEAN", "--models", str(tmp_path)]
    assert command.main(arguments) == 1
    err = capsys.readouterr().err
    assert err.count("cannot be run") == 1
    assert f"name a command as {Path('benchmarks/chip.py')} tells" in err.replace("\n", " ")


def test_what_fails_is_told_and_the_rest_goes_on(emulator, capsys, monkeypatch):
    emulator()
    monkeypatch.setattr(chips, "SETS", {"esp32": ("portable",), "esp32c3": ("portable",)})
    path = model_path("hello_world")
    found = on_chips.counted({"hello_world": path}, [cases.made("ADD")], 60)
    assert (found.done, found.failed) == (6, [])
    real = chips.layers

    def failing(name, *rest):
        if name == "esp32":
            raise chip.EmulatorError("Traceback:\nMemoryError: no room")
        return real(name, *rest)

    monkeypatch.setattr(chips, "layers", failing)
    found = on_chips.counted({"hello_world": path}, [cases.made("ADD")], 60)
    assert found.failed == ["esp32 hello_world, portable, layers: MemoryError: no room"]
    assert found.done == 5
    assert "not counted (MemoryError: no room)" in capsys.readouterr().out


def test_a_chip_on_which_all_fails_is_left_alone(program, capsys, monkeypatch):
    program("import sys; sys.exit('no image of that chip')")
    real, tried = chips.operators, []

    def operators(name, *given):
        tried.append(name)
        return real(name, *given)

    monkeypatch.setattr(chips, "operators", operators)
    names = [name for name in cases.CASES if "POOL" in name]
    assert command.main(["--chip", "esp32", "--only", "POOL", "--models", "/nowhere"]) == 1
    assert len(tried) == on_chips.IN_A_ROW < len(names)
    out, err = capsys.readouterr()
    assert "3 failed in a row: the rest is left out" in out
    assert f"{len(names)} of {len(names)} failed" in err
    assert err.count("no image of that chip") == 3


def test_without_an_emulator_it_says_what_is_left_out(monkeypatch, capsys):
    monkeypatch.delenv(chip.VARIABLE, raising=False)
    monkeypatch.setattr(command, "ensure_vm", lambda tell: ensure_vm())
    arguments = ["--only", "-", "--models", "/nowhere"]
    assert command.main(arguments) == 0
    out = capsys.readouterr().out
    assert "hello_world: left out, /nowhere/hello_world_int8.tflite is not there" in out
    assert "left out, as FANWISE_ESP32_EMULATOR is not set" in out
    assert command.main([*arguments, "--chip", "esp32"]) == 1


def test_ctrl_c_is_no_failure_of_ours(monkeypatch, capsys):
    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setenv(chip.VARIABLE, "true")
    monkeypatch.setattr(on_chips, "counted", stopped)
    assert command.main(["--chip", "esp32", "--only", "-", "--models", "/nowhere"]) == 130
    assert capsys.readouterr().err == "stopped\n"
