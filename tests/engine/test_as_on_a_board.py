"""Every operator as a board runs it: merged, shrunk, and stripped of what only loading needs."""

import re

import pytest

from host import reference
from host.devices import build
from host.simulation.filesystem import build_flash
from tests.engine import arena_cases, operator_cases, test_conv
from tests.engine.conftest import FIRMWARE
from tests.engine.families import CASES
from tests.engine.operator_cases import VM_SCRIPT

GRAPHS = 6
ROWS = 4

# All are loaded before any runs, and the loader's code is forgotten in between.
SCRIPT = VM_SCRIPT.read_text().replace(
    """for entry in sorted""",
    """
from agent.cognition.engine import forget_loader

models = {}
for entry in os.listdir(sys.argv[1]):
    if entry.endswith(".tflite"):
        models[entry] = Model(sys.argv[1] + "/" + entry)
forget_loader()
gc.collect()
Model = lambda path: models[path.split("/")[-1]]
for entry in sorted""",
)


@pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)
@pytest.mark.vm
@pytest.mark.parametrize("built", ["", "flash", "as with native kernels"])
def test_what_runs_after_loading_is_kept(built, tmp_path, run_on_vm, monkeypatch):
    if built == "as with native kernels":
        monkeypatch.setattr(build, "_FOR_HOSTS", build._FOR_HOSTS | build._STAND_INS)
    models = operator_cases.files(CASES, GRAPHS) | arena_cases.files()
    models["wide"] = test_conv.one(bias=test_conv.BIG, value=127, out_scale=1.0e6)
    expected = operator_cases.wanted(models, ROWS)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    path = FIRMWARE
    if built:
        path = tmp_path / "flash"
        # Its module is part of the engine's there.
        script.write_text(SCRIPT.replace("engine.views", "engine"))
        build_flash(path, FIRMWARE, kept=frozenset(re.findall(r"\w+", SCRIPT)))

    def run(_, folder):
        return run_on_vm(script, folder, path=path, heap="16M")

    assert (
        operator_cases.differing(operator_cases.on_vm(models, ROWS, tmp_path, run), expected) == []
    )
