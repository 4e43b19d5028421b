"""How the device verbs talk: people read stderr and a table, programs read JSON on stdout.

    def main(argv=None) -> int:
        options = parser.parse_args(argv)
        return run_verb(options.json, lambda console: flash(options, console))

Errors and progress go to stderr. With --json stdout carries one JSON object per line and nothing
else: events as they happen ({"event": ...}), and at the end {"event": "done", ...} or {"event":
"error", "error": <class>, "message": ..., "exit_code": ...}.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from host.devices.errors import DeviceError, ProblemsError

INTERRUPTED = 130


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
        return self.out.isatty() and not os.environ.get("NO_COLOR") and not self.as_json

    def step(self, text: str, **facts: Any) -> None:
        """Something begins or has been found out; `facts` for programs."""
        if self.as_json:
            self._write({"event": "step", "text": text, **facts})
        else:
            self._rich.print(f"-- {text}", markup=False)

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
        if self.as_json:
            name = type(error).__name__
            facts = {"error": name, "message": str(error), "exit_code": error.exit_code}
            self._write({"event": "error", **facts})
        for problem in problems:
            print(f"error: {problem}", file=self.err, flush=True)

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Yields done(so_far), in bytes: a bar on a terminal, tenths as events for programs."""
        if self.as_json:
            yield self._tenths(what, total)
            return
        columns = (TextColumn("   {task.description}"), BarColumn(), DownloadColumn())
        with Progress(*columns, TimeRemainingColumn(), console=self._rich) as bar:
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


def run_verb(as_json: bool, verb: Callable[[Console], int | None]) -> int:
    """Call a verb; its exit code, with every DeviceError and Ctrl-C told in the house's way."""
    console = Console(as_json)
    try:
        return verb(console) or 0
    except DeviceError as error:
        console.fail(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=console.err)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; keep Python from failing once more as it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
