"""A terminal with output that scrolls above a chart and a prompt line."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from host.devices.monitoring.editor import Editor

CLEAR_BELOW = "\x1b[J"


class Screen:
    """Use as a context; on leaving, the terminal is as it was.

    entered(line): a line was entered; None: Ctrl-D. panel(width): the lines above the prompt.
    """

    def __init__(
        self,
        out: TextIO,
        editor: Editor,
        entered: Callable[[str | None], None],
        panel: Callable[[int], list[str]],
    ) -> None:
        self._out = out
        self._editor = editor
        self._entered = entered
        self._panel = panel
        self._prompt = "> "
        self._rows_above = 0
        self._in = sys.stdin.fileno()
        self._saved: list[object] = []

    def __enter__(self) -> Screen:
        self._saved = termios.tcgetattr(self._in)
        tty.setcbreak(self._in)  # keys come one by one; Ctrl-C is still a signal
        loop = asyncio.get_running_loop()
        loop.add_reader(self._in, self._keys)
        loop.add_signal_handler(signal.SIGWINCH, self.draw)
        loop.add_signal_handler(signal.SIGCONT, self._continued)
        self.draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._in)
        loop.remove_signal_handler(signal.SIGWINCH)
        loop.remove_signal_handler(signal.SIGCONT)
        termios.tcsetattr(self._in, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]
        self._write(self._erased())

    def prompt(self, name: str) -> None:
        """The word in front of the prompt: who one talks to."""
        self._prompt = f"{name}> "
        self.draw()

    def show(self, lines: list[str]) -> None:
        """Lines above chart and prompt."""
        self._write(self._erased() + "".join(f"{line}\n" for line in lines) + self._drawn())

    def draw(self) -> None:
        self._write(self._erased() + self._drawn())

    def _keys(self) -> None:
        try:
            data = os.read(self._in, 1024)
        except OSError:
            data = b""
        if not data:  # the terminal is gone
            asyncio.get_running_loop().remove_reader(self._in)
            self._entered(None)
            return
        entered = self._editor.feed(data)
        self.draw()
        for line in entered:
            self._entered(line)

    def _continued(self) -> None:
        tty.setcbreak(self._in)
        self._rows_above = 0
        self.draw()

    def _erased(self) -> str:
        up = f"\x1b[{self._rows_above}A" if self._rows_above else ""
        self._rows_above = 0
        return f"\r{up}{CLEAR_BELOW}"

    def _drawn(self) -> str:
        width = shutil.get_terminal_size().columns
        above = self._panel(width)
        if self._editor.offered:
            above = [*above, "  ".join(self._editor.offered)[: width - 1]]
        self._rows_above = len(above)
        room = max(10, width - len(self._prompt) - 1)
        first = max(0, self._editor.cursor - room + 1)
        text = self._editor.text[first : first + room]
        left = len(text) - (self._editor.cursor - first)
        back = f"\x1b[{left}D" if left else ""
        return "".join(f"{line}\n" for line in above) + self._prompt + text + back

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
