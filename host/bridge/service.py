"""The bridge as a whole: opens the store, starts links and gateways, stops them in order."""

import asyncio
import gc
import logging
import operator
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from host.bridge import logs
from host.bridge.backoff import Backoff
from host.bridge.clock import wall_clock
from host.bridge.commands import Commands
from host.bridge.config import Config
from host.bridge.core import Core, keep_running
from host.bridge.errors import ConfigError, StoreBusy, StoreFull
from host.bridge.hub import Hub
from host.bridge.link import Intake, Link
from host.bridge.logs import event
from host.bridge.only_one import only_one
from host.bridge.records import Record
from host.bridge.registry import Registry, Status
from host.bridge.running_gateways import RunningGateways
from host.bridge.serial_links import SerialLinks
from host.bridge.store import Store
from host.bridge.writer import Writer

LOG = logging.getLogger("fanwise.bridge")
RESTORED_DECISIONS = 20
RESTORED_S = 900
# The store's thread and the loop take turns at every statement and packet; Python's 5 ms for a turn
# would add up to a tenth of a second for a record.
SWITCH_S = 0.0005
GARBAGE = (1500, 20, 20)
# What the parts hold on to from the start.
NEED_RESTART = ("site", "baud", "keepalive_s", "store.path", "store.telemetry_every_s")


class Service:
    def __init__(self, config: Config, load: Callable[[], Config] | None = None) -> None:
        """Opens the store. `load` reads the settings anew, for SIGHUP. Raises StoreUnusable."""
        self._config = config
        self._console_failed = False
        self._load = load
        store = Store(config.store.path, config.store.telemetry_every_s)
        hub = Hub()
        self._registry = Registry(hub)
        writer = Writer(store, config.store, self._stored)
        commands = Commands(self._send, writer, store)
        intake = Intake(writer, self._registry, commands.answered)
        self._links: list[Link] = []
        self._serial = SerialLinks(self._links, config.baud, config.keepalive_s, intake)
        self.core = Core(
            config.site,
            hub,
            self._registry,
            store,
            writer,
            commands,
            self._links,
            intake,
            config.keepalive_s,
        )
        self._gateways = RunningGateways(self.core)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises StartError before anything is served."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        self.core.writer.tell_set_aside()
        self._restore()
        try:
            await self._gateways.start(self._config.gateways)
            self._start("writer", self.core.writer.run)
            self._serial.follow(self._config.ports)
            self._start("ports", self._serial.run)
            self._start("settings", self._reloads)
            event(LOG, logging.INFO, "running", site=self._config.site, ports=len(self._links))
            await self._stopping.wait()
        finally:
            await self._stop()

    def _start(self, name: str, work: Any) -> None:
        self._tasks.append(asyncio.create_task(keep_running(name, work), name=name))

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._serial.stop()
        for board in self._registry.boards.values():
            self._registry.status(board.device, Status.OFFLINE, board.owner)
        await self._gateways.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.core.writer.drain()
        event(LOG, logging.INFO, "stopped")

    async def _reloads(self) -> None:
        """Settings anew at SIGHUP: only what differs is touched, and no link that stays."""
        while True:
            await self._reload.wait()
            self._reload.clear()
            if self._load is None:
                continue
            try:
                config = await asyncio.to_thread(self._load)
            except ConfigError as error:
                for problem in error.problems:
                    event(LOG, logging.ERROR, f"settings not reloaded: {problem}")
                continue
            for name in NEED_RESTART:
                if _value(config, name) != _value(self._config, name):
                    event(LOG, logging.WARNING, "needs a restart to change", setting=name)
            self._config = replace(config, print_decisions=self._config.print_decisions)
            logs.configure(config.log_level)
            self.core.writer.limits = config.store
            self._serial.follow(config.ports)
            await self._gateways.change(config.gateways)
            event(LOG, logging.INFO, "settings reloaded")

    # -- from links and writer -----------------------------------------------------------------

    def _send(self, device: str, frame: dict[str, Any]) -> bool:
        board = self._registry.boards.get(device)
        owner = board.owner if board else None
        return isinstance(owner, Link) and owner.send(frame)

    def _stored(self, record: Record) -> None:
        self._registry.stored(record)
        if self._config.print_decisions and record.kind == "dec":
            self._print(decision_line(record))

    def _print(self, line: str) -> None:
        """To a console that may be a pipe nobody reads or a file on a full disk."""
        try:
            print(line, flush=True)
        except OSError as error:
            if not self._console_failed:
                event(LOG, logging.WARNING, "decisions cannot be printed", reason=error.strerror)
            self._console_failed = True
        else:
            self._console_failed = False

    def _restore(self) -> None:
        """Boards, alarms and charts as they were before the last stop."""
        store = self.core.store
        try:
            for device, hello in store.devices().items():
                newest = store.records("dec", device, RESTORED_DECISIONS)
                self._registry.restore(device, hello, newest + store.records("alarm", device, 50))
                if device in self._registry.boards:
                    readings = store.telemetry(device, int(time.time()) - RESTORED_S)
                    self._registry.restore_history(device, readings)
        except StoreBusy as error:
            event(LOG, logging.WARNING, "could not read earlier boards", reason=error)


def _value(config: Config, name: str) -> object:
    return operator.attrgetter(name)(config)


def decision_line(record: Record) -> str:
    """One decision for the console: time, device, fan, reason."""
    clock = wall_clock(record.at)
    fan = "ON " if record.body["set"] else "off"
    return f"{clock}  {record.device:<12} fan {fan}  {record.body['why']}"


def serve(config: Config, load: Callable[[], Config] | None = None) -> None:
    """Run the bridge in a new event loop until it is told to stop. Raises StartError."""

    async def main() -> None:
        backoff = Backoff(1.0, 30.0)
        while True:
            try:
                with only_one(config.store.path):
                    await Service(config, load).run()
                return
            except StoreFull as error:
                event(LOG, logging.ERROR, f"not started yet: {error}")
                await asyncio.sleep(backoff.delay_s())

    sys.setswitchinterval(SWITCH_S)
    # What is loaded by now stays: looking through it for garbage would hold up everything else.
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    asyncio.run(main())
    sys.stdout.flush()
