"""What the monitor does with what comes, and with what is typed."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from host.bridge.validate import DURABLE
from host.devices.console import Console, draws
from host.devices.errors import DeviceError
from host.devices.monitoring import words
from host.devices.monitoring.commands import HELP, Command, PromptError, complete, parse
from host.devices.monitoring.editor import Editor
from host.devices.monitoring.log_file import RECEIVED, SENT, LogFile
from host.devices.monitoring.plot import Plot
from host.devices.monitoring.screen import Screen
from host.devices.monitoring.session import ANSWER_S, Session
from host.devices.monitoring.stream import Frame, Selection, Stream, Text

# An explained record follows the answer to `explain`, if nothing older waits to be acknowledged.
RECORD_S = 6.0
GREY, GREEN, RED = 90, 32, 31
REMEMBERED = 256


@dataclass
class Wishes:
    """What was asked for on the command line. `wait_s`: end with the last answer, at the latest
    so long after each command.
    """

    raw: bool = False
    selection: Selection = field(default_factory=Selection)
    sends: list[tuple[str, Command]] = field(default_factory=list)
    wait_s: float | None = None


class Watch:
    """One run of the monitor. `interactive`: with a prompt on this terminal."""

    def __init__(
        self,
        console: Console,
        wishes: Wishes,
        plot: Plot | None = None,
        log: LogFile | None = None,
        interactive: bool = False,
    ) -> None:
        self._console = console
        self._wishes = wishes
        self._plot = plot
        self._log = log
        self._interactive = interactive
        self._coloured = console.colour
        self._stream = Stream()
        self._screen: Screen | None = None
        self._session: Session | None = None
        self._ended = asyncio.Event()
        self._shown: dict[tuple[str, str], None] = {}  # durable frames, by boot and number
        self._record: tuple[dict[str, Any], asyncio.Future[dict[str, Any]]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, device: str, baud: int) -> None:
        """Until Ctrl-C, Ctrl-D, SIGTERM, or the last answer. Raises DeviceError."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._ended.set)
        waits = self._wishes.wait_s is not None
        self._session = Session(
            device, baud, self.received, self.idle, self.note, self._log_sent, once=waits
        )
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(self._session.run())]
        tasks.append(asyncio.create_task(self._ended.wait()))
        sender = asyncio.create_task(self._send_all(self._session))
        if waits:
            tasks.append(sender)
        try:
            if self._interactive:
                editor = Editor(complete)
                with Screen(self._console.out, editor, self._entered, self._panel) as self._screen:
                    self._screen.prompt(device.rsplit("/", 1)[-1])
                    await _first(tasks)
            else:
                await _first(tasks)
        finally:
            self._screen = None
            for task in (sender, *tasks, *self._tasks):
                task.cancel()
            await asyncio.gather(sender, *tasks, *self._tasks, return_exceptions=True)

    # -- what comes ----------------------------------------------------------------------------

    def received(self, data: bytes, at_s: float | None = None) -> None:
        """Bytes of the line; `at_s` where they come from a log."""
        if at_s is None:
            at_s = time.time()
            self._log_line(RECEIVED, data, at_s)
        if self._wishes.raw:
            self._console.out.write(data.decode("utf-8", "replace"))
            self._console.out.flush()
            return
        self._show(self._stream.feed(data), at_s)

    def idle(self) -> None:
        if not self._wishes.raw:
            self._show(self._stream.idle(), time.time())

    def note(self, text: str) -> None:
        """About the line, not from it."""
        if self._console.as_json:
            self._console.event("port", text=text)
        elif self._screen:
            self._screen.show([words.paint(f"--- {text}", GREY, self._coloured)])
        else:
            print(f"--- {text}", file=self._console.err, flush=True)

    def _show(self, found: list[Frame | Text], at_s: float) -> None:
        lines = []
        for item in found:
            mine = isinstance(item, Frame) and self._look(item.frame)
            if not self._wishes.selection.shows(item.kind) or self._wishes.wait_s is not None:
                continue
            if self._console.as_json:
                if isinstance(item, Frame):
                    print(item.raw.decode(), file=self._console.out, flush=True)
                else:
                    text = words.printable(item.line.rstrip(b"\r").decode("utf-8", "replace"))
                    self._console.event("text", text=text, at=round(at_s, 3))
            elif isinstance(item, Text):
                lines.append(words.text_line(item.line, at_s))
            elif not mine and not self._repeated(item.frame):
                lines.append(words.frame_line(item.frame, at_s, self._coloured))
        if self._screen:
            self._screen.show(lines)
        else:
            for line in lines:
                self._console.line(line)

    def _look(self, frame: dict[str, Any]) -> bool:
        """Take from a frame what is of use; whether it answers a command of ours."""
        if self._plot:
            self._plot.add(frame)
        if frame["t"] == "hello" and self._screen:
            self._screen.prompt(words.printable(str(frame.get("dev")))[:32])
        if self._record and frame["t"] == "dec":
            answer, future = self._record
            # A board that hears a host also repeats older records.
            newer = frame.get("boot") == answer.get("boot") and frame.get("ms", 0) >= answer.get(
                "ms", 0
            )
            if newer and not future.done():
                future.set_result(frame)
        if frame["t"] == "rsp" and self._session:
            return self._session.answered(frame)
        return False

    def _repeated(self, frame: dict[str, Any]) -> bool:
        """A durable frame comes again until it is acknowledged; people need to read it once."""
        if frame["t"] not in DURABLE:
            return False
        key = str(frame.get("boot")), str(frame.get("seq"))
        known = key in self._shown
        self._shown[key] = None
        if len(self._shown) > REMEMBERED:
            del self._shown[next(iter(self._shown))]
        return known

    # -- what is typed -------------------------------------------------------------------------

    def _entered(self, line: str | None) -> None:
        if line is None:
            self._ended.set()
            return
        if not line:
            return
        try:
            command = parse(line)
        except PromptError as error:
            self._say(str(error), RED)
            return
        if command.name == "quit":
            self._ended.set()
        elif command.name == "help":
            for text in HELP.splitlines():
                self._say(text, GREY)
        else:
            task = asyncio.create_task(self._typed(line, command))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _typed(self, line: str, command: Command) -> None:
        assert self._session
        self._say(f"> {line}", GREY)
        try:
            answer = await self._session.ask(command)
        except DeviceError as error:
            self._say(str(error), RED)
        else:
            self._say(f"{line}: {_words(answer)}", GREEN if answer.get("ok") else RED)

    def _say(self, text: str, colour: int) -> None:
        if self._screen:
            self._screen.show([words.paint(words.printable(text), colour, self._coloured)])

    async def _send_all(self, session: Session) -> None:
        """The commands of --send, in order. With a wait: raises DeviceError where one fails."""
        for text, command in self._wishes.sends:
            await session.opened.wait()
            try:
                await self._send(session, text, command)
            except DeviceError as error:
                if self._wishes.wait_s is not None:
                    raise
                self.note(str(error))

    async def _send(self, session: Session, text: str, command: Command) -> None:
        wait_s = self._wishes.wait_s
        answer = await session.ask(command, ANSWER_S if wait_s is None else wait_s)
        ok, said = bool(answer.get("ok")), _words(answer)
        facts = {key: answer[key] for key in ("msg", "data") if key in answer}
        self._console.event("response", command=text, ok=ok, **facts)
        if not ok:
            raise DeviceError(f"{text}: the board refuses: {said}")
        if wait_s is None:
            if not self._console.as_json:
                self.note(f"{text}: {said}")
            return
        self._console.line(f"{text}: {said}")
        if command.name == "explain":
            await self._tell_record(answer, max(wait_s, RECORD_S))

    async def _tell_record(self, answer: dict[str, Any], within_s: float) -> None:
        self._record = answer, asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within_s):
                found = await self._record[1]
        except TimeoutError:
            queued = "older ones wait to be acknowledged by a bridge"
            self._console.step(f"the record itself did not come within {within_s:g} s: {queued}")
            return
        finally:
            self._record = None
        self._console.event("record", record=found)
        for name, value, unit in words.contributions(found):
            kelvin = unit == "mK"
            shown = f"{value / 1000:+8.2f} K" if kelvin else f"{value:+8.1f} {unit}"
            self._console.line(words.printable(f"  {name:<14} {shown}"))

    # -- beside it -----------------------------------------------------------------------------

    def _panel(self, width: int) -> list[str]:
        return self._plot.lines(width, self._coloured) if self._plot else []

    def _log_sent(self, data: bytes) -> None:
        self._log_line(SENT, data, time.time())

    def _log_line(self, direction: str, data: bytes, at_s: float) -> None:
        if self._log is None:
            return
        try:
            self._log.add(direction, data, at_s)
        except DeviceError as error:
            # Watching is worth more than the log: a full disk ends only that.
            self._log = None
            self.note(f"{error}; nothing more is logged")


def _words(answer: dict[str, Any]) -> str:
    """An answer as people read it: what it explains rather than that it does."""
    data = answer.get("data")
    why = data.get("why") if isinstance(data, dict) else None
    said = why or answer.get("msg") or ("done" if answer.get("ok") else "refused")
    return words.printable(str(said))


async def _first(tasks: list[asyncio.Task[Any]]) -> None:
    """Until one of `tasks` ends; raises what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def may_prompt(console: Console) -> bool:
    """Whether there is a terminal to draw on and type at."""
    terminal = sys.stdin is not None and sys.stdin.isatty()
    return terminal and draws(console.out) and not console.as_json
