"""A serial monitor: frames decoded and readable, all other text kept as it came.

    python -m host.devices.monitor PORT [--json] [--raw]

Opens the port again whenever it goes away; ends with Ctrl-C. It only listens, so a board that
waits for acknowledgements keeps its records for the bridge.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from typing import Any, TextIO

from agent.communication import frames
from host.bridge.errors import LinkError
from host.bridge.serial_port import SerialPort

RETRY_S = 0.5
FLUSH_S = 0.5
COLOURS = {"dec": 36, "alarm": 31, "hello": 32, "health": 90, "log": 33, "rsp": 35, "tel": 90}
HEAD = ("t", "boot", "seq", "ms", "at")


def celsius(value: Any) -> str:
    return f"{value / 1000:.1f} C" if isinstance(value, int | float) else "-"


def milli(value: Any, unit: str) -> str:
    return f"{value / 1000:.2f} {unit}" if isinstance(value, int | float) else f"- {unit}"


def summary(frame: dict[str, Any]) -> str:
    """One frame in words, without its head. Any content is fine, also a malformed one."""
    kind = frame.get("t")
    if kind == "tel":
        fan = {"0": "off", "1": "on"}.get(str(frame.get("fan")), "?")
        return (
            f"case {celsius(frame.get('case_mc'))}  ambient {celsius(frame.get('ambient_mc'))}  "
            f"{milli(frame.get('power_mw'), 'W')}  {frame.get('fan_rpm')} rpm  fan {fan}  "
            f"score {frame.get('score')}/{frame.get('thr')}  {frame.get('rule')}"
        )
    if kind == "dec":
        held = f" (held: {frame['held']})" if frame.get("held") else ""
        return f"fan {'ON' if frame.get('set') else 'off'}{held}: {frame.get('why')}"
    if kind == "alarm":
        state = "ALARM" if frame.get("on") else "cleared"
        return f"{state} {frame.get('kind')}: {frame.get('why')}"
    if kind == "log":
        return f"{frame.get('lvl', '')} {frame.get('msg', '')}".strip()
    members = {key: value for key, value in frame.items() if key not in HEAD}
    return "  ".join(f"{key}={value}" for key, value in members.items())


def printable(text: str) -> str:
    """Without control characters that could drive the terminal; tabs stay."""
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


class Printer:
    """Writes frames and text lines to `out`."""

    def __init__(self, out: TextIO, as_json: bool, raw: bool, colour: bool) -> None:
        self._out = out
        self._json = as_json
        self._raw = raw
        self._colour = colour
        self._line = b""
        self._decoder = frames.Decoder()

    def feed(self, data: bytes) -> None:
        if self._raw:
            self._out.write(data.decode("utf-8", "replace"))
            self._out.flush()
            return
        self._events(self._decoder.feed(data))

    def idle(self) -> None:
        """Nothing came for a while: show an unfinished line, such as a prompt."""
        self._events(self._decoder.flush())
        self._end_line()

    def note(self, text: str) -> None:
        self._end_line()
        print(self._paint(f"--- {text}", 90), file=sys.stderr, flush=True)

    def _events(self, events: list[Any]) -> None:
        for kind, *rest in events:
            if kind == frames.TEXT:
                *lines, self._line = (self._line + rest[0]).split(b"\n")
                for line in lines:
                    self._show_text(line)
            else:
                self._end_line()
                self._show_frame(rest[0], rest[1])

    def _end_line(self) -> None:
        line, self._line = self._line, b""
        if line:
            self._show_text(line)

    def _show_text(self, line: bytes) -> None:
        if not self._json:
            text = printable(line.rstrip(b"\r").decode("utf-8", "replace"))
            print(f"{stamp()}  {text}", file=self._out, flush=True)

    def _show_frame(self, frame: dict[str, Any], raw: bytes) -> None:
        if self._json:
            print(raw.decode(), file=self._out, flush=True)
            return
        kind = printable(str(frame["t"]))[:8]
        where = f"{frame.get('boot')}/{frame.get('seq')}"
        name = self._paint(f"{kind:<6}", COLOURS.get(kind, 34))
        text = printable(summary(frame))
        print(f"{stamp()}  {name} {printable(where):<8} {text}", file=self._out, flush=True)

    def _paint(self, text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour else text


def stamp() -> str:
    now = time.time()
    return time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"


async def watch(path: str, baud: int, printer: Printer) -> None:
    """Print what comes from `path` until cancelled. Raises BrokenPipeError if nobody reads."""
    told = ""
    while True:
        # The port's callbacks only queue, so an error while printing ends this coroutine.
        events: asyncio.Queue[bytes | str] = asyncio.Queue()
        try:
            port = SerialPort(path, baud, events.put_nowait, events.put_nowait)
        except LinkError as error:
            if str(error) != told:
                told = str(error)
                printer.note(f"{path} {error}; waiting")
            await asyncio.sleep(RETRY_S)
            continue
        told = ""
        printer.note(f"{path} open")
        try:
            await show(events, printer, path)
        finally:
            port.close()
        await asyncio.sleep(RETRY_S)


async def show(events: "asyncio.Queue[bytes | str]", printer: Printer, path: str) -> None:
    """Print queued bytes until a text comes: the reason why the port is gone."""
    while True:
        try:
            # Not wait_for: on Python 3.11 it can swallow a Ctrl-C that comes with an event.
            async with asyncio.timeout(FLUSH_S):
                item = await events.get()
        except TimeoutError:
            printer.idle()
            continue
        if isinstance(item, str):
            printer.note(f"{path}: {item}; waiting for it to come back")
            return
        printer.feed(item)


async def main_async(path: str, baud: int, printer: Printer) -> None:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await watch(path, baud, printer)


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m host.devices.monitor", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("port", metavar="PORT")
    p.add_argument("--baud", type=int, default=115200)
    p.add_argument("--json", action="store_true", help="frames only, one JSON object per line")
    p.add_argument("--raw", action="store_true", help="everything as it comes, nothing decoded")
    options = p.parse_args(argv)
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    printer = Printer(sys.stdout, options.json, options.raw, colour)
    try:
        asyncio.run(main_async(options.port, options.baud, printer))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
