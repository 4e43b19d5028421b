"""`./run boards`: the boards there are, and with --show one of them: its pins and its budgets.

    python -m host.devices.show [--show NAME] [--json]

Drawn for 80 columns. Colours repeat what the marks say, so nothing is lost without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console as RichConsole
from rich.text import Text

from host.devices.agent_bundles import FIRMWARE_HEAP_KB
from host.devices.boards import Board, list_boards, load_board
from host.devices.console import Console, Parser, run_verb
from host.devices.errors import BoardFileError
from host.devices.pins import USES, users_of

# 48 files of an ESP32 in blocks of 4 KB, measured; docs/boards.md.
FIRMWARE_FLASH_KB = 216
# Partition of the stock images for boot loader and MicroPython (ports/esp32/partitions-4MiBplus.csv
# there), and what the firmware keeps for unacknowledged frames.
MICROPYTHON_KB = 2048
SPOOL_KB = 64
# A cooling model and an anomaly model; a deploy keeps the files it replaces.
MODELS = 2
SETS = 2
BAR = 50

_USE_WORDS = {"ds18b20": "DS18B20", "ntc": "NTC", "i2c": "I2C", "tach": "tachometer"}
_USED, _FREE, _NEVER = "#", "+", "-"
_STYLES = {_USED: "bold cyan", _FREE: "green", _NEVER: "dim"}
# A mark for each part of a bar, told apart without colour.
_BAR_STYLES = {"█": "blue", "▓": "magenta", "▒": "yellow", "░": "cyan", "·": "green"}


@dataclass(frozen=True)
class PinLine:
    """Neighbouring pins of which the same can be said. mark: used, free or not for wiring."""

    first: int
    last: int
    mark: str
    text: str

    @property
    def span(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def pin_lines(board: Board, wiring: Mapping[str, Any] | None = None) -> list[PinLine]:
    """One entry for each run of pins. wiring: settings to draw; None: the board's default."""
    users = dict(_users(board, wiring))
    lines: list[PinLine] = []
    for pin in board.pins.all():
        mark, text = _said(board, pin, users)
        last = lines[-1] if lines else None
        if last and (last.mark, last.text, last.last + 1) == (mark, text, pin) and mark != _USED:
            lines[-1] = PinLine(last.first, pin, mark, text)
        else:
            lines.append(PinLine(pin, pin, mark, text))
    return lines


def _users(board: Board, wiring: Mapping[str, Any] | None) -> Iterator[tuple[int, str]]:
    wiring = wiring or {"relay": board.relay, "sensors": board.sensors}
    for member, pin, _ in users_of(wiring):
        parts = member.split(".")
        if parts[0] == "relay":
            relay = wiring["relay"]
            fan, level = relay.get("contact", "nc"), relay.get("active", "high")
            yield pin, f"relay, fan on the {fan.upper()} contact, draws on {level}"
        else:
            wire = "" if parts[2] == "pin" else f" {parts[2].upper()}"
            driver = wiring["sensors"][parts[1]]["driver"]
            yield pin, f"{parts[1]}: {_USE_WORDS.get(driver, driver.upper())}{wire}"


def _said(board: Board, pin: int, users: Mapping[int, str]) -> tuple[str, str]:
    if pin in users:
        return _USED, users[pin]
    why = board.pins.refusal(pin)
    if pin in board.pins.of("relays") and not board.pins.refusal(pin, "relay"):
        return _FREE, "relay only: it is wired to one"
    if why:
        return _NEVER, why.removeprefix("is ")
    fitting = [use for use in USES if not board.pins.refusal(pin, use)]
    if len(fitting) == len(USES):
        return _FREE, "anything"
    missing = [use for use in USES if use not in fitting]
    if len(fitting) < len(missing):
        return _FREE, f"{', '.join(_words(fitting))} only"
    return _FREE, f"anything but {', '.join(_words(missing))}"


def _words(uses: Sequence[str]) -> list[str]:
    return [_USE_WORDS.get(use, use) for use in uses]


def heap_parts(board: Board) -> list[tuple[str, float]]:
    """(what, KB) of the heap; the last is what stays free when every budget is used up."""
    model, arena = board.model_bytes / 1024, board.arena_bytes / 1024
    free = board.heap_kb - FIRMWARE_HEAP_KB - model - arena
    return [("firmware", FIRMWARE_HEAP_KB), ("model", model), ("arena", arena), ("free", free)]


def flash_parts(board: Board) -> list[tuple[str, float]]:
    """(what, KB) of the flash; empty for a board that is not flashed."""
    if board.flash is None:
        return []
    models = SETS * MODELS * board.model_bytes / 1024
    parts = [
        ("MicroPython", float(MICROPYTHON_KB)),
        ("firmware", float(SETS * FIRMWARE_FLASH_KB)),
        ("models", models),
        ("spool", float(SPOOL_KB)),
    ]
    return [*parts, ("free", board.flash.size_kb - sum(kb for _, kb in parts))]


def bar(name: str, total_kb: int, parts: Sequence[tuple[str, float]]) -> list[Text]:
    """Two lines: the bar, in which every part has at least one mark, and what is what."""
    marks = [*"█▓▒░"[: len(parts) - 1], "·"]
    drawn = Text(f" {name:<6}{total_kb:>6} KB  ")
    legend = Text(" " * 6)
    left = BAR
    for mark, (what, kb) in zip(marks, parts, strict=True):
        width = left if mark == "·" else min(left, max(1, round(BAR * kb / total_kb)))
        left -= width
        drawn.append(mark * width, _BAR_STYLES[mark])
        legend.append(mark, _BAR_STYLES[mark]).append(f" {what} {kb:.0f}  ")
    legend.rstrip()
    return [drawn, legend]


def drawing(board: Board) -> list[Text]:
    """The board as people see it, for 80 columns."""
    native = board.native
    kernels = f"{native.kernels} ({native.march})" if native else "none, plain MicroPython"
    image = board.image.stem + f", {board.image.min_version} or newer" if board.image else "none"
    lines = [
        Text(f"{board.name}: {board.title}", "bold"),
        Text(f" chip     {board.chip}; native kernels: {kernels}"),
        Text(f" image    {image}"),
    ]
    if board.flash:
        lines.append(Text(f" written  at {board.flash.offset:#x}"))
    lines += [Text(), Text(" GPIO"), *(_pin_text(line) for line in pin_lines(board)), Text()]
    legend = Text(" ")
    words = ((_USED, "in the default wiring"), (_FREE, "free for"), (_NEVER, "not for wiring"))
    for mark, meaning in words:
        legend.append(mark, _STYLES[mark]).append(f" {meaning}   ")
    legend.rstrip()
    lines += [legend, Text()]
    if board.flash:
        lines += bar("flash", board.flash.size_kb, flash_parts(board))
    return lines + bar("heap", board.heap_kb, heap_parts(board))


def _pin_text(line: PinLine) -> Text:
    text = Text(f" {line.span:>5}  ")
    return text.append(f"{line.mark} {line.text}", _STYLES[line.mark])


def table(boards: Sequence[Board]) -> list[str]:
    """One line a board, under a head."""
    rows = [("name", "title", "chip", "flash", "heap", "image")]
    rows += [
        (
            board.name,
            board.title,
            board.chip if board.flash else "-",
            f"{board.flash.size_kb // 1024} MB" if board.flash else "-",
            f"{board.heap_kb} K",
            board.image.stem if board.image else "-",
        )
        for board in boards
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        " ".join(
            cell.rjust(width) if column in (3, 4) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def facts(board: Board) -> dict[str, Any]:
    """A board for programs."""
    return {
        "name": board.name,
        "title": board.title,
        "chip": board.chip,
        "kernels": board.native.kernels if board.native else None,
        "flash": vars(board.flash) if board.flash else None,
        "image": {**vars(board.image), "stem": board.image.stem} if board.image else None,
        "usb_ids": [f"{vendor:04x}:{product:04x}" for vendor, product in board.usb_ids],
        "memory": {
            "heap_kb": board.heap_kb,
            "arena_bytes": board.arena_bytes,
            "model_bytes": board.model_bytes,
        },
        "wiring": {"relay": board.relay, "sensors": board.sensors},
    }


def details(board: Board) -> dict[str, Any]:
    """What the drawing shows, for programs."""
    users = dict(_users(board, None))
    words = {_USED: "used", _FREE: "free", _NEVER: "never"}
    told = {pin: _said(board, pin, users) for pin in board.pins.all()}
    return {
        **facts(board),
        "pins": [
            {
                "pin": pin,
                "state": words[mark],
                "text": text,
                "uses": [use for use in USES if not board.pins.refusal(pin, use)],
            }
            for pin, (mark, text) in told.items()
        ],
        "heap_parts_kb": dict(heap_parts(board)),
        "flash_parts_kb": dict(flash_parts(board)),
    }


def show(console: Console, name: str = "") -> None:
    """The verb. name: of one board; "": all of them. Raises as load_board does."""
    if name:
        board = load_board(name)
        if console.as_json:
            console.done(board=details(board))
            return
        out = RichConsole(file=console.out, highlight=False, no_color=not console.colour)
        for line in drawing(board):
            out.print(line, soft_wrap=True)
        return
    boards, problems = [], []
    for each in list_boards():
        try:
            boards.append(load_board(each))
        except BoardFileError as error:
            problems += error.problems
    if not console.as_json:
        for row in table(boards):
            console.line(row)
    if problems:
        raise BoardFileError(problems)
    console.done(boards=[facts(board) for board in boards])


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("boards", "The boards there are.")
    parser.add_argument("--show", metavar="NAME", default="", help="draw one: pins and budgets")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(argv)
    return run_verb(options.json, lambda console: show(console, options.show))


if __name__ == "__main__":
    raise SystemExit(main())
