"""The bridge as a whole: opens the store, starts links and gateways, stops them in order."""

import asyncio
import logging
import signal
import sys
import time
from typing import Any

from host.bridge.commands import Commands
from host.bridge.config import Config
from host.bridge.core import Core, Gateway, keep_running
from host.bridge.errors import StoreBusy
from host.bridge.hub import Hub
from host.bridge.link import Link
from host.bridge.logs import event
from host.bridge.records import Record
from host.bridge.registry import Registry, Status
from host.bridge.store import Store
from host.bridge.writer import Writer

LOG = logging.getLogger("fanwise.bridge")
RESTORED_DECISIONS = 20
RESTORED_S = 900
STOP_S = 1.5


class Service:
    def __init__(self, config: Config) -> None:
        """Opens the store. Raises StoreUnusable."""
        self._config = config
        store = Store(config.store.path, config.store.telemetry_every_s)
        hub = Hub()
        self._registry = Registry(hub)
        writer = Writer(store, config.store, self._stored)
        commands = Commands(self._send, writer, store)
        self._links = [
            Link(
                path,
                config.baud,
                config.keepalive_s,
                writer,
                self._registry,
                commands.answered,
                self._hello,
            )
            for path in config.ports
        ]
        self.core = Core(config.site, hub, self._registry, store, writer, commands, self._links)
        self._gateways: list[Gateway] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._hellos: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises StartError before anything is served."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._restore()
        self._gateways = [plan.make(self.core) for plan in self._config.gateways]
        started: list[Gateway] = []
        try:
            for gateway in self._gateways:
                await gateway.start()
                started.append(gateway)
            self._start("writer", self.core.writer.run)
            for gateway in self._gateways:
                self._start(gateway.name, gateway.run)
            for link in self._links:
                self._start(f"link {link.path}", link.run)
            event(LOG, logging.INFO, "running", site=self._config.site, ports=len(self._links))
            await self._stopping.wait()
        finally:
            await self._stop(started)

    def _start(self, name: str, work: Any) -> None:
        self._tasks.append(asyncio.create_task(keep_running(name, work), name=name))

    async def _stop(self, gateways: list[Gateway]) -> None:
        for link in self._links:
            link.close()
            if link.device:
                self._registry.status(link.device, Status.OFFLINE, link)
        for task in self._tasks:
            if task.get_name() not in {gateway.name for gateway in gateways}:
                task.cancel()
        # Gateways first say goodbye on connections they still have.
        stops = [asyncio.wait_for(gateway.stop(), STOP_S) for gateway in gateways]
        for result in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(result, Exception):
                event(LOG, logging.WARNING, "a gateway did not stop in order", reason=repr(result))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._hellos, return_exceptions=True)
        await self.core.writer.drain()
        event(LOG, logging.INFO, "stopped")

    # -- from links and writer -----------------------------------------------------------------

    def _send(self, device: str, frame: dict[str, Any]) -> bool:
        board = self._registry.boards.get(device)
        owner = board.owner if board else None
        return isinstance(owner, Link) and owner.send(frame)

    def _hello(self, device: str, boot: int, hello: dict[str, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._keep_hello(device, boot, hello))
        self._hellos.add(task)
        task.add_done_callback(self._hellos.discard)

    async def _keep_hello(self, device: str, boot: int, hello: dict[str, Any]) -> None:
        try:
            await self.core.writer.call(self.core.store.hello, device, boot, hello)
        except StoreBusy:
            pass  # the next hello brings it again; records carry what matters

    def _stored(self, record: Record) -> None:
        self._registry.stored(record)
        if self._config.print_decisions and record.kind == "dec":
            print(decision_line(record), flush=True)

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


def decision_line(record: Record) -> str:
    """One decision for the console: time, device, fan, reason."""
    clock = time.strftime("%H:%M:%S", time.localtime(record.at))
    fan = "ON " if record.body["set"] else "off"
    return f"{clock}  {record.device:<12} fan {fan}  {record.body['why']}"


def serve(config: Config) -> None:
    """Run the bridge in a new event loop until it is told to stop. Raises StartError."""

    async def main() -> None:
        await Service(config).run()

    asyncio.run(main())
    sys.stdout.flush()
