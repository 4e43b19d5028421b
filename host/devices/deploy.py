"""Put firmware, settings and models on a board, all or nothing, and see them run.

    python -m host.devices.deploy [--port P] [--board B] [--agent FILE] [--bundle DIR ...]
                                  [--defaults] [--dry-run] [--json] [--no-restart]

docs/deploy.md says what lies where on the board, and what a cut at any moment leaves.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.devices import agent_file, deploy_set, ports, trial
from host.devices.board_repl import BoardRepl
from host.devices.boards import Board, load_board
from host.devices.console import Console, Parser, run_verb
from host.devices.deploy_board import perform, read_state, require_chip
from host.devices.deploy_kept import ALL, SETTINGS, kept
from host.devices.deploy_plan import BoardState, Plan, make_plan
from host.devices.deploy_set import Target
from host.devices.errors import DeviceError, NoAnswerError, SettingsError, Stopped

# A set that does not come up is given up after three boots, each with 5 s before the next.
HELLO_S = 90.0
HEAD = ("t", "boot", "seq", "ms", "at")


@dataclass(frozen=True)
class DeployResult:
    """`set_id`, and the one before; `changed`: paths sent, `copied` on the board from the old set;
    `running`: whether the board has said that the set runs (not asked with restart=False or
    dry_run); `hello`: the frame it said it with.
    """

    port: str
    set_id: str
    old_id: str
    changed: tuple[str, ...]
    copied: tuple[str, ...]
    sent_bytes: int
    seconds: float
    repeats: int
    running: bool
    hello: dict[str, Any]


@dataclass(frozen=True)
class _Choice:
    board: Board
    config: dict[str, Any]
    bundles: tuple[Path, ...]


def deploy(
    port: str,
    target: Target,
    console: Console,
    *,
    dry_run: bool = False,
    restart: bool = True,
    keep: str = "",
    patience: float = 1.0,
) -> DeployResult:
    """Make the board at `port` run what `target` (an AgentFile) says.

    keep: what the board has of its own, SETTINGS or ALL of deploy_kept, stays. dry_run: says what
    would be written; the program on the board is stopped and started again for it. patience: time
    limits, made for real boards, are so many times longer. Raises DeviceErrors: SettingsError and
    BuildError before the port is opened (those about what is to be kept later), later the others;
    the board then runs what it ran before, or is about to go back to it by itself.
    """
    deploy_set.check(target)
    deploy_set.wanted(target)
    begin = time.monotonic()
    with BoardRepl(port, patience=patience) as repl:
        console.step(f"{port}: stopping the program", port=port)
        try:
            repl.enter()
            plan, models = _put(repl, target, console, dry_run, keep)
        except KeyboardInterrupt:
            repl.let_go()
            raise Stopped("stopped: the board goes back to work with what it had") from None
        hello: dict[str, Any] = {}
        if restart or dry_run:
            repl.reset()
        if restart and not dry_run:
            console.step("waiting for the board to say what runs")
            try:
                hello = trial.wait(repl, plan.set_id, models, HELLO_S * patience)
            except KeyboardInterrupt:
                raise Stopped(
                    f"stopped: set {plan.set_id} is on the board, which has not said yet whether "
                    "it runs; if not, the board goes back by itself: ./run doctor tells"
                ) from None
        return DeployResult(
            port=port,
            set_id=plan.set_id,
            old_id=plan.old.id,
            changed=plan.changed,
            copied=plan.copied,
            sent_bytes=0 if dry_run else plan.sent,
            seconds=round(time.monotonic() - begin, 1),
            repeats=repl.repeats,
            running=bool(hello),
            hello={key: value for key, value in hello.items() if key not in HEAD},
        )


def _put(
    repl: BoardRepl, target: Target, console: Console, dry_run: bool, keep: str
) -> tuple[Plan, list[str]]:
    # The plan, and the names of the models.
    try:
        require_chip(repl, target.board)
        state = read_state(repl)
        with tempfile.TemporaryDirectory() as folder:
            if keep:
                target = _kept(repl, state, target, keep, Path(folder), console)
            models, files = deploy_set.check(target), deploy_set.wanted(target)
        plan = make_plan(state, files)
        _tell(plan, console)
        if not dry_run:
            with console.progress(f"set {plan.set_id}", plan.sent) as done:
                perform(repl, plan.ops, done)
    except NoAnswerError:
        raise
    except DeviceError:
        # Back to work with what it had.
        repl.reset()
        raise
    return plan, models


def _kept(
    repl: BoardRepl, state: BoardState, target: Target, what: str, folder: Path, console: Console
) -> Target:
    own = kept(repl, state, target, what, folder)
    if own is not target:
        device = own.config["device"]
        console.step(f"the board keeps its own {what}, as {device}", device=device)
    return own


def _tell(plan: Plan, console: Console) -> None:
    facts = {"set": plan.set_id, "old": plan.old.id, "changed": list(plan.changed)}
    if not plan.ops:
        console.step(f"set {plan.set_id} is there already", **facts)
        return
    console.step(
        f"set {plan.set_id} goes to /{plan.slot}: {len(plan.changed)} files sent "
        f"({plan.sent / 1024:.1f} KB), {len(plan.copied)} copied on the board; "
        f"{plan.need // 1024} of {plan.free // 1024} KB free flash",
        **facts,
    )


def _choose(options: argparse.Namespace) -> Target:
    if not options.agent and not options.board:
        raise SettingsError(["say what to deploy: --agent FILE, or --board NAME"])
    if options.agent and options.defaults:
        raise SettingsError(["--agent has settings of its own: leave --defaults out"])
    if not options.agent:
        board = load_board(options.board)
        return _Choice(board, board.device_config(device=board.name), tuple(options.bundle))
    agent = agent_file.load(options.agent)
    if options.board and options.board != agent.board.name:
        raise SettingsError(
            [f"{options.agent} is for the board {agent.board.name}, not {options.board}"]
        )
    if options.bundle:
        return dataclasses.replace(agent, bundles=tuple(options.bundle))
    return agent


def run(options: argparse.Namespace, console: Console) -> int:
    target = _choose(options)
    deploy_set.check(target)
    port = ports.choose(options.port, target.board)
    keep = "" if options.agent or options.defaults else SETTINGS if options.bundle else ALL
    restart = not options.no_restart
    result = deploy(port, target, console, dry_run=options.dry_run, restart=restart, keep=keep)
    if result.running:
        text = (
            f"running: set {result.set_id}, firmware {result.hello.get('fw')} on {port}, "
            f"after {result.seconds} s; kept as the good one after a minute without a fault"
        )
    elif options.dry_run:
        text = f"nothing was written; {len(result.changed)} files would be"
    else:
        text = f"set {result.set_id} runs from the next reset on"
    console.done(text, **dataclasses.asdict(result))
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = Parser("deploy", __doc__)
    parser.add_argument("--port", help="default: the only one that looks like the board")
    parser.add_argument("--board", help="a file in boards/, e.g. esp32")
    parser.add_argument("--agent", type=Path, help="an agent's file: board, models, settings")
    parser.add_argument("--bundle", type=Path, action="append", default=[], help="may be repeated")
    parser.add_argument(
        "--defaults", action="store_true", help="without --agent: replace the board's own settings"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be written")
    parser.add_argument("--no-restart", action="store_true", help="leave the board at its prompt")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(argv)
    return run_verb(options.json, lambda console: run(options, console))


if __name__ == "__main__":
    sys.exit(main())
