"""Boards in an OPC UA server, for SCADA systems. docs/opcua.md has the address space.

    [opcua]                           # or --opcua 127.0.0.1:4840
    listen = "127.0.0.1:4840"
    login_required = false            # true: nobody without a name and token, not even here
    connections = 16
    cert_file = "/etc/fanwise/opcua.pem"    # both, or none: then one is made beside the store
    key_file = "/etc/fanwise/opcua.key"

Users are those of [[users]], their tokens the passwords. Other addresses than loopback need users,
and clients have to encrypt.

asyncua takes seconds to import and to build its address space, so the server has a thread and an
event loop of its own, and is ready some time after the bridge is.
"""

import asyncio
import concurrent.futures
import contextlib
import gc
import logging
import socket
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from host.bridge.core import Core
from host.bridge.errors import StartError, StoreBusy
from host.bridge.hub import BoardChanged, Reading, Resync
from host.bridge.logs import event
from host.bridge.records import Record
from host.bridge.registry import Status
from host.bridge.users import Who
from host.gateways.delivery import Delivery
from host.gateways.listening import listen
from host.gateways.opcua_map import snapshot
from host.gateways.opcua_settings import OpcUaConfig, configure

if TYPE_CHECKING:
    from host.gateways.opcua_space import Ask

__all__ = ["OpcUa", "configure", "make"]

LOG = logging.getLogger("fanwise.opcua")
UPDATE_S = 0.25
STORE_RETRY_S = 1.0
END_S = 3.0
# A request takes the interpreter ten times from a thread that works without a pause.
START_SWITCH_S = 0.0001
T = TypeVar("T")


def make(core: Core, settings: OpcUaConfig) -> "OpcUa":
    return OpcUa(core, settings)


class OpcUa:
    name = "opcua"

    def __init__(self, core: Core, config: OpcUaConfig) -> None:
        self._core = core
        self._config = config
        self._delivery = Delivery(core, self.name)
        self._changed: set[str] = set()
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Raises StartError if the address cannot be listened on."""
        config = self._config
        self._socket = listen(config.host, config.port, "OPC UA", "--opcua HOST:PORT")
        event(LOG, logging.INFO, "opcua starts in the background, it takes some seconds")

    async def run(self) -> None:
        begun = time.monotonic()
        loop = asyncio.get_running_loop()

        async def ask(device: str, name: str, args: dict[str, int], who: Who) -> Any:
            future = asyncio.run_coroutine_threadsafe(self._asked(device, name, args, who), loop)
            return await asyncio.wrap_future(future)

        thread = UaThread(self._config, self._core.store.path.parent, self._socket.dup(), ask)
        try:
            await thread.started()
            await self._from_now_on()
            fields = {"host": self._config.host, "port": self._socket.getsockname()[1]}
            fields["after_s"] = round(time.monotonic() - begun, 1)
            event(LOG, logging.INFO, "opcua ready", **fields)
            async with asyncio.TaskGroup() as parts:
                parts.create_task(self._collect())
                parts.create_task(self._update(thread))
                parts.create_task(self._delivery.run(thread.tell))
        except StartError as error:
            event(LOG, logging.ERROR, f"opcua not started: {error}")
        finally:
            await thread.end()

    async def stop(self) -> None:
        self._socket.close()
        self._delivery.close()

    async def _from_now_on(self) -> None:
        """Events are of what happens while the server is there, not of a year in the store."""
        store, call = self._core.store, self._core.writer.call
        while True:
            try:
                newest = await call(store.records, None, None, 1)
                await call(store.set_cursor, self.name, newest[0].id if newest else 0)
                return
            except StoreBusy:
                await asyncio.sleep(STORE_RETRY_S)

    async def _collect(self) -> None:
        boards = self._core.registry.boards
        with self._core.hub.subscribe() as news:
            self._changed = set(boards)
            while True:
                self._wake.set()
                match await news.get():
                    case BoardChanged(device) | Reading(device):
                        self._changed.add(device)
                    case Resync():
                        self._changed = set(boards)

    async def _update(self, thread: "UaThread") -> None:
        """At most every UPDATE_S, so a fleet's readings cross to the other thread together."""
        boards = self._core.registry.boards
        while True:
            await self._wake.wait()
            self._wake.clear()
            changed, self._changed = sorted(self._changed), set()
            await thread.update([snapshot(boards[device]) for device in changed])
            await asyncio.sleep(UPDATE_S)

    async def _asked(
        self, device: str, name: str, args: dict[str, int], who: Who
    ) -> tuple[bool, bool, str]:
        response = await self._core.commands.request(device, name, args, who)
        board = self._core.registry.boards.get(device)
        there = board is not None and board.status is Status.ONLINE
        return bool(response["ok"]), there, str(response.get("msg") or "")


@contextlib.contextmanager
def _in_the_background() -> Iterator[None]:
    """For seconds of work that makes a hundred thousand objects: the bridge's loop has its turn at
    once, and no look for garbage among them holds it up, then or later.
    """
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(START_SWITCH_S)
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
        sys.setswitchinterval(interval_s)


class UaThread:
    """The server in its thread; everything else awaits it from the bridge's loop."""

    def __init__(self, config: OpcUaConfig, folder: Path, sock: socket.socket, ask: "Ask") -> None:
        self._config = config
        self._folder = folder
        self._socket = sock
        self._ask = ask
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="opcua", daemon=True)
        self._thread.start()

    async def started(self) -> None:
        """Raises StartError, for a certificate that cannot be used."""
        await asyncio.wrap_future(self._started)

    async def update(self, snapshots: list[Any]) -> None:
        await self._there(self._space.update(snapshots))

    async def tell(self, records: list[Record]) -> None:
        await self._there(self._space.tell(records))

    async def end(self) -> None:
        if self._loop:
            try:
                self._loop.call_soon_threadsafe(self._stop.set)
            except RuntimeError:
                pass  # it ended already
        await asyncio.to_thread(self._thread.join, END_S)
        self._socket.close()

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            if not self._started.done():
                self._started.set_exception(error)

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        with _in_the_background():
            from host.gateways import opcua_server  # takes seconds

            server, self._space = await opcua_server.start(
                self._config, self._folder, self._socket, self._ask
            )
        try:
            self._started.set_result(None)
            await self._stop.wait()
        finally:
            await server.stop()
            gc.unfreeze()  # or what the server leaves behind would stay for good
