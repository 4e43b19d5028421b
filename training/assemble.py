"""From a trained model to a bundle: check bit for bit, golden rows, baseline rows, manifest."""

import datetime
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.cognition.engine import Model, ops
from agent.cognition.engine.graph import Graph
from host.model_costs import count_macs
from host.reference import compare, reference_available
from training.anomaly import DIFF_SHIFT, HOLD, AnomalyModel
from training.bundle import sha256
from training.cooling import FEATURES, HORIZON_S, CoolingModel
from training.errors import NotBitExactError
from training.runner import Runner
from training.scaling import ACTION_Q

RANDOM_ROWS = 2000
REAL_ROWS = 1000
Bytes = NDArray[np.int8]
Json = dict[str, Any]


def check_bit_exact(runner: Runner, model_bytes: bytes, rows: Bytes, seed: int) -> str:
    """Compare engine and TFLite-Micro on random, edge and real rows; says what was compared.

    Raises NotBitExactError when one byte differs.
    """
    if not reference_available():
        return "not checked: TFLite-Micro exists for Linux on x86-64 only"
    report = compare(model_bytes, RANDOM_ROWS, seed)
    real = rows[np.random.default_rng(seed).choice(len(rows), min(REAL_ROWS, len(rows)), False)]
    differing = int((runner.run(real) != runner.run_engine(real)).any(axis=1).sum())
    if not report.identical or differing:
        raise NotBitExactError(
            f"engine and TFLite-Micro differ on {report.differing} of {report.rows} random rows "
            f"and {differing} of {len(real)} real ones; first: {report.first_difference}. "
            "No bundle was written: report the model to the engine's tests"
        )
    return f"equal on {report.rows} random and edge rows and {len(real)} real rows"


def medoids(groups: list[Bytes]) -> list[list[int]]:
    """From each group, the row nearest to the group's median: a usual row that really occurred."""
    found = []
    for group in groups:
        distance = np.abs(group.astype(float) - np.median(group, axis=0)).sum(axis=1)
        found.append([int(value) for value in group[int(distance.argmin())]])
    return found


def golden(runner: Runner, rows: Bytes, seed: int) -> list[Json]:
    """Two usual rows and one random one with their outputs."""
    generator = np.random.default_rng(seed)
    chosen = [rows[len(rows) // 3], rows[-1], generator.integers(-128, 128, rows.shape[1])]
    inputs = np.array(chosen).astype(np.int8)
    outputs = runner.run(inputs)
    return [
        {"in": given.tolist(), "out": got.tolist()}
        for given, got in zip(inputs, outputs, strict=True)
    ]


def operators(model_bytes: bytes) -> list[str]:
    """Operators used, with versions, like `FULLY_CONNECTED v5`."""
    graph = Graph(model_bytes, ops.name_of)
    return sorted({f"{op.name} v{op.version}" for op in graph.operators})


def fitting_boards(model_bytes: bytes) -> list[str]:
    """Boards whose memory budget in boards/*.toml has room for the file and for its arena."""
    arena = int(Model(model_bytes, keep_inputs=True).ram)
    found = []
    for path in sorted((Path(__file__).resolve().parent.parent / "boards").glob("*.toml")):
        budget = tomllib.loads(path.read_text()).get("memory", {})
        room = budget.get("model_bytes", 0), budget.get("arena_bytes", 0)
        if room[0] >= len(model_bytes) and room[1] >= arena:
            found.append(path.stem)
    return found


def _common(runner: Runner, model_bytes: bytes, rows: Bytes, seed: int) -> Json:
    return {
        "created": datetime.date.today().isoformat(),
        "sha256": sha256(model_bytes),
        "bytes": len(model_bytes),
        "ops": operators(model_bytes),
        "arena_bytes": int(Model(model_bytes, keep_inputs=True).ram),
        "macs": count_macs(model_bytes),
        "boards": fitting_boards(model_bytes),
        "golden": golden(runner, rows, seed),
    }


def cooling_manifest(
    model: CoolingModel,
    version: int,
    rows: Bytes,
    normal: tuple[Bytes, Bytes],
    trained_on: str,
    metrics: Json,
    seed: int,
) -> Json:
    """`normal`: feature rows of normal operation with the fan off and on, for the baseline."""
    return {
        "format": 1,
        "id": "cooling",
        "version": version,
        "role": "cooling",
        "trained_on": trained_on,
        "features": [feature.entry() for feature in FEATURES],
        "actions": [
            {"name": "off", "fan": 0, "cost": 0, "q": ACTION_Q[0]},
            {"name": "on", "fan": 1, "cost": 1, "q": ACTION_Q[1]},
        ],
        "horizon_s": HORIZON_S,
        "output": {
            "name": "change_mk",
            "unit": "mK",
            "scale_num": model.output.num,
            "scale_shift": model.output.shift,
        },
        "baseline": medoids(list(normal)),
        "metrics": metrics,
        **_common(model.runner, model.model_bytes, rows, seed),
    }


def anomaly_manifest(
    model: AnomalyModel,
    version: int,
    rows: Bytes,
    normal: tuple[Bytes, Bytes],
    trained_on: str,
    metrics: Json,
    seed: int,
) -> Json:
    """As `cooling_manifest`, for the auto-encoder."""
    return {
        "format": 1,
        "id": "anomaly",
        "version": version,
        "role": "anomaly",
        "trained_on": trained_on,
        "features": [feature.entry() for feature in model.features],
        "threshold": model.threshold,
        "hold": HOLD,
        "diff": {"in_mul": model.in_mul, "out_mul": model.out_mul, "shift": DIFF_SHIFT},
        "baseline": medoids(list(normal)),
        "metrics": metrics,
        **_common(model.runner, model.model_bytes, rows, seed),
    }
