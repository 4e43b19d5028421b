"""Server-sent events: the whole state first, then what changes."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from typing import Any

from host.bridge.core import Core
from host.bridge.history import point
from host.bridge.hub import BoardChanged, Event, Reading, Resync, Stored
from host.gateways.web import views

KEEP_ALIVE_S = 1.0
CLIENT_QUEUE = 256
RETRY_MS = 1500
REMEMBERED = 2 * CLIENT_QUEUE


class Shared:
    """Events as they are sent, encoded once for all pages that are open."""

    def __init__(self, core: Core) -> None:
        self._core = core
        # By identity; the event beside its bytes keeps that from being another one's.
        self._known: OrderedDict[int, tuple[Event, bytes]] = OrderedDict()

    def encoded(self, event: Event) -> bytes:
        known = self._known.get(id(event))
        if known:
            return known[1]
        data = self._encode(event)
        self._known[id(event)] = event, data
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return data

    def _encode(self, event: Event) -> bytes:
        match event:
            case Reading(device, at, tel):
                return encode("reading", {"device": device, "tel": tel, "point": point(at, tel)})
            case Stored(record):
                return encode("record", views.record(record))
            case BoardChanged(device) if device in self._core.registry.boards:
                return encode("board", views.board(self._core.registry.boards[device]))
            case _:
                return b""


def encode(name: str, value: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), views.to_json(value))


def snapshot(core: Core) -> Iterator[bytes]:
    yield b"event: snapshot\ndata: "
    yield from views.boards(core)
    yield b"\n\n"


async def with_turns(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, and a turn for everybody else after each."""
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)


async def stream(core: Core, shared: Shared, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    """Events for one browser, until the bridge stops. A slow one gets a new snapshot instead."""
    with core.hub.subscribe(CLIENT_QUEUE) as subscription:
        yield f"retry: {RETRY_MS}\n\n".encode()
        links, again = _links(core), time.monotonic() + KEEP_ALIVE_S
        async for piece in with_turns(snapshot(core)):
            yield piece
        stop = asyncio.create_task(stopping.wait())
        get = asyncio.create_task(subscription.get_all())
        try:
            while not stopping.is_set():
                wait_s = max(0.0, again - time.monotonic())
                await asyncio.wait((stop, get), timeout=wait_s, return_when="FIRST_COMPLETED")
                anew = False
                if get.done():
                    events = get.result()
                    anew = any(isinstance(event, Resync) for event in events)
                    if not anew:
                        yield b"".join(shared.encoded(event) for event in events)
                    get = asyncio.create_task(subscription.get_all())
                if time.monotonic() >= again:
                    again = time.monotonic() + KEEP_ALIVE_S
                    yield f": {time.time():.0f}\n\n".encode()
                    now = _links(core)
                    anew, links = anew or now != links, now
                if anew:
                    async for piece in with_turns(snapshot(core)):
                        yield piece
        finally:
            stop.cancel()
            get.cancel()


def _links(core: Core) -> tuple[Any, ...]:
    """Ports without a board have no event of their own; they are compared now and then."""
    states = tuple((each.path, each.state, each.detail) for each in core.links if not each.device)
    return (*states, core.writer.problem)
