"""Train both models and write their bundles: `python -m training.run --out DIR`."""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    import numpy as np
except ImportError:
    raise SystemExit("training: numpy and TensorFlow are not installed; ./run train does") from None

from training import anomaly, assemble, campaign, cooling, network, quality, report, scaling
from training.anomaly import AnomalyModel
from training.bundle import load_bundle, next_version, write_bundle
from training.cooling import CoolingModel
from training.errors import TrainingError
from training.features import columns
from training.runs import Run

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Told the step, how much of it is done, and how much there is."""

COOLING_EPOCHS = 80
ANOMALY_EPOCHS = 60
NORMAL_RUNS = 48
VALIDATION_RUNS = 24
TEST_RUNS = 12


@dataclass
class Report:
    """What `train_all` did: bundles written, quality, and the seconds it took."""

    bundles: list[Path] = field(default_factory=list)
    quality: Json = field(default_factory=dict)
    trained_on: str = ""
    seconds: float = 0.0


class _Steps:
    """Counts a step's progress for whoever watches."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._name, self._done, self._total = "", 0, 1

    def start(self, name: str, total: int) -> Callable[[], None]:
        self._name, self._done, self._total = name, 0, total
        self._progress(name, 0, total)
        return self._tick

    def _tick(self) -> None:
        self._done += 1
        self._progress(self._name, self._done, self._total)


def train_all(
    out_dir: Path,
    progress: Progress = lambda step, done, total: None,
    *,
    seed: int = 1,
    role: str = "both",
) -> Report:
    """Train `cooling`, `anomaly` or `both` and write their bundles under `out_dir`.

    `anomaly` alone judges forecasts by the cooling bundle already there. Raises TrainingError; what
    was in place stays when something fails.
    """
    began = time.monotonic()
    steps = _Steps(progress)
    tick = steps.start("data", 1)
    recorded = campaign.recorded()
    tick()
    done = Report(trained_on=recorded.sentence)
    tick = steps.start("TensorFlow", 1)
    network.tensorflow()
    tick()
    if role in ("both", "cooling"):
        model = _train_cooling(out_dir, recorded, seed, steps, done)
    else:
        model = cooling.from_bundle(load_bundle(out_dir / "cooling"))
    if role in ("both", "anomaly"):
        _train_anomaly(out_dir, recorded, model, seed, steps, done)
    done.seconds = time.monotonic() - began
    return done


def _train_cooling(
    out_dir: Path, recorded: campaign.Recorded, seed: int, steps: _Steps, done: Report
) -> CoolingModel:
    runs = campaign.cooling_train(seed, tick=steps.start("cooling: plant runs", 48))
    train = cooling.samples(runs + recorded.train)
    tests = {"plant": cooling.samples(campaign.cooling_test(seed))}
    if recorded.test:
        tests["recorded"] = cooling.samples(recorded.test)
    tick = steps.start("cooling: network", COOLING_EPOCHS)
    model = cooling.train(train, seed, COOLING_EPOCHS, tick)

    tick = steps.start("cooling: checks and quality", 12)
    exact = assemble.check_bit_exact(model.runner, model.model_bytes, train.rows, seed)
    tick()
    table = quality.cooling_quality(model, train, tests)
    if recorded.test:
        table["recorded"]["rig_equation"] = quality.rig_equation(recorded.train, recorded.test)
    tick()
    loop = campaign.closed_loop(seed, model, tick=tick)
    summary = {"forecast_60s": table, "closed_loop": quality.loop_quality(loop), "bit_exact": exact}
    normal = _by_fan(loop["forecast"][0][1], cooling.FEATURES, None)
    manifest = assemble.cooling_manifest(
        model,
        next_version(out_dir, "cooling"),
        train.rows,
        normal,
        recorded.sentence,
        {
            name: {k: v["rmse_k"] for k, v in entry.items() if isinstance(v, dict)}
            for name, entry in table.items()
        },
        seed,
    )
    extras = report.cooling_files(model, tests, recorded.test, loop, summary, manifest)
    path = write_bundle(
        out_dir, manifest, model.model_bytes, {"manifest": _brief(manifest), **summary}, extras
    )
    tick()
    done.bundles.append(path)
    done.quality["cooling"] = summary
    return model


def _train_anomaly(
    out_dir: Path,
    recorded: campaign.Recorded,
    cooler: CoolingModel,
    seed: int,
    steps: _Steps,
    done: Report,
) -> AnomalyModel:
    faults = len(campaign.FAULTS) * 6
    tick = steps.start("anomaly: plant runs", NORMAL_RUNS + VALIDATION_RUNS + TEST_RUNS + faults)
    # The last recorded training run chooses the threshold, so it trains nothing here.
    train_runs = campaign.normal("normal", seed, NORMAL_RUNS, cooler, tick=tick)
    train_runs += recorded.train[:-1]
    validation_runs = campaign.normal("validation", seed, VALIDATION_RUNS, cooler, tick=tick)
    validation_runs += recorded.train[-1:]
    test_runs = campaign.normal("test", seed, TEST_RUNS, cooler, tick=tick) + recorded.test
    faulty = campaign.faulty(seed, cooler, tick=tick)
    train_tables = anomaly.columns_of(train_runs, cooler)
    validation_tables = anomaly.columns_of(validation_runs, cooler)

    tick = steps.start("anomaly: network", ANOMALY_EPOCHS)
    model = anomaly.train(train_tables, seed, ANOMALY_EPOCHS, tick=tick)
    tick = steps.start("anomaly: checks and quality", 3)
    anomaly.calibrate(model, validation_tables)
    rows = np.concatenate([scaling.rows(model.features, t) for t in train_tables])
    exact = assemble.check_bit_exact(model.runner, model.model_bytes, rows, seed)
    tick()
    judge = quality.Judge(model, train_tables, validation_tables)
    summary = quality.anomaly_quality(judge, cooler, test_runs, faulty)
    summary["bit_exact"] = exact
    tick()
    normal = _by_fan(train_runs[1], model.features, cooler)
    manifest = assemble.anomaly_manifest(
        model,
        next_version(out_dir, "anomaly"),
        rows,
        normal,
        recorded.sentence,
        _short_anomaly(summary),
        seed,
    )
    extras = report.anomaly_files(model, cooler, faulty, summary, manifest)
    path = write_bundle(
        out_dir, manifest, model.model_bytes, {"manifest": _brief(manifest), **summary}, extras
    )
    tick()
    done.bundles.append(path)
    done.quality["anomaly"] = summary
    return model


def _by_fan(
    run: Run, features: list[scaling.Feature], cooler: CoolingModel | None
) -> tuple[np.ndarray, np.ndarray]:
    """Feature rows of a run with the fan off and with it on, the warm-up left out."""
    table = columns(run, cooler.residuals_mk(run) if cooler else None)
    rows = scaling.rows(features, table)[anomaly.WARM_UP_S :]
    on = run.fan[anomaly.WARM_UP_S :] > 0
    return rows[~on], rows[on]


def _brief(manifest: Json) -> Json:
    keep = (
        "id",
        "version",
        "sha256",
        "created",
        "trained_on",
        "bytes",
        "arena_bytes",
        "macs",
        "ops",
    )
    return {key: manifest[key] for key in keep}


def _short_anomaly(summary: Json) -> Json:
    return {
        method: {
            **summary["normal"][method],
            "detected": {
                fault: f"{entry[method]['detected']}/{entry['runs']}"
                for fault, entry in summary["faults"].items()
            },
        }
        for method in ("int8", "float", "pca")
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.run", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder the bundles are written to")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--role", choices=("cooling", "anomaly", "both"), default="both")
    options = parser.parse_args(arguments)
    try:
        with report.bars() as progress:
            done = train_all(options.out, progress, seed=options.seed, role=options.role)
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 1
    print(report.text(done.quality))
    print(f"Trained on {done.trained_on}.")
    for path in done.bundles:
        print(f"Bundle: {path} (report: {path / 'report' / 'report.md'})")
    print(f"{done.seconds:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
