"""Server-sent events: the whole state first, then what changes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from host.bridge.core import Core
from host.bridge.hub import BoardChanged, Event, Reading, Stored
from host.bridge.registry import point
from host.gateways.web import views

KEEP_ALIVE_S = 10.0
CLIENT_QUEUE = 256
RETRY_MS = 1500


def encode(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def translate(core: Core, event: Event) -> bytes:
    match event:
        case Reading(device, at, tel):
            return encode("reading", {"device": device, "tel": tel, "point": point(at, tel)})
        case Stored(record):
            return encode("record", views.record(record))
        case BoardChanged(device) if device in core.registry.boards:
            return encode("board", views.board(core.registry.boards[device]))
        case _:
            return encode("snapshot", views.boards(core))


async def stream(core: Core, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    """Events for one browser, until the bridge stops. A slow one gets a new snapshot instead."""
    with core.hub.subscribe(CLIENT_QUEUE) as subscription:
        yield f"retry: {RETRY_MS}\n\n".encode() + encode("snapshot", views.boards(core))
        stop = asyncio.create_task(stopping.wait())
        get = asyncio.create_task(subscription.get())
        links = _links(core)
        try:
            while not stopping.is_set():
                done, _ = await asyncio.wait(
                    (stop, get), timeout=KEEP_ALIVE_S / 10, return_when=asyncio.FIRST_COMPLETED
                )
                if get in done:
                    yield translate(core, get.result())
                    get = asyncio.create_task(subscription.get())
                elif links != (now := _links(core)):
                    links = now
                    yield encode("snapshot", views.boards(core))
                else:
                    yield f": {time.time():.0f}\n\n".encode()
        finally:
            stop.cancel()
            get.cancel()


def _links(core: Core) -> tuple[Any, ...]:
    """Ports without a board have no event of their own; they are compared now and then."""
    states = tuple((each.state, each.detail, each.device) for each in core.links)
    return (*states, core.writer.problem)
