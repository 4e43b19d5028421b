"""How good the models are, as the board computes them, beside classical baselines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import anomaly, scaling, twin
from training.anomaly import AnomalyModel
from training.baselines import PcaMonitor, Ridge
from training.cooling import HORIZON_S, CoolingModel, Samples
from training.runs import Run

Floats = NDArray[np.float64]
Json = dict[str, Any]


def errors_k(error_mk: NDArray[Any]) -> Json:
    """Root mean square and mean absolute error in K."""
    error = np.asarray(error_mk, float) / 1000.0
    return {
        "rmse_k": round(float(np.sqrt(np.mean(error**2))), 3),
        "mae_k": round(float(np.mean(np.abs(error))), 3),
    }


def cooling_quality(model: CoolingModel, train: Samples, tests: dict[str, Samples]) -> Json:
    """Errors of the forecast on every test set: int8 (as the board), float, ridge, persistence."""
    ridge = Ridge.fit(_with_action(train), train.change_mk.astype(float))
    table: Json = {}
    for name, data in tests.items():
        truth = data.change_mk
        table[name] = {
            "rows": len(truth),
            "runs": len(np.unique(data.run)),
            "int8": errors_k(model.change_mk(data.rows) - truth),
            "float": errors_k(model.float_change_mk(data.rows) - truth),
            "ridge": errors_k(ridge.predict(_with_action(data)) - truth),
            "persistence": errors_k(-truth),
        }
    return table


def rig_equation(train: list[Run], test: list[Run]) -> Json:
    """The rig's own first-order equation, fitted on the training runs, power held: a floor for
    anything that does not know the coming power."""
    a, b = twin.fit([_heater(run) for run in train])
    errors = []
    for run in test:
        heater = _heater(run)
        ahead = twin.forecast_change(heater, a, b, HORIZON_S)[:-HORIZON_S]
        errors.append(ahead * 1000.0 - (run.true_mc[HORIZON_S:] - run.true_mc[:-HORIZON_S]))
    return errors_k(np.concatenate(errors))


def _heater(run: Run) -> twin.HeaterRun:
    return twin.HeaterRun(
        run.name, run.true_mc / 1000.0, run.ambient_mc / 1000.0, run.power_mw / 1000.0
    )


def _with_action(data: Samples) -> Floats:
    return np.concatenate([data.columns, data.action[:, None].astype(float)], axis=1)


class Judge:
    """The three ways to score a run, each with a threshold from the same validation runs."""

    def __init__(
        self, model: AnomalyModel, train: list[anomaly.Table], validation: list[anomaly.Table]
    ):
        self._model = model
        self._pca = PcaMonitor.fit(
            np.concatenate([_plain(t)[anomaly.WARM_UP_S :] for t in train]), 0.97
        )
        scores = [self._pca.score(_plain(t))[anomaly.WARM_UP_S :] for t in validation]
        self._pca_limit = float(np.quantile(np.concatenate(scores), anomaly.THRESHOLD_QUANTILE))

    def alarms(self, table: anomaly.Table) -> dict[str, NDArray[np.bool_]]:
        """Alarm state per period for int8, float and PCA."""
        rows = scaling.rows(self._model.features, table)
        above = {
            "int8": self._model.score(rows) > self._model.threshold,
            "float": self._model.float_score(rows) > self._model.float_threshold,
            "pca": self._pca.score(_plain(table)) > self._pca_limit,
        }
        for hot in above.values():
            hot[: anomaly.WARM_UP_S] = False
        return {name: anomaly.alarms(hot) for name, hot in above.items()}


def _plain(table: anomaly.Table) -> Floats:
    return np.stack([table[name] for name in anomaly.NAMES], axis=1).astype(float)


def anomaly_quality(
    judge: Judge,
    cooling: CoolingModel,
    normal: list[Run],
    faulty: list[Run],
) -> Json:
    """False alarms on normal runs; detections, delays and missed periods on faulty ones."""
    methods = ("int8", "float", "pca")
    hours = sum(len(run) for run in normal) / 3600.0
    raised = dict.fromkeys(methods, 0)
    alarmed = dict.fromkeys(methods, 0)
    for table in anomaly.columns_of(normal, cooling):
        for name, state in judge.alarms(table).items():
            raised[name] += int((np.diff(state.astype(int)) == 1).sum())
            alarmed[name] += int(state.sum())
    result: Json = {
        "normal": {
            "hours": round(hours, 2),
            "runs": len(normal),
            **{
                name: {
                    "false_alarms_per_hour": round(raised[name] / hours, 3),
                    "far": round(alarmed[name] / (hours * 3600.0), 5),
                }
                for name in methods
            },
        },
        "faults": {},
    }
    for fault in dict.fromkeys(run.fault for run in faulty):
        runs = [run for run in faulty if run.fault == fault]
        result["faults"][fault] = _detections(judge, cooling, runs, methods)
    return result


def _detections(
    judge: Judge, cooling: CoolingModel, runs: list[Run], methods: tuple[str, ...]
) -> Json:
    runs, all_runs = [run for run in runs if _shows_at(run) is not None], runs
    delays: dict[str, list[int]] = {name: [] for name in methods}
    missed = dict.fromkeys(methods, 0)
    periods = 0
    for run, table in zip(runs, anomaly.columns_of(runs, cooling), strict=True):
        shows = _shows_at(run) or 0
        periods += len(run) - shows
        for name, state in judge.alarms(table).items():
            at = np.flatnonzero(state[shows:])
            missed[name] += int((~state[shows:]).sum())
            if len(at):
                delays[name].append(int(at[0]))
    return {
        "runs": len(runs),
        "never_showed": len(all_runs) - len(runs),
        **{
            name: {
                "detected": len(delays[name]),
                "median_delay_s": float(np.median(delays[name])) if delays[name] else None,
                "mar": round(missed[name] / max(1, periods), 3),
            }
            for name in methods
        },
    }


def _shows_at(run: Run) -> int | None:
    """When a fault can first show: one of the fan, when the fan is next set on (None: never)."""
    if run.fault not in ("fan_stuck", "filter_clog"):
        return run.fault_at
    on = np.flatnonzero(run.fan[run.fault_at :])
    return run.fault_at + int(on[0]) if len(on) else None


def loop_quality(results: dict[str, list[tuple[float, Run]]]) -> Json:
    """Time over the limit, excess, fan duty and switches of the same hours under each policy."""
    table: Json = {}
    for policy, runs in results.items():
        over = np.concatenate([run.true_mc[300:] - limit_c * 1000.0 for limit_c, run in runs])
        fan = [run.fan[300:] for _, run in runs]
        hours = sum(len(part) for part in fan) / 3600.0
        table[policy] = {
            "hours": round(hours, 2),
            "over_limit_pct": round(float((over > 0).mean() * 100.0), 2),
            "over_limit_kmin_per_h": round(float(np.maximum(over, 0).sum() / 60000.0 / hours), 3),
            "worst_excess_k": round(float(over.max()) / 1000.0, 2),
            "fan_duty_pct": round(float(np.concatenate(fan).mean() * 100.0), 1),
            "switches_per_hour": round(
                sum(int((np.diff(part) != 0).sum()) for part in fan) / hours, 1
            ),
        }
    return table
