"""The serial ports to serve: those named, and with "auto" every USB port a board may be behind.

A port found by "auto" is known by its stable name where the system gives one (/dev/serial/by-id):
a board keeps its link when it comes back under another number.
"""

import asyncio
import logging
import os
from pathlib import Path

from host.bridge.config import AUTO
from host.bridge.core import keep_running
from host.bridge.link import Intake, Link, State
from host.bridge.logs import event
from host.bridge.serial_link import SerialLink

LOG = logging.getLogger("fanwise.bridge")
SCAN_S = 2.0
MAX_FOUND = 256
BY_ID = Path("/dev/serial/by-id")


class SerialLinks:
    """Keeps one running link per port; `links` is shared with whoever shows them."""

    def __init__(self, links: list[Link], baud: int, keepalive_s: float, intake: Intake) -> None:
        self._links = links
        self._baud = baud
        self._keepalive_s = keepalive_s
        self._intake = intake
        self._named: tuple[str, ...] = ()
        self._auto = False
        self._running: dict[str, tuple[SerialLink, asyncio.Task[None]]] = {}

    def follow(self, ports: tuple[str, ...]) -> None:
        """Serve these from now on. Links of ports that stay are not touched."""
        self._named = tuple(port for port in ports if port != AUTO)
        self._auto = AUTO in ports
        keep = set(self._named) | (set(self._running) if self._auto else set())
        for path in set(self._running) - keep:
            self._end(path)
        for path in self._named:
            self._begin(path)

    async def run(self) -> None:
        """Looks for new ports as long as "auto" is among them."""
        while True:
            if self._auto:
                for path in await asyncio.to_thread(usb_ports):
                    self._found(path)
            await asyncio.sleep(SCAN_S)

    async def stop(self) -> None:
        """Let go of all ports; what the boards' states are is for the caller to say."""
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _found(self, path: str) -> None:
        real = {os.path.realpath(known) for known in self._running}
        if os.path.realpath(path) not in real and len(self._running) < MAX_FOUND:
            event(LOG, logging.INFO, "found a port", port=path)
            self._begin(path)

    def _begin(self, path: str) -> None:
        if path in self._running:
            return
        link = SerialLink(path, self._baud, self._keepalive_s, self._intake)
        task = asyncio.create_task(keep_running(f"link {path}", link.run))
        self._running[path] = (link, task)
        self._links.append(link)

    def _end(self, path: str) -> None:
        link, task = self._running.pop(path)
        self._links.remove(link)
        task.cancel()
        link.close()
        link.enter(State.DISCONNECTED, "no longer served")


def usb_ports() -> list[str]:
    """USB serial ports, by their stable names where there are any."""
    from host.devices.ports import list_ports  # costs time, and only "auto" needs it

    stable = {}
    try:
        stable = {os.path.realpath(path): str(path) for path in sorted(BY_ID.iterdir())}
    except OSError:
        pass
    found = [port.device for port in list_ports() if port.vid is not None]
    return [stable.get(os.path.realpath(device), device) for device in found]
