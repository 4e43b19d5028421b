"""What a board of each chip is given."""

import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from agent.cognition.engine import Model
from benchmarks import chip as emulated
from host.devices import build
from host.simulation.filesystem import build_flash
from tests.engine.conftest import model_path

ROOT = Path(__file__).resolve().parents[2]
ENGINE_MOST_BYTES = 40 * 1024


def test_a_simulated_board_gets_what_a_chip_gets_but_machine_code(tmp_path):
    build_flash(tmp_path, build.FIRMWARE)
    flash = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert set(build.board_files("esp32")) - flash == {f"{build.KERNELS}/native_esp32.mpy"}
    assert not flash - set(build.board_files("esp32"))


def test_the_same_sources_give_the_same_bytes():
    code = (
        "import zlib; from host.devices.build import board_files;"
        "print([(n, zlib.crc32(d)) for n, d in board_files('esp32').items()])"
    )
    # Another process has another order of sets.
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    here = [(name, zlib.crc32(data)) for name, data in build.board_files("esp32").items()]
    assert told.strip() == str(here)


def test_readable_builds_keep_modules_and_names(monkeypatch):
    small = build.board_files("esp32")
    monkeypatch.setenv(build.READABLE, "1")
    readable = build.board_files("esp32")
    assert "agent/cognition/engine/model.mpy" in readable.keys() - small.keys()
    assert b"want_scratch" in readable["agent/cognition/engine/ops/__init__.mpy"]
    assert b"want_scratch" not in small["agent/cognition/engine/ops/__init__.mpy"]


@pytest.mark.parametrize("chip", build.CHIPS)
def test_the_engine_stays_small(chip, capsys, tmp_path):
    """All operators and the chip's kernels; docs/engine.md tells what they take."""
    assert build.main([chip, "--out", str(tmp_path)]) == 0
    sizes = [p.stat().st_size for p in (tmp_path / chip / build.ENGINE).rglob("*.mpy")]
    assert sum(sizes) <= ENGINE_MOST_BYTES
    (line,) = capsys.readouterr().out.splitlines()
    kernels = build.CHIPS[chip].kernels
    texts = (tmp_path / chip / build.ENGINE / "texts.txt").stat().st_size
    assert line.endswith(f"the kernels {kernels} {sum(sizes):,} B, its texts {texts:,} B")


def test_for_programs(capsys, tmp_path):
    assert build.main(["esp32", "--json", "--out", str(tmp_path)]) == 0
    (built,) = json.loads(capsys.readouterr().out)["built"]
    assert (built["chip"], built["folder"]) == ("esp32", str(tmp_path / "esp32"))
    assert built["engine_bytes"] < built["bytes"]
    # A file is where the folder should be.
    (tmp_path / "file").write_text("")
    for words, told in ((["esp99"], "no chip esp99"), (["esp32", "--out", f"{tmp_path}/file"], "")):
        assert build.main([*words, "--json"]) == 11
        assert told in json.loads(capsys.readouterr().out)["message"]


def test_unknown_chips_are_refused():
    with pytest.raises(build.BuildError, match="no chip 'esp8266'; known are: esp32, "):
        build.board_files("esp8266")


# Packages stay: the kernels are proved whenever theirs is loaded.
IMPORTS = """
import gc, sys
for name in NAMES:
    __import__(name)
    for each in list(sys.modules):
        if each.startswith("agent") and each not in PACKAGES:
            del sys.modules[each]
    gc.collect()
"""
RUNS = """
from agent.cognition.engine import Model, kernels
model = Model(data["model"])
out = bytearray()
for x in range(-128, 128):
    model.inputs[0][0] = x
    model.invoke()
    out.append(model.outputs[0][0] & 255)
import binascii
print(kernels.NAME, model.kernels, binascii.crc32(out))
"""


needs_emulator = pytest.mark.skipif(
    not emulated.available(), reason=f"{emulated.VARIABLE} names no emulator of the chips"
)


def on_chip(chip, chosen, code, data=None):
    built = build.board_files(chip, kept=frozenset(re.findall(r"\w+", RUNS)))
    files = {name: data for name, data in built.items() if chosen(name) and name.endswith(".mpy")}
    names = [name[:-4].removesuffix("/__init__").replace("/", ".") for name in files]
    packages = {"agent/__init__.py", "agent/cognition/__init__.py", "agent/rare/__init__.py"}
    files |= {name: b"" for name in packages if name[:-3] + ".mpy" not in files}
    kept = [n.rpartition("/")[0].replace("/", ".") for n in files if "/__init__." in n]
    for key, value in {"NAMES": names, "PACKAGES": kept}.items():
        code = code.replace(key, repr(value))
    return emulated.run(chip, files, code, [], data).output


@needs_emulator
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chip", ["esp32", "esp32c3"])
def test_the_engine_runs_on_an_emulated_chip(chip):
    model = model_path("hello_world").read_bytes()
    kernels = build.CHIPS[chip].kernels
    engine = lambda name: name.startswith(build.ENGINE)  # noqa: E731
    told = on_chip(chip, engine, IMPORTS + RUNS, {"model": model})
    here = Model(model)
    wanted = bytearray()
    for x in range(-128, 128):
        here.inputs[0][0] = x
        here.invoke()
        wanted.append(here.outputs[0][0] & 255)
    assert told.split() == [kernels, kernels, str(zlib.crc32(wanted))]


@needs_emulator
@pytest.mark.timeout(900)
def test_the_rest_of_the_agent_can_be_imported_on_an_emulated_chip():
    # Both at once would not fit the RAM disk it lies on there.
    package = f"{build.ENGINE}/__init__.mpy"
    chosen = lambda name: not name.startswith(build.ENGINE) or name == package  # noqa: E731
    assert on_chip("esp32", chosen, IMPORTS + "print('all')").split() == ["all"]
