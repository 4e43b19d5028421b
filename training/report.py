"""What a training says: progress bars, tables, and pictures beside the bundle (never deployed)."""

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from training import anomaly, features, scaling
from training.anomaly import AnomalyModel
from training.cooling import FEATURES, HORIZON_S, CoolingModel, Samples
from training.errors import ToolMissingError
from training.runs import Run

Json = dict[str, Any]
Loop = dict[str, list[tuple[float, Run]]]


@contextlib.contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars on the terminal, one per step."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    layout = (TextColumn("{task.description:32}"), BarColumn(), TimeElapsedColumn())
    with Progress(*layout) as shown:
        tasks: dict[str, Any] = {}

        def progress(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = shown.add_task(step, total=total)
            shown.update(tasks[step], completed=done)

        yield progress


def text(found: Json) -> str:
    """The figures of a training as Markdown tables."""
    parts = []
    if "cooling" in found:
        parts += _forecast_lines(found["cooling"]["forecast_60s"])
        parts += ["", *_loop_lines(found["cooling"]["closed_loop"])]
    if "anomaly" in found:
        parts += ["", *_anomaly_lines(found["anomaly"])]
    return "\n".join(parts).strip()


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    return [_row(*head), _row(*("---" for _ in head)), *(_row(*row) for row in rows)]


def _forecast_lines(table: Json) -> list[str]:
    rows: list[tuple[object, ...]] = []
    for name, entry in table.items():
        where = f"{name} ({entry['runs']} runs, {entry['rows']} rows)"
        for method in ("int8", "float", "ridge", "persistence", "rig_equation"):
            if method in entry:
                rows.append((where, method, entry[method]["rmse_k"], entry[method]["mae_k"]))
    head = ("forecast 60 s ahead on runs never trained on", "method", "RMSE in K", "MAE in K")
    return _table(head, rows)


def _loop_lines(table: Json) -> list[str]:
    keys = (
        "over_limit_pct",
        "over_limit_kmin_per_h",
        "worst_excess_k",
        "fan_duty_pct",
        "switches_per_hour",
    )
    head = ("policy", "% over limit", "K min over per h", "worst K", "fan duty %", "switches/h")
    return _table(head, [(policy, *(entry[k] for k in keys)) for policy, entry in table.items()])


def _anomaly_lines(found: Json) -> list[str]:
    methods = ("int8", "float", "pca")
    normal = found["normal"]
    rows: list[tuple[object, ...]] = [
        (
            f"false alarms per hour ({normal['hours']} h)",
            *(normal[m]["false_alarms_per_hour"] for m in methods),
        ),
        ("share of normal periods in alarm (FAR)", *(normal[m]["far"] for m in methods)),
    ]
    for fault, entry in found["faults"].items():
        cells = []
        for method in methods:
            got = entry[method]
            delay = "-" if got["median_delay_s"] is None else f"{got['median_delay_s']:.0f} s"
            cells.append(f"{got['detected']}/{entry['runs']}, {delay}, MAR {got['mar']}")
        rows.append((f"{fault}: found, median delay, missed", *cells))
    return _table(("anomaly, runs never trained on", *methods), rows)


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise ToolMissingError(
            f"matplotlib is not installed ({error}): `./run train` installs it"
        ) from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _png(figure: Any, plt: Any) -> bytes:
    sink = io.BytesIO()
    figure.tight_layout()
    figure.savefig(sink, format="png", dpi=80)
    plt.close(figure)
    return sink.getvalue()


def _markdown(title: str, manifest: Json, lines: list[str], pictures: dict[str, str]) -> bytes:
    facts = (
        f"{manifest['bytes']} bytes, arena {manifest['arena_bytes']} bytes, {manifest['macs']} "
        f"multiply-accumulates, {', '.join(manifest['ops'])}. Trained on {manifest['trained_on']}."
    )
    shown = [f"![{words}]({name})\n\n{words}\n" for name, words in pictures.items()]
    return "\n".join([f"# {title}", "", facts, "", *lines, "", *shown]).encode()


def cooling_files(
    model: CoolingModel,
    tests: dict[str, Samples],
    recorded: list[Run],
    loop: Loop,
    summary: Json,
    manifest: Json,
) -> dict[str, bytes]:
    """report/report.md and its pictures."""
    plt = _pyplot()
    files = {"report/errors.png": _errors(plt, model, tests), "report/loop.png": _loop(plt, loop)}
    pictures = {
        "errors.png": "Error of the forecast as the board computes it, on runs never trained on.",
        "loop.png": "The same hour under each policy: case temperature, limit, fan.",
    }
    run = recorded[0] if recorded else loop["forecast"][0][1]
    files["report/forecast.png"] = _forecast(plt, model, run)
    pictures["forecast.png"] = f"Forecast made a minute before, and what came ({run.name})."
    lines = [*_forecast_lines(summary["forecast_60s"]), "", *_loop_lines(summary["closed_loop"])]
    lines += ["", f"Engine against TFLite-Micro: {summary['bit_exact']}."]
    title = f"cooling@{manifest['version']}"
    files["report/report.md"] = _markdown(title, manifest, lines, pictures)
    return files


def _errors(plt: Any, model: CoolingModel, tests: dict[str, Samples]) -> bytes:
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for name, data in tests.items():
        error = (model.change_mk(data.rows) - data.change_mk) / 1000.0
        weights = np.full(len(error), 100.0 / len(error))
        axes.hist(error, bins=np.arange(-1.5, 1.55, 0.05), weights=weights, alpha=0.6, label=name)
    axes.set_xlabel("forecast less truth, K")
    axes.set_ylabel("% of rows")
    axes.legend()
    return _png(figure, plt)


def _forecast(plt: Any, model: CoolingModel, run: Run) -> bytes:
    rows = scaling.with_action(scaling.rows(FEATURES, features.columns(run)), run.fan)
    ahead = (run.case_mc + model.change_mk(rows)) / 1000.0
    figure, axes = plt.subplots(figsize=(9, 3.6))
    minutes = np.arange(len(run)) / 60.0
    axes.plot(minutes, run.true_mc / 1000.0, color="0.2", lw=1.2, label="case, as it came")
    axes.plot(
        minutes[HORIZON_S:],
        ahead[:-HORIZON_S],
        color="tab:orange",
        lw=0.9,
        label="forecast 60 s before",
    )
    axes.set_xlabel("min")
    axes.set_ylabel("°C")
    axes.legend(loc="lower right")
    return _png(figure, plt)


def _loop(plt: Any, loop: Loop) -> bytes:
    figure, rows = plt.subplots(len(loop), 1, figsize=(9, 5), sharex=True, squeeze=False)
    for axes, (policy, runs) in zip(rows[:, 0], loop.items(), strict=True):
        limit_c, run = runs[0]
        minutes = np.arange(len(run)) / 60.0
        case = run.true_mc / 1000.0
        axes.plot(minutes, case, color="0.2", lw=1.2)
        axes.axhline(limit_c, color="tab:red", lw=0.8)
        axes.fill_between(
            minutes, case.min(), case.max(), where=run.fan > 0, color="tab:blue", alpha=0.2, lw=0
        )
        axes.set_ylabel("°C")
        axes.set_title(f"{policy} (fan on shaded)", fontsize=10)
    rows[-1, 0].set_xlabel("min")
    return _png(figure, plt)


def anomaly_files(
    model: AnomalyModel, cooler: CoolingModel, faulty: list[Run], summary: Json, manifest: Json
) -> dict[str, bytes]:
    """report/report.md and its pictures."""
    plt = _pyplot()
    kinds = list(dict.fromkeys(run.fault for run in faulty))
    figure, rows = plt.subplots(len(kinds), 1, figsize=(9, 1.8 * len(kinds)), sharex=True)
    for axes, kind in zip(rows, kinds, strict=True):
        run = next(run for run in faulty if run.fault == kind)
        table = anomaly.columns_of([run], cooler)[0]
        score = model.score(scaling.rows(model.features, table))
        minutes = np.arange(len(run)) / 60.0
        axes.semilogy(minutes, np.maximum(score, 1), color="0.2", lw=0.8)
        axes.axhline(model.threshold, color="tab:red", lw=0.8)
        axes.axvspan(run.fault_at / 60.0, minutes[-1], color="tab:orange", alpha=0.2, lw=0)
        axes.set_title(f"{kind} on {run.name} (fault shaded, threshold red)", fontsize=9)
        axes.set_ylabel("score")
    rows[-1].set_xlabel("min")
    pictures = {"scores.png": "Anomaly score as the board computes it, one run per kind of fault."}
    lines = [*_anomaly_lines(summary), "", f"Engine against TFLite-Micro: {summary['bit_exact']}."]
    title = f"anomaly@{manifest['version']}"
    return {
        "report/scores.png": _png(figure, plt),
        "report/report.md": _markdown(title, manifest, lines, pictures),
    }
