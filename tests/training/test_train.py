"""Training end to end, and what it does when something is missing or wrong."""

import builtins
import json
import sys
from importlib.util import find_spec

import pytest

from training import assemble, campaign, datasets, run
from training.bundle import load_bundle
from training.errors import NotBitExactError, ToolMissingError
from training.network import tensorflow


@pytest.fixture
def small(monkeypatch):
    """A training cut down to what a test can wait for."""
    whole = campaign.cooling_train
    monkeypatch.setattr(
        campaign,
        "cooling_train",
        lambda seed, tick=campaign.no_tick: whole(seed, count=10, seconds=1500, tick=tick),
    )
    for name, value in (
        ("COOLING_EPOCHS", 20),
        ("ANOMALY_EPOCHS", 15),
        ("NORMAL_RUNS", 8),
        ("VALIDATION_RUNS", 4),
        ("TEST_RUNS", 4),
    ):
        monkeypatch.setattr(run, name, value)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_both_roles_end_to_end_without_recordings(small, monkeypatch, tmp_path, capfd):
    for name in ("tensorflow", "matplotlib"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed (`./run train` installs it)")
    from matplotlib import font_manager  # noqa: F401

    capfd.readouterr()  # the first import on a machine makes a list of fonts, and may say so
    monkeypatch.setattr(datasets, "folders", list)
    monkeypatch.setattr(datasets, "ROOT", tmp_path / "checkout")
    (tmp_path / "checkout" / "training").mkdir(parents=True)
    (tmp_path / "checkout" / "training" / "sources.toml").write_text(
        '[heater]\ntitle="t"\norigin="http://127.0.0.1:1/"\nlicence="l"\nship=true\nfolder="f"\n'
        'files=[{name="a.csv",bytes=1,sha256="0"}]\n'
    )
    steps = []
    out = tmp_path / "out"
    report = run.train_all(out, lambda step, done, total: steps.append(step), seed=3)
    assert report.trained_on.startswith("simulated plant only")
    assert "127.0.0.1" in report.trained_on
    assert steps[0] == "data"
    assert capfd.readouterr().err == ""
    for role in ("cooling", "anomaly"):
        bundle = load_bundle(out / role)
        assert bundle.id == f"{role}@1"
        assert (out / role / "report" / "report.md").exists()
        assert json.loads((out / role / "report.json").read_text())["bit_exact"]
    table = report.quality["cooling"]["forecast_60s"]["plant"]
    assert table["int8"]["rmse_k"] < table["persistence"]["rmse_k"] / 2
    assert abs(table["int8"]["rmse_k"] - table["float"]["rmse_k"]) < 0.05

    again = run.train_all(out, seed=3, role="anomaly")
    assert [path.name for path in again.bundles] == ["anomaly"]
    assert load_bundle(out / "anomaly").id == "anomaly@2"
    assert load_bundle(out / "anomaly@1").id == "anomaly@1"

    before = sorted(str(path) for path in out.rglob("*"))
    monkeypatch.setattr(assemble, "compare", lambda *a: type("R", (), DIFFERS)())
    with pytest.raises(NotBitExactError, match="3 of 9"):
        run.train_all(out, seed=3, role="anomaly")
    assert sorted(str(path) for path in out.rglob("*")) == before


DIFFERS = {"identical": False, "differing": 3, "rows": 9, "first_difference": {"row": 1}}


def test_without_tensorflow_the_message_names_the_command(monkeypatch, tmp_path, capsys):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == "tensorflow":
            raise ImportError("No module named 'tensorflow'")
        return real(name, *args, **kwargs)

    for name in [n for n in sys.modules if n.split(".")[0] == "tensorflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ToolMissingError, match=r"\./run train"):
        tensorflow()
    assert run.main(["--out", str(tmp_path / "out")]) == 1
    assert "./run train" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_anomaly_alone_needs_a_cooling_bundle(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("training.network.tensorflow", lambda: None)
    assert run.main(["--out", str(tmp_path / "out"), "--role", "anomaly"]) == 1
    assert "model.tflite" in capsys.readouterr().err
