"""How the device verbs talk: people read stderr and a table, programs read JSON on stdout.

    def main(argv=None) -> int:
        options = parser.parse_args(argv)
        return run_verb(options.json, lambda console: flash(options, console))

Errors and progress go to stderr. With --json stdout carries one JSON object per line and nothing
else: events as they happen ({"event": ...}), and at the end {"event": "done", ...}, {"event":
"error", "error": <class>, "message": ..., "exit_code": ...} or, after Ctrl-C, {"event": "stopped",
"message": ..., "exit_code": 130}.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, TextIO

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from host.devices.errors import DeviceError, ProblemsError, UsageError
from host.devices.monitoring.words import printable

INTERRUPTED = 130
# Columns a bar with all its figures takes.
WIDE = 60


class Console:
    """One verb's voice. `as_json`: for programs; NO_COLOR and pipes are respected."""

    def __init__(
        self, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self._rich = RichConsole(file=self.err, highlight=False, soft_wrap=True)

    @property
    def colour(self) -> bool:
        """Whether stdout may carry colour."""
        return draws(self.out) and not os.environ.get("NO_COLOR") and not self.as_json

    def step(self, text: str, **facts: Any) -> None:
        """Something begins or has been found out; `facts` for programs."""
        if self.as_json:
            self._write({"event": "step", "text": text, **facts})
        else:
            self._rich.print(f"-- {_harmless(text)}", markup=False)

    def event(self, name: str, **facts: Any) -> None:
        """For programs only."""
        if self.as_json:
            self._write({"event": name, **facts})

    def line(self, text: str = "") -> None:
        """Part of the result as people read it."""
        if not self.as_json:
            print(text, file=self.out, flush=True)

    def done(self, text: str = "", **facts: Any) -> None:
        """The result."""
        if self.as_json:
            self._write({"event": "done", **facts})
        elif text:
            print(text, file=self.out, flush=True)

    def fail(self, error: DeviceError) -> None:
        problems = error.problems if isinstance(error, ProblemsError) else [str(error)]
        for problem in problems:
            print(f"error: {_harmless(problem)}", file=self.err, flush=True)
        if self.as_json:
            name = type(error).__name__
            facts = {"error": name, "message": str(error), "exit_code": error.exit_code}
            self._write({"event": "error", **error.facts, **facts})

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Yields done(so_far), in bytes: a bar on a terminal, tenths as events for programs."""
        if self.as_json or not total:
            yield self._tenths(what, total) if total else lambda so_far: None
            return
        fixed = Column(no_wrap=True)
        columns: list[ProgressColumn] = [TextColumn("   {task.description}", table_column=fixed)]
        if self._rich.width < WIDE:
            columns += [TextColumn("{task.percentage:>3.0f}%", table_column=fixed), BarColumn(10)]
        else:
            columns += [BarColumn(), DownloadColumn(), TimeRemainingColumn()]
        with Progress(*columns, console=self._rich) as bar:
            task = bar.add_task(what, total=total)
            yield lambda so_far: bar.update(task, completed=so_far)

    def _tenths(self, what: str, total: int) -> Callable[[int], None]:
        told = -1

        def tell(so_far: int) -> None:
            nonlocal told
            tenth = 10 * so_far // max(total, 1)
            if tenth != told:
                told = tenth
                self._write({"event": "progress", "what": what, "bytes": so_far, "of": total})

        return tell

    def _write(self, facts: dict[str, Any]) -> None:
        print(json.dumps(facts, separators=(",", ":")), file=self.out, flush=True)


def _harmless(text: str) -> str:
    # It may quote a board.
    return "\n".join(map(printable, text.splitlines()))


class Parser(argparse.ArgumentParser):
    """A verb's command line; what is wrong with it is told like any other error."""

    def __init__(self, verb: str, description: str | None) -> None:
        super().__init__(prog=f"./run {verb}", description=description)
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        self._verb = verb
        self._words: Sequence[str] = ()

    def parse_args(self, args: Sequence[str] | None = None) -> argparse.Namespace:  # type: ignore[override]
        self._words = sys.argv[1:] if args is None else args
        return super().parse_args(args)

    def error(self, message: str) -> NoReturn:
        error = UsageError(f"{message}; ./run --help {self._verb} tells what there is")
        Console("--json" in self._words).fail(error)
        sys.exit(error.exit_code)


def draws(out: TextIO) -> bool:
    """Whether `out` is a terminal that takes colours and a moving cursor."""
    return out.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def run_verb(as_json: bool, verb: Callable[[Console], int | None]) -> int:
    """Call a verb; its exit code, with every DeviceError and Ctrl-C told in the house's way."""
    console = Console(as_json)
    if isinstance(console.out, io.TextIOWrapper):
        # Where a terminal has no bars and degrees, question marks do.
        console.out.reconfigure(errors="replace")
    try:
        return verb(console) or 0
    except DeviceError as error:
        console.fail(error)
        return error.exit_code
    except KeyboardInterrupt as stopped:
        message = str(stopped) or "stopped"
        console.event("stopped", message=message, exit_code=INTERRUPTED)
        print(message, file=console.err)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone.
        _no_more_output()
        return 0
    except OSError as error:
        full = f"; is {tempfile.gettempdir()} full, where temporary files go?"
        hint = full if error.errno == errno.ENOSPC and not error.filename else ""
        failed = DeviceError(f"this computer refuses: {error}{hint}")
        try:
            console.fail(failed)
        except OSError:
            _no_more_output()
        return failed.exit_code


def _no_more_output() -> None:
    # Keeps Python from failing once more as it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
