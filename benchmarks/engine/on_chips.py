"""All that is counted on emulated chips, one boot after the other."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from agent.cognition.engine import ModelError
from benchmarks import chip
from benchmarks.engine import chips, emlearn, vectors
from benchmarks.engine.cases import Case
from host.check_model import Report, check_model
from host.devices.errors import BuildError

# For `predict`, of the models that take one number.
NUMBERS = {"hello_world": 1.0}
# Rows through a model: as many as run in about this many instructions, all in native sets.
ROWS_INSTRUCTIONS = 1_000_000_000
# Boots that fail one after the other before the rest of a chip is left out.
IN_A_ROW = 3

Counts = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Job:
    """One boot of one chip. count: the lines to print; head: printed before the first of a kind."""

    chip: str
    name: str
    count: Callable[[], list[str]]
    head: str = ""


@dataclass
class Outcome:
    """counts: model -> "chip kernels" -> instructions of invoke, load and each layer."""

    counts: Counts = field(default_factory=dict)
    done: int = 0
    failed: list[str] = field(default_factory=list)


def counted(
    models: dict[str, Path], made: Sequence[Case], timeout_s: float, only_chip: str = ""
) -> Outcome:
    """Prints every line as it is known. What fails is told, and the rest goes on."""
    outcome = Outcome()
    jobs = [
        job
        for name in chips.SETS
        if only_chip in ("", name)
        for job in _OnChip(name, timeout_s, outcome.counts).jobs(models, made)
    ]
    in_a_row = dict.fromkeys(chips.SETS, 0)
    heads = set()
    with _bar(len(jobs)) as step:
        for job in jobs:
            step(f"{job.chip} {job.name}")
            if in_a_row[job.chip] >= IN_A_ROW:
                outcome.failed.append(f"{job.chip} {job.name}: left out")
                continue
            if job.head and job.head not in heads:
                heads.add(job.head)
                print(job.head)
            try:
                lines = job.count()
            except chip.EmulatorMissingError:
                raise
            except (chip.EmulatorError, ModelError, BuildError) as error:
                why = str(error).strip().splitlines()[-1]
                outcome.failed.append(f"{job.chip} {job.name}: {why}")
                lines = [f"{job.chip:8} {job.name:44} not counted ({why})"]
                in_a_row[job.chip] += 1
                if in_a_row[job.chip] == IN_A_ROW:
                    lines.append(f"{job.chip:8} {IN_A_ROW} failed in a row: the rest is left out")
            else:
                outcome.done += 1
                in_a_row[job.chip] = 0
            print("\n".join(lines), flush=True)
    return outcome


@dataclass(frozen=True)
class _OnChip:
    """What the counts of one chip have in common."""

    name: str
    timeout_s: float
    counts: Counts

    def jobs(self, models: dict[str, Path], made: Sequence[Case]) -> Iterator[Job]:
        name = self.name
        for model, path in models.items():
            report = check_model(path.read_bytes())
            for kernels in chips.SETS[name]:
                whole = partial(self._whole, model, path, kernels, report)
                layers = partial(self._layers, model, path, kernels, report)
                yield Job(name, f"{model}, {kernels}", whole)
                yield Job(name, f"{model}, {kernels}, layers", layers)
        head = f"{name:8} {'per step':44} " + " ".join(f"{each:>9}" for each in chips.SETS[name])
        for case in made:
            yield Job(name, case.name, partial(self._operator, case), head)
        if emlearn.available() and name in emlearn.BUILDS:
            yield Job(name, "emlearn", lambda: [emlearn.line(name, self.timeout_s)])

    def _kept(self, model: str, kernels: str) -> dict[str, Any]:
        return self.counts.setdefault(model, {}).setdefault(f"{self.name} {kernels}", {})

    def _whole(self, model: str, path: Path, kernels: str, report: Report) -> list[str]:
        operators = [layer.operator for layer in report.layers]
        rows = vectors.recorded(path)
        rows = rows[: max(1, ROWS_INSTRUCTIONS // max(1, report.instructions(kernels)))]
        found = chips.model(
            self.name,
            kernels,
            path.read_bytes(),
            operators,
            rows,
            NUMBERS.get(model),
            self.timeout_s,
        )
        if found.wrong:
            raise chip.EmulatorError(f"wrong outputs: rows {found.wrong} of {found.rows}")
        counts = {"invoke": round(found.invoke), "load": round(found.load)}
        if found.predict is not None:
            counts["predict"] = round(found.predict)
        self._kept(model, kernels).update(counts)
        told = ", ".join(f"{what} {count:,}" for what, count in counts.items())
        source = "recorded" if path.with_suffix(".npz").exists() else "on this machine"
        return [
            f"{self.name:8} {model}, {kernels}: {told}; {found.rows} rows byte for byte as {source}"
        ]

    def _layers(self, model: str, path: Path, kernels: str, report: Report) -> list[str]:
        running = [layer for layer in report.layers if layer.instructions["portable"]]
        operators = [layer.operator for layer in report.layers]
        found = chips.layers(
            self.name, kernels, path.read_bytes(), operators, len(running), self.timeout_s
        )
        self._kept(model, kernels)["layers"] = [round(count) for count in found]
        return [
            f"{'':8}   {layer.index:2} {layer.operator:24} {'x'.join(map(str, layer.shape)):12}"
            f" {count:14,.0f}   check-model: {layer.instructions[kernels]:14,}"
            f" {layer.instructions[kernels] / count:5.2f}"
            for layer, count in zip(running, found, strict=True)
        ]

    def _operator(self, case: Case) -> list[str]:
        found = chips.operators(self.name, case, self.timeout_s)
        told = " ".join(f"{one.instructions / case.steps:9.2f}" for one in found)
        return [f"{self.name:8} {case.name:44} {told}"]


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Callable[[str], None]]:
    """Yields begin(what): a bar on a terminal's stderr; lines go on to stdout as they are."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    console = Console(stderr=True, highlight=False)
    both = sys.stdout.isatty()
    with Progress(*columns, console=console, redirect_stdout=both, transient=True) as bar:
        task = bar.add_task("", total=total, completed=-1)

        def begin(what: str) -> None:
            bar.update(task, advance=1, description=what)

        yield begin
