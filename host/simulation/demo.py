"""`./run demo`: the whole chain on this machine, from virtual sensors to a page in the browser.

VM, models, exactness, plant, boards, bridge; then one line per decision until the time is up or
Ctrl-C. The bridge is a process of its own: when it dies, the boards go on cooling, and it is
started again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from agent.config import LINKS
from host.devices.errors import DeviceError
from host.simulation.bridge_process import BridgeProcess, held_port, parse_http
from host.simulation.control import HELP, serve_control
from host.simulation.errors import SimulationError
from host.simulation.faults import parse_fault
from host.simulation.fleet import BUNDLES, ROLES, ROOT, Fleet
from host.simulation.vm import describe, ensure_vm
from training.errors import TrainingError

FOLDER = Path(os.environ.get("FANWISE_DEMO_FOLDER", ROOT / ".cache" / "demo"))
CONTROL_SOCKET = FOLDER / "control"
DEFAULT_SPEED = 10.0
MAX_SPEED = 100.0


def say(what: str, text: str) -> None:
    print(f"{what:<12} {text}", flush=True)


def number(low: float, high: float) -> Callable[[str], float]:
    """An argparse type: a number from `low` to `high`."""

    def convert(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text}: expected a number from {low:g} to {high:g}")
        return value

    convert.__name__ = "number"
    return convert


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="./run demo", description=__doc__.split("\n\n")[0])
    p.add_argument("--seconds", type=number(1, 1e6), help="end by itself after so long")
    p.add_argument("--no-train", action="store_true", help="use the bundles in the repository")
    p.add_argument("--replay", type=Path, metavar="FILE", help="recorded run for the sensors")
    p.add_argument("--speed", type=number(0.1, MAX_SPEED), default=DEFAULT_SPEED)
    p.add_argument("--fault", action="append", default=[], metavar="NAME@SECONDS[:BOARD]")
    p.add_argument("--broker", metavar="URL", help="MQTT broker (default: one inside the bridge)")
    p.add_argument("--link", choices=LINKS, default=LINKS[0], help="of the boards")
    p.add_argument("--http", metavar="HOST:PORT", help="address of the live page")
    p.add_argument("--seed", type=int, default=1, help="another plant, another day")
    return p


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """The demo's folder for this process alone, emptied."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock: IO[str] = FOLDER.with_suffix(".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SimulationError(
                "another ./run demo is running from this checkout; stop it with Ctrl-C first"
            ) from None
        for path in FOLDER.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        yield


def make_bundles(train: bool) -> Path:
    """The folder with the bundles to run: trained now, or those kept in the repository."""
    if not train:
        say("models", "the bundles kept in the repository (training/bundles)")
        return BUNDLES
    from training import report, run

    folder = FOLDER / "bundles"
    with report.bars() as progress:
        trained = run.train_all(folder, progress)
    say("models", f"trained on {trained.trained_on}")
    return folder


def check_bundles(folder: Path) -> None:
    """Say how each model was checked for exactness. Raises a SimulationError when one differs."""
    from host.simulation.exactness import check_exactness

    for role in ROLES:
        say("exactness", check_exactness(folder / role))


async def run_chain(fleet: Fleet, bridge: BridgeProcess, seconds: float | None) -> None:
    """Boards, bridge and control socket until the time is up or a signal comes."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number_ in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number_, done.set)
    fleet.on_fault = lambda board, kind, on: say(
        "fault", f"{board}: {kind} {'begins' if on else 'ends'}"
    )

    def act(words: list[str]) -> str:
        match words:
            case ["on" | "off" as what, kind, *board] if len(board) < 2:
                names = fleet.switch_fault(kind, what == "on", *board)
                return f"{kind} {what} for {', '.join(names)}"
            case ["reset" | "unplug" | "plug" as what, name]:
                board_ = fleet.board(name)
                method = {"reset": "hard_reset", "unplug": "unplug_serial", "plug": "plug_serial"}
                fleet.simulation.call(getattr(board_, method[what]))
                return f"{what} {name}"
            case ["wifi", "on" | "off" as what, name]:
                fleet.switch_wifi(name, what == "on")
                return f"wifi {what} {name}"
            case ["list"]:
                return ", ".join(fleet.boards)
        raise ValueError(f"expected {HELP}")

    fleet.simulation.start()
    keeper = asyncio.create_task(bridge.keep_running(lambda text: say("bridge", text)))
    try:
        async with serve_control(CONTROL_SOCKET, act):
            waits = {asyncio.create_task(done.wait()), keeper}
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if keeper.done():
                keeper.result()  # the bridge could not be started: its reason is the demo's
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError, SimulationError):
            await keeper
        await bridge.stop()
        fleet.simulation.stop()


def demo(options: argparse.Namespace) -> None:
    """Run the demo. Raises SimulationError, DeviceError or TrainingError with the next step."""
    faults = [parse_fault(text) for text in options.fault]
    host, port = parse_http(options.http)
    with only_one(), contextlib.ExitStack() as held:
        vm = ensure_vm(lambda line: say("MicroPython", line))
        title, _, *lines = describe(vm)
        say("MicroPython", title)
        for line in lines if vm.bits != 32 else ():
            say("", line)
        bundles = make_bundles(train=not options.no_train)
        check_bundles(bundles)
        broker = broker_of_boards(options, held)
        fleet = Fleet(
            FOLDER,
            broker=broker,
            bundles=bundles,
            speed=options.speed,
            seed=options.seed,
            faults=faults,
            replay=options.replay,
            vm=vm,
        )
        say("plant", replay_notes(fleet) if options.replay else "three machines with a heat load")
        say(
            "boards",
            f"{len(fleet.boards)}, {options.speed:g} times life's speed, clocks too; ports:",
        )
        for path in fleet.ports:
            say("", os.path.relpath(path))
        bridge = BridgeProcess(
            ports=() if broker else fleet.ports,
            embedded_port=broker[1] if broker and not options.broker else 0,
            config=boards_config(broker) if broker else None,
            store=FOLDER / "store.db",
            log=FOLDER / "bridge.log",
            http=f"{host}:{port or held.enter_context(held_port(host))}",
            broker=options.broker,
            speed=options.speed,
        )
        say("live page", f"http://{bridge.http}/")
        say("", "switch a fault while it runs: ./run fault 'on fan_stuck esp32-2'")
        print(flush=True)
        asyncio.run(run_chain(fleet, bridge, options.seconds))
        print(flush=True)
        for name, tally in fleet.tallies.items():
            say(name, f"{tally.seconds:.0f} s: {tally}")


def broker_of_boards(
    options: argparse.Namespace, held: contextlib.ExitStack
) -> tuple[str, int] | None:
    """Address and port the boards speak to, None with the link serial; a port of our own is put
    into `held`. Raises SimulationError.
    """
    if options.link == LINKS[0]:
        return None
    if not options.broker:
        return "127.0.0.1", held.enter_context(held_port("127.0.0.1", 1883))
    parts = urlsplit(options.broker)
    if parts.scheme != "mqtt" or not parts.hostname or parts.username:
        raise SimulationError(
            f"--broker {options.broker}: simulated boards speak to mqtt://HOST:PORT, without TLS"
        )
    try:
        return socket.gethostbyname(parts.hostname), parts.port or 1883
    except (OSError, ValueError) as error:
        raise SimulationError(f"--broker {options.broker}: {error}") from error


def boards_config(broker: tuple[str, int]) -> Path:
    """A file that has the bridge look for boards at their broker."""
    path = FOLDER / "bridge.toml"
    path.write_text(f'[mqtt_boards]\nurl = "mqtt://{broker[0]}:{broker[1]}"\n')
    return path


def replay_notes(fleet: Fleet) -> str:
    machine = next(iter(fleet.machines.values()))
    notes = "; ".join(getattr(machine, "notes", ()))
    limit_c = next(iter(fleet.tallies.values())).limit_c
    return (
        f"a recorded run; limit {limit_c:.1f} C, above nine tenths of it{'; ' * bool(notes)}{notes}"
    )


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    try:
        demo(options)
    except (SimulationError, DeviceError, TrainingError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
