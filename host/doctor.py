"""`./run doctor`: what is wrong, one line each, with the next step.

    python -m host.doctor                       this machine: what the project needs, and its ports
    python -m host.doctor --port [P] [--board B | --agent FILE] [--restart]     a board
    python -m host.doctor --broker mqtt://HOST                                  an MQTT broker

Exit code 0 when nothing is wrong, 1 otherwise; where a board's port cannot be opened, the code of
that (docs/exit-codes.md). A board is neither reset nor stopped unless --restart is given.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.version import VERSION
from host.devices.console import Console, Parser, run_verb
from host.devices.doctoring.finding import Finding, State

if TYPE_CHECKING:
    # Loaded where they are used: what this machine lacks must not keep the doctor from saying so.
    from host.devices.boards import Board
    from host.devices.doctoring.classify import Expected

COLOURS = {State.OK: 32, State.OPTIONAL: 33, State.WRONG: 31}
ROOT = Path(__file__).resolve().parent.parent
BUNDLES = ROOT / "training" / "bundles"


class Report:
    """Prints findings as they come and counts what is wrong."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.wrong = 0

    def add(self, findings: Iterable[Finding]) -> None:
        from host.devices.monitoring.words import paint, printable

        for finding in findings:
            self.wrong += finding.state is State.WRONG
            detail, step = printable(finding.detail), printable(finding.next_step)
            facts = {"what": finding.what, "detail": detail, "next_step": step}
            self._console.event("finding", state=finding.state.name.lower(), **facts)
            mark = finding.state.value if finding.what else "  "
            mark = paint(mark, COLOURS[finding.state], self._console.colour)
            self._console.line(f"{mark} {finding.what:<16} {detail}")
            if step:
                self._console.line(f"{'':>19} -> {step}")


def expectations(options: argparse.Namespace) -> tuple[Board | None, Expected]:
    """Its kind, and what it should be. Raises SettingsError, UnknownBoardError,
    BuildError.
    """
    from host.devices import agent_file, deploy_plan, deploy_set
    from host.devices.boards import load_board
    from host.devices.doctoring.classify import Expected

    if options.agent:
        agent = agent_file.load(options.agent)
        board = agent.board
        files = deploy_set.wanted(agent)
        kept = {name: files[name] for name in files if name not in deploy_plan.BESIDE_SETS}
        return board, Expected(
            models=_models(agent.bundles),
            source=options.agent.name,
            strict=True,
            chip=_chip(board),
            board=board.name,
            device=agent.config["device"],
            limit_mc=agent.config.get("limit_mc"),
            set_id=deploy_plan.set_id(kept),
        )
    models = _models(BUNDLES / role for role in ("cooling", "anomaly"))
    if not options.board:
        return None, Expected(models)
    board = load_board(options.board)
    return board, Expected(models, chip=_chip(board), board=board.name)


def _chip(board: Board) -> str:
    from host.devices.boards import SIMULATED

    return "" if board.chip == SIMULATED else board.chip


def _models(folders: Iterable[Path]) -> dict[str, str]:
    names = {}
    for folder in folders:
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            names[manifest["role"]] = f"{manifest['id']}@{manifest['version']}"
        except (OSError, ValueError, KeyError):
            continue
    return names


def look_at_board(options: argparse.Namespace, console: Console, report: Report) -> None:
    """Raises DeviceError: what was named is wrong, or the port cannot be opened."""
    from host.devices.doctoring import look, usb
    from host.devices.doctoring.classify import Facts, classify
    from host.devices.errors import PortError
    from host.devices.monitoring.session import choose_port

    board, expected = expectations(options)
    try:
        device = choose_port(options.port or None, board)
    except PortError:
        report.add(usb.findings())
        raise
    report.add([Finding(State.OK, "port", f"{device} can be opened")])
    console.step(f"listening to {device} for {options.listen:g} s, then asking who it is")
    seen = look.look(device, options.baud, options.listen, options.restart)
    facts = Facts(
        listened_s=seen.listened_s,
        fw=VERSION,
        expected=expected,
        files=seen.files,
        hello_at_s=seen.hello_at_s,
        restarted=seen.restarted,
        gone=seen.gone,
    )
    if seen.cannot_restart:
        report.add([Finding(State.OPTIONAL, "restart", "not possible", seen.cannot_restart)])
    report.add(classify(seen.text, seen.frames, facts))


def doctor(options: argparse.Namespace, console: Console) -> int:
    report = Report(console)
    to_board = options.port is not None or options.board or options.agent
    if not to_board and not options.broker:
        from host.devices.doctoring import machine

        for check in machine.CHECKS:
            report.add(check())
    if options.broker:
        from host.devices.doctoring import broker

        report.add([broker.check(broker.address(options.broker))])
    if to_board:
        look_at_board(options, console, report)
    console.done(wrong=report.wrong)
    return 1 if report.wrong else 0


def main(argv: list[str] | None = None) -> int:
    p = Parser("doctor", __doc__)
    p.add_argument("--port", nargs="?", const="", help="look at a board (default: the only one)")
    p.add_argument("--board", help="the kind of board it should be (./run boards)")
    p.add_argument("--agent", type=Path, metavar="FILE", help="the agent's file it should run")
    p.add_argument("--broker", metavar="URL", help="can this MQTT broker be used?")
    p.add_argument("--restart", action="store_true", help="restart the board, and watch it start")
    p.add_argument("--listen", type=float, default=3.0, metavar="SECONDS", help="before asking (3)")
    p.add_argument("--baud", type=int, default=115200)
    p.add_argument("--json", action="store_true", help="one JSON object per line")
    options = p.parse_args(argv)
    if options.broker:
        from host.devices.doctoring import broker

        try:
            broker.address(options.broker)
        except ValueError as error:
            p.error(str(error))
    if options.restart and options.port is None and not (options.board or options.agent):
        p.error("--restart: of which board? Add --port")
    return run_verb(options.json, lambda console: doctor(options, console))


if __name__ == "__main__":
    sys.exit(main())
