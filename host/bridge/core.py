"""What gateways see of the bridge."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from host.bridge.backoff import Backoff
from host.bridge.commands import Commands
from host.bridge.hub import Hub
from host.bridge.link import Intake, Link
from host.bridge.registry import Registry
from host.bridge.store import Store
from host.bridge.writer import Writer

LOG = logging.getLogger("fanwise.bridge")


@dataclass
class Core:
    site: str
    hub: Hub
    registry: Registry
    store: Store
    writer: Writer
    commands: Commands
    links: list[Link]
    intake: Intake
    keepalive_s: float
    deliveries: dict[str, "Waiting"] = field(default_factory=dict)
    # Whether the broker of each gateway that has one takes messages.
    brokers: dict[str, bool] = field(default_factory=dict)


class Waiting(Protocol):
    """A gateway's place in the store."""

    async def waiting(self) -> int: ...


class Gateway(Protocol):
    """One outside system. `start` may raise StartError; `run` serves until cancelled."""

    name: str

    async def start(self) -> None: ...
    async def run(self) -> None: ...
    async def stop(self) -> None: ...


async def keep_running(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `work` for ever: a fault in one part is logged and must not end the bridge."""
    backoff = Backoff(0.5, 30.0)
    while True:
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except Exception:
            LOG.exception("%s failed and is started again", name)
        await asyncio.sleep(backoff.delay_s())
