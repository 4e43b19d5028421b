"""A serial monitor: frames decoded and readable, all other text kept as it came.

    python -m host.devices.monitor [PORT] [--board B] [--type dec,alarm] [--not tel]
        [--plot case_mc,ambient_mc] [--log FILE] [--send "override on 10m" [--wait]]
        [--json | --raw]

Opens the port again whenever it goes away, and ends with Ctrl-C. It only listens, so a board that
waits for acknowledgements keeps its records for the bridge; on a terminal there is a prompt for
commands (docs/monitor.md).
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from host.devices import ports
from host.devices.boards import load_board
from host.devices.console import Console, Parser, run_verb
from host.devices.errors import PortError
from host.devices.monitoring.commands import PromptError, parse
from host.devices.monitoring.log_file import RECEIVED, LogFile, read_log
from host.devices.monitoring.plot import Plot
from host.devices.monitoring.session import ANSWER_S, choose_port
from host.devices.monitoring.stream import Selection, kinds
from host.devices.monitoring.watch import Watch, Wishes, may_prompt

PLOTTED = "case_mc,fan"


def parser() -> argparse.ArgumentParser:
    p = Parser("monitor", __doc__)
    p.add_argument("port", metavar="PORT", nargs="?", help="default: the only one with a board")
    p.add_argument("--board", help="kind of board, to find its port by")
    p.add_argument("--baud", type=int, default=115200)
    p.add_argument("--type", action="append", default=[], help="only these, e.g. dec,alarm,text")
    p.add_argument("--not", action="append", default=[], dest="without", help="all but these")
    p.add_argument("--plot", nargs="?", const=PLOTTED, help="members of tel, below the frames")
    p.add_argument("--log", type=Path, metavar="FILE", help="every byte with its time")
    p.add_argument("--replay", type=Path, metavar="FILE", help="show a log instead of a port")
    p.add_argument("--send", action="append", default=[], metavar="COMMAND")
    p.add_argument("--wait", nargs="?", const=ANSWER_S, type=float, metavar="SECONDS")
    how = p.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="one JSON object per line")
    how.add_argument("--raw", action="store_true", help="everything as it comes, nothing decoded")
    return p


def wishes(options: argparse.Namespace) -> Wishes:
    """Raises ValueError for what cannot be meant."""
    if options.wait is not None and not options.send:
        raise ValueError("--wait: for the answer to what? Add --send COMMAND")
    if options.raw and options.send:
        raise ValueError("--raw and --send exclude each other: an answer has to be decoded")
    sends = []
    for text in options.send:
        command = parse(text)
        if command.local:
            raise PromptError(f"{text}: only at the prompt")
        sends.append((text, command))
    selection = Selection(kinds(options.type), kinds(options.without))
    return Wishes(options.raw, selection, sends, options.wait)


def find(options: argparse.Namespace) -> str:
    """The device to open. Raises DeviceError; one that is named but not there is waited for."""
    if options.port and ports.is_url(options.port):
        raise PortError(f"{options.port}: the monitor needs a serial device, not an address")
    if options.port and not os.path.exists(options.port) and options.wait is None:
        return str(options.port)
    return choose_port(options.port, load_board(options.board) if options.board else None)


def monitor(
    options: argparse.Namespace, wished: Wishes, plot: Plot | None, console: Console
) -> int:
    if options.replay:
        watch = Watch(console, wished, plot)
        at_s = 0.0
        for at_s, direction, data in read_log(options.replay):
            if direction == RECEIVED:
                watch.received(data, at_s)
        watch.idle()
        return 0
    device = find(options)
    interactive = may_prompt(console) and not options.raw and options.wait is None
    if plot and not interactive:
        console.step("the plot needs a terminal that moves its cursor; it is left out")
    log = LogFile(options.log) if options.log else None

    async def watch_port() -> None:
        await Watch(console, wished, plot, log, interactive).run(device, options.baud)

    try:
        asyncio.run(watch_port())
    finally:
        if log:
            log.close()
    if wished.wait_s is not None:
        console.done()
    return 0


def main(argv: list[str] | None = None) -> int:
    p = parser()
    options = p.parse_args(argv)
    try:
        wished = wishes(options)
        plot = Plot(options.plot.split(",")) if options.plot else None
    except ValueError as error:
        p.error(str(error))
    return run_verb(options.json, lambda console: monitor(options, wished, plot, console))


if __name__ == "__main__":
    sys.exit(main())
