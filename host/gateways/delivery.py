"""Store and forward for one gateway: records in order, from a cursor in the store, at least once.

    delivery = Delivery(core, "webhook:https://...", kinds=("alarm",))
    await delivery.run(send)        # for as long as the other side is reachable
    delivery.close()                # when the gateway stops for good

`send(records)` returns when the other side has them, or raises; then they come again, from the
cursor, at the next `run`. Records are never skipped: what waits, waits in the store. After a
failure one is sent, then two, then four: where few get through at a time, those few do.
"""

import asyncio
from collections.abc import Awaitable, Callable

from host.bridge.core import Core
from host.bridge.errors import StoreBusy
from host.bridge.hub import Event, Resync, Stored
from host.bridge.records import Record

AT_ONCE = 20
STORE_RETRY_S = 1.0

Send = Callable[[list[Record]], Awaitable[None]]


class Delivery:
    def __init__(
        self, core: Core, name: str, kinds: tuple[str, ...] = (), at_once: int = AT_ONCE
    ) -> None:
        """name: of the cursor; a gateway that delivers elsewhere needs another name. kinds: of
        record ("dec", "alarm"), all unless given.
        """
        self._core = core
        self._kinds = kinds
        self._most = self._at_once = at_once
        self.name = name
        self.delivered = 0
        core.deliveries[name] = self

    def close(self) -> None:
        """The gateway is not wanted any more; its cursor stays."""
        self._core.deliveries.pop(self.name, None)

    async def run(self, send: Send) -> None:
        """Deliver for ever. Raises what `send` raises."""
        with self._core.hub.subscribe(only=Stored) as news:
            while True:
                try:
                    cursor = await self._catch_up(send)
                    while True:
                        fresh = _following(cursor, await news.get_all())
                        if fresh is None:
                            break
                        while fresh:
                            batch = fresh[: self._at_once]
                            fresh = fresh[len(batch) :]
                            cursor = await self._deliver(send, batch)
                except StoreBusy:
                    await asyncio.sleep(STORE_RETRY_S)  # again from the old cursor: at least once

    async def waiting(self) -> int:
        """Records stored and not delivered yet. Raises StoreBusy."""
        return await self._core.writer.call(self._core.store.behind, self.name)

    async def _catch_up(self, send: Send) -> int:
        """Deliver all that waits in the store; the cursor then."""
        store, call = self._core.store, self._core.writer.call
        cursor = await call(store.cursor, self.name)
        while batch := await call(store.after, cursor, self._at_once):
            cursor = await self._deliver(send, batch)
        return cursor

    async def _deliver(self, send: Send, batch: list[Record]) -> int:
        """The cursor after it."""
        wanted = [r for r in batch if not self._kinds or r.kind in self._kinds]
        if wanted:
            at_once, self._at_once = self._at_once, 1
            await send(wanted)
            self._at_once = min(self._most, 2 * at_once)
        cursor = batch[-1].id
        await self._core.writer.call(self._core.store.set_cursor, self.name, cursor)
        self.delivered += len(wanted)
        return cursor


def _following(cursor: int, news: list[Event]) -> list[Record] | None:
    """The records behind `cursor`, as they just came; None where some are missing among them."""
    fresh = [each.record for each in news if isinstance(each, Stored) and each.record.id > cursor]
    if any(isinstance(each, Resync) for each in news):
        return None
    return fresh if all(r.id == n for n, r in enumerate(fresh, cursor + 1)) else None
