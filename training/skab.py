"""SKAB as a benchmark of the method: `python -m training.skab`. Nothing trained here is kept.

The leaderboard's protocol: per file the first 400 rows train (their labels unused), the rest test;
scaling and threshold come from the training rows only; one pooled confusion matrix; no point
adjustment. F1 alone misleads (to alarm always scores about 0.7), so FAR and MAR stand beside it.
SKAB is GPL-3.0: a model trained on it is not shipped.
"""

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import datasets, network, scaling
from training.baselines import PcaMonitor
from training.errors import TrainingError
from training.features import choose_scale
from training.runner import Runner
from training.scaling import Feature

Floats = NDArray[np.float64]
TRAIN_ROWS = 400
SENSORS = (
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
)
MARGIN = 1.5
"""Threshold over the 99 % quantile of the training rows, the same for every method."""
SPAN = 4.0
"""Training standard deviations in one network unit, so that inputs clamp at sixteen."""


def read(path: Path) -> tuple[Floats, NDArray[np.bool_]]:
    """Sensor values in thousandths (rows by 8), and the labels."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    values = np.array([[float(row[name]) * 1000.0 for name in SENSORS] for row in rows])
    return values, np.array([float(row["anomaly"]) > 0.5 for row in rows])


def _int8_rows(values: Floats, train: Floats) -> NDArray[np.int8]:
    columns = []
    for index in range(values.shape[1]):
        mean = float(train[:, index].mean())
        step = max(float(train[:, index].std()), 1.0) * SPAN
        _, mul, shift = choose_scale(mean - 4 * step, mean + 4 * step)
        feature = Feature(SENSORS[index], round(mean), mul, shift)
        columns.append(scaling.rows([feature], {feature.name: values[:, index].astype(np.int64)}))
    return np.concatenate(columns, axis=1)


def scores(values: Floats, seed: int) -> dict[str, Floats]:
    """Scores of every row by each method, trained on the first 400."""
    train = values[:TRAIN_ROWS]
    rows = _int8_rows(values, train)
    x = network.dequantised(rows)
    model = network.train(
        x[:TRAIN_ROWS], x[:TRAIN_ROWS], (12, 4, 12), seed=seed, epochs=150, batch=64, rate=5e-3
    )
    runner = Runner(network.to_int8(model, rows[:TRAIN_ROWS]))
    back = (runner.run(rows).astype(float) - runner.out_zero) * runner.out_scale
    flow = np.abs(values[:, 7] - np.median(train[:, 7])) / (train[:, 7].std() + 1e-9)
    return {
        "auto-encoder int8": ((x - back) ** 2).mean(axis=1),
        "auto-encoder float": ((x - network.predict(model, x)) ** 2).mean(axis=1).astype(float),
        "PCA T2 and Q": PcaMonitor.fit(train).score(values),
        "flow alone": flow,
    }


def benchmark(seed: int = 1) -> dict[str, dict[str, Any]]:
    """F1, FAR and MAR of each method, pooled over the labelled files."""
    files = [path for path in datasets.load("skab") if path.parent.name.startswith("valve")]
    counts: dict[str, NDArray[np.int64]] = {}
    for path in files:
        values, labels = read(path)
        truth = labels[TRAIN_ROWS:]
        found = {**scores(values, seed), "always": np.r_[np.zeros(TRAIN_ROWS), np.ones(len(truth))]}
        for name, score in found.items():
            limit = float(np.quantile(score[:TRAIN_ROWS], 0.99)) * MARGIN
            said = score[TRAIN_ROWS:] > limit
            cells = [np.sum(said & truth), np.sum(said & ~truth), np.sum(~said & truth)]
            cells.append(np.sum(~said & ~truth))
            counts[name] = counts.get(name, np.zeros(4, np.int64)) + np.array(cells)
    table = {}
    for name, (tp, fp, fn, tn) in counts.items():
        table[name] = {
            "files": len(files),
            "f1": round(float(2 * tp / (2 * tp + fp + fn)), 3),
            "far": round(float(fp / (fp + tn)), 3),
            "mar": round(float(fn / (fn + tp)), 3),
        }
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.skab", description=__doc__)
    parser.parse_args()
    try:
        table = benchmark()
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 1
    files = next(iter(table.values()))["files"]
    print(f"| SKAB, {files} of the 34 labelled files | F1 | FAR | MAR |\n| --- | --- | --- | --- |")
    for name, entry in table.items():
        print(f"| {name} | {entry['f1']} | {entry['far']} | {entry['mar']} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
