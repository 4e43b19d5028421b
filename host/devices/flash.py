"""Put MicroPython on a board, then the agent.

    python -m host.devices.flash --board esp32 [--agent FILE] [--port PORT] [--image FILE] ...

Finds the port, looks at the chip, writes what is not there already, verifies, waits until
MicroPython answers, deploys, opens the monitor. docs/flash.md tells what can go wrong.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from host.devices import agent_bundles, agent_file, deploy_set, images, ports, repl_wait
from host.devices.boards import Board, list_boards, load_board
from host.devices.console import Console, Parser, run_verb
from host.devices.deploy import DeployResult, deploy
from host.devices.deploy_kept import ALL
from host.devices.deploy_set import Target
from host.devices.errors import (
    NoAnswerError,
    SettingsError,
    UnknownBoardError,
    VerifyError,
    WrongChipError,
)
from host.devices.esptool_program import BAUD, SAFE_BAUD, ChipFound, Esptool
from host.devices.flash_layout import Layout, take_apart, why_erase

PRESS_EN = "press EN (or RST) on the board now, with BOOT let go"
NOT_CHECKED = (
    "Not checked: how much of the image is there already, whether MicroPython starts from it "
    "(flash without --dry-run does both), and the agent (./run deploy --dry-run; ./run doctor "
    "for one that runs)"
)


@dataclass(frozen=True)
class Options:
    """What to flash and how. `agent`: an agent's file, deployed afterwards; None: `bare` stays as
    it is, or an agent with the board's defaults where none runs. `reset`: the port can reset the
    board. `wait_s`: for MicroPython.
    """

    board: Board
    agent: Target | None = None
    bare: bool = False
    port: str | None = None
    image: Path | None = None
    version: str | None = None
    erase: bool = False
    dry_run: bool = False
    reset: bool = True
    baud: int = BAUD
    wait_s: float = 30


@dataclass(frozen=True)
class Flashed:
    """What came of it. `written`: bytes of the image that were not on the board before."""

    port: str
    chip: ChipFound
    version: str
    written: int
    deployed: DeployResult | None = None


@dataclass(frozen=True)
class Defaults:
    """An agent as its board's file describes it."""

    board: Board
    config: dict[str, Any]
    bundles: tuple[Path, ...]


def flash(options: Options, console: Console) -> Flashed:
    """Put the image on the board and see MicroPython start. Raises DeviceError, Stopped."""
    board = options.board
    if board.flash is None:
        raise UnknownBoardError(
            f"{board.name} is no board with a flash; there are: {', '.join(flashable())}"
        )
    if options.agent:
        deploy_set.check(options.agent)
    image = images.resolve(board, version=options.version, image=options.image, console=console)
    console.step(f"image {image.path.name} {image.version}".rstrip(), sha256=image.sha256)
    port = ports.choose(options.port, board)
    console.step(f"port {port}", port=port)
    layout = take_apart(image.path.read_bytes(), board.flash.offset)

    mode = ("--flash-mode", board.flash.mode, "--flash-freq", board.flash.freq)
    tool = Esptool(port, options.reset, mode)
    found = tool.find()
    console.step(
        f"chip {found.title}, {found.flash_kb // 1024} MB flash, {found.mac}",
        chip=found.chip, flash_kb=found.flash_kb, mac=found.mac,
    )  # fmt: skip
    require_fit(found, board, layout)
    why = "--erase was given" if options.erase else why_erase(found.table, layout)
    _tell_plan(console, layout, why, options.dry_run)
    if options.dry_run:
        restarted = "was restarted" if options.reset else f"is in its loader still, {PRESS_EN}"
        console.step(
            f"nothing was written; to look at the chip the board {restarted}. {NOT_CHECKED}",
            not_checked=["what is there already", "the start of MicroPython", "the agent"],
        )
        return Flashed(port, found, "", 0)

    written = write(tool, layout, bool(why), options.baud, console)
    if not options.reset:
        console.step(PRESS_EN)
    alive = repl_wait.wait(port, options.wait_s)
    console.step(f"{alive.banner or 'the agent that was there before'} answers")
    result = None if options.bare else _deploy(options, found, alive, port, console)
    return Flashed(port, found, alive.version or image.version, written, result)


def _deploy(
    options: Options, found: ChipFound, alive: repl_wait.Alive, port: str, console: Console
) -> DeployResult | None:
    target = options.agent
    keep = "" if target else ALL
    if target is None and not alive.banner:
        console.step("the agent on the board stays as it is; --agent FILE changes it")
        return None
    if target is None:
        # The end of its address tells one board from the next of its kind.
        name = "-".join([options.board.name, found.mac.replace(":", "")[-6:]]).rstrip("-")
        target = defaults(options.board, name, console)
    return deploy(port, target, console, keep=keep)


def defaults(board: Board, device: str, console: Console) -> Defaults:
    """What runs on a board of which nobody said anything: its usual wiring, our own models."""
    config = board.device_config(device=device)
    bundles = agent_bundles.choose(board, config, agent_bundles.DEFAULT_BUNDLES)
    for message in bundles.left_out:
        console.step(message)
    return Defaults(board, config, bundles.taken)


def require_fit(found: ChipFound, board: Board, layout: Layout) -> None:
    """Raises WrongChipError if the chip that was found is none for `board` and the image."""
    if found.chip != board.chip:
        others = [name for name in flashable() if load_board(name).chip == found.chip]
        hint = (
            f"it could be: {', '.join(others)}; say which with --board"
            if others
            else "there is no file in boards/ for that chip yet"
        )
        raise WrongChipError(
            f"this is an {found.title}, but {board.name} has an {board.chip}; {hint}"
        )
    assert board.flash is not None
    needed_kb = max(board.flash.size_kb, layout.end // 1024)
    if found.flash_kb and found.flash_kb < needed_kb:
        raise WrongChipError(
            f"the flash has {found.flash_kb} KB, {board.name} with this image needs {needed_kb} KB;"
            " take the image for less flash with --image, or another board"
        )


def write(tool: Esptool, layout: Layout, erase: bool, baud: int, console: Console) -> int:
    """Write and verify; once more, slowly, if the line was too bad. Bytes that were written."""
    total = sum(len(part.data) for part in layout.parts)
    try:
        with console.progress("writing", total) as progress:
            already = tool.write(layout.parts, erase, baud, progress)
    except (NoAnswerError, VerifyError) as error:
        if not tool.reset or baud <= SAFE_BAUD or not os.path.exists(tool.port):
            raise
        console.step(f"at {baud} baud: {str(error).splitlines()[0]}")
        console.step(f"once more at {SAFE_BAUD} baud", baud=SAFE_BAUD)
        with console.progress("writing", total) as progress:
            already = tool.write(layout.parts, erase, SAFE_BAUD, progress)
    written = total - already
    if written:
        console.step(f"{written} bytes written and verified", bytes=written, skipped=already)
    else:
        console.step("the board has exactly this image: nothing to write", bytes=0, skipped=already)
    return written


def flashable() -> list[str]:
    """Names of the boards that have a flash of their own."""
    return [name for name in list_boards() if load_board(name).flash]


def _tell_plan(console: Console, layout: Layout, why_erase: str | None, dry_run: bool) -> None:
    is_, are = ("would be", "would be") if dry_run else ("is", "are")
    if why_erase:
        console.step(f"the whole flash {is_} erased: {why_erase}", erase=True)
    else:
        console.step(f"files and settings on the board {are} kept", erase=False)
    for part in layout.parts if dry_run else ():
        text = f"{part.name}: {len(part.data)} bytes would be written at {part.offset:#x}"
        console.step(text, offset=part.offset, bytes=len(part.data))


def _options(words: argparse.Namespace) -> Options:
    agent = agent_file.load(words.agent) if words.agent else None
    name = words.board or (agent.board.name if agent else "")
    if not name:
        raise SettingsError(["say what to flash: --board NAME, or --agent FILE"])
    if agent and agent.board.name != name:
        raise SettingsError([f"{words.agent} is for the board {agent.board.name}, not {name}"])
    return Options(
        board=load_board(name),
        agent=agent,
        bare=words.no_deploy,
        port=words.port,
        image=words.image,
        version=words.version,
        erase=words.erase,
        dry_run=words.dry_run,
        reset=not words.no_reset,
        baud=words.baud,
        wait_s=words.wait,
    )


def _verb(words: argparse.Namespace, console: Console) -> int:
    done = flash(_options(words), console)
    chip, mac, deployed = done.chip.chip, done.chip.mac, done.deployed
    console.done(
        port=done.port, chip=chip, mac=mac, version=done.version, written=done.written,
        deployed=asdict(deployed) if deployed else None, dry_run=words.dry_run,
    )  # fmt: skip
    if not (words.json or words.no_monitor or words.dry_run):
        command = [sys.executable, "-m", "host.start", "host.devices.monitor", done.port]
        if os.name != "nt":
            os.execv(sys.executable, command)
        return subprocess.run(command).returncode
    return 0


def main(argv: list[str] | None = None) -> int:
    p = Parser("flash", __doc__)
    p.add_argument("--board", help="a file in boards/, e.g. esp32")
    p.add_argument("--agent", type=Path, help="an agent's file: board, models, settings")
    p.add_argument("--port", help="serial port, pty or URL (default: found by its USB id)")
    p.add_argument("--image", type=Path, help="a .bin instead of the official one")
    p.add_argument("--version", help="of the official one: 1.25.0, or newest")
    p.add_argument("--erase", action="store_true", help="erase the whole flash first")
    p.add_argument("--dry-run", action="store_true", help="look and tell, change nothing")
    p.add_argument("--no-deploy", action="store_true", help="MicroPython alone, no agent")
    p.add_argument("--no-monitor", action="store_true", help="end without opening the monitor")
    p.add_argument("--json", action="store_true", help="for programs; opens no monitor")
    p.add_argument("--no-reset", action="store_true", help="the port cannot reset the board")
    p.add_argument("--baud", type=int, default=BAUD, help=f"while writing (default {BAUD})")
    p.add_argument("--wait", type=float, default=30, help="seconds MicroPython has to start")
    words = p.parse_args(argv)
    return run_verb(words.json, lambda console: _verb(words, console))


if __name__ == "__main__":
    sys.exit(main())
