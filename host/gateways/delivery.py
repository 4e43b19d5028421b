"""Store and forward for one gateway: records in order, from a cursor in the store, at least once.

    delivery = Delivery(core, "webhook:https://...", kinds=("alarm",))
    await delivery.run(send)        # for as long as the other side is reachable
    delivery.close()                # when the gateway stops for good

`send(records)` returns when the other side has them, or raises; then they come again, from the
cursor, at the next `run`. Records are never skipped: what waits, waits in the store.
"""

import asyncio
from collections.abc import Awaitable, Callable

from host.bridge.core import Core
from host.bridge.errors import StoreBusy
from host.bridge.hub import Stored
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
        self._at_once = at_once
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
                    await self._catch_up(send)
                except StoreBusy:
                    await asyncio.sleep(STORE_RETRY_S)  # again from the old cursor: at least once
                    continue
                await news.get()
                news.clear()

    async def waiting(self) -> int:
        """Records stored and not delivered yet. Raises StoreBusy."""
        return await self._core.writer.call(self._core.store.behind, self.name)

    async def _catch_up(self, send: Send) -> None:
        store, call = self._core.store, self._core.writer.call
        cursor = await call(store.cursor, self.name)
        while batch := await call(store.after, cursor, self._at_once):
            wanted = [r for r in batch if not self._kinds or r.kind in self._kinds]
            if wanted:
                await send(wanted)
            cursor = batch[-1].id
            await call(store.set_cursor, self.name, cursor)
            self.delivered += len(wanted)
