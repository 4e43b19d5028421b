"""Feeds the store from the event loop: batches commits, acknowledges only after them.

The store works in one thread of its own, so a slow disk stalls no link. While it cannot take
records nothing is acknowledged: the boards keep and repeat them, so whatever is dropped here is not
lost.
"""

import asyncio
import itertools
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from host.bridge.backoff import Backoff
from host.bridge.clock import ClockWatch
from host.bridge.errors import StoreBusy, StoreDamaged
from host.bridge.logs import event
from host.bridge.records import Incoming, Record
from host.bridge.store import Store
from host.bridge.store_settings import StoreConfig

LOG = logging.getLogger("fanwise.store")
MAX_WAITING = 4096
# One board that floods cannot take the others' places.
MAX_WAITING_EACH = 256
MAX_BATCH = 256
PRUNE_EVERY_S = 60
# A full store drops some every time.
TELL_DROPPED_S = 3600
# 4000 rows a second, in pieces that delay records and links little.
TELEMETRY_ROWS = 200
TELEMETRY_PAUSE_S = 0.05
T = TypeVar("T")
Acknowledge = Callable[[list[tuple[int, int]]], None]


class Writer:
    def __init__(
        self, store: Store, limits: StoreConfig, on_stored: Callable[[Record], None]
    ) -> None:
        self._store = store
        self.limits = limits
        self._on_stored = on_stored
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._waiting: deque[tuple[Incoming, Acknowledge]] = deque()
        self._waiting_each: Counter[Acknowledge] = Counter()
        # Since when a row waits, and what becomes one; oldest first.
        self._telemetry: dict[tuple[str, int], tuple[float, str, float, dict[str, Any]]] = {}
        self._wake = asyncio.Event()
        self._clock: ClockWatch | None = None
        self._started = time.time(), time.monotonic()
        self._dropped = 0
        self._tell_dropped = 0.0
        self.problem: str | None = None
        self.stored = 0
        self.duplicates = 0

    def add(self, item: Incoming, acknowledge: Acknowledge) -> None:
        """Take a durable frame; `acknowledge` is called once it is on disk, and only then."""
        mine = self._waiting_each[acknowledge]
        if len(self._waiting) < MAX_WAITING and mine < MAX_WAITING_EACH:
            self._waiting.append((item, acknowledge))
            self._waiting_each[acknowledge] = mine + 1
            self._wake.set()

    def add_hello(self, item: Incoming) -> None:
        """Take a board's birth, in order with its records; lost while the store is busy: the next
        one brings it again.
        """
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append((item, _nothing))
            self._wake.set()

    def add_telemetry(self, device: str, at: float, tel: dict[str, Any]) -> None:
        """Take a reading; one per device and `telemetry_every_s` is kept, the latest."""
        key = (device, int(at) // self.limits.telemetry_every_s)
        if key in self._telemetry or len(self._telemetry) < MAX_WAITING:
            since = self._telemetry[key][0] if key in self._telemetry else time.monotonic()
            self._telemetry[key] = since, device, at, tel
            self._wake.set()

    async def call(self, work: Callable[..., T], *args: Any) -> T:
        """Run a method of the store in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    async def run(self) -> None:
        backoff = Backoff(0.5, 5.0)
        next_prune = 0.0
        next_telemetry = 0.0
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._waiting:
                    await self._commit()
                if time.monotonic() >= next_telemetry:
                    next_telemetry = time.monotonic() + TELEMETRY_PAUSE_S
                    rows = self._due_telemetry()
                    if rows:
                        await self.call(self._store.add_telemetry, rows)
                if time.monotonic() >= next_prune:
                    next_prune = time.monotonic() + PRUNE_EVERY_S
                    await self.prune()
                if self.problem is not None:
                    # Nothing was there to write since: would it be taken?
                    await self.call(self._store.note, "bridge", "tried", str(time.time()))
                self._recovered()
                backoff.reset()
            except StoreBusy as error:
                await self._failed(error)
                await asyncio.sleep(backoff.delay_s())
                self._wake.set()

    def _due_telemetry(self) -> list[tuple[str, int, dict[str, Any]]]:
        """Rows that waited long enough, not too many: the store's thread shares one interpreter."""
        waited = time.monotonic() - self.limits.telemetry_every_s / 2
        due = []
        for key, (since, *_) in itertools.islice(self._telemetry.items(), TELEMETRY_ROWS):
            if since > waited:
                break
            due.append(key)
        rows = [self._telemetry.pop(key) for key in due]
        return [(device, int(at), {**tel, "received": round(at, 1)}) for _, device, at, tel in rows]

    async def _commit(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
        for acknowledge, count in Counter(acknowledge for _, acknowledge in batch).items():
            self._waiting_each[acknowledge] -= count
            if self._waiting_each[acknowledge] <= 0:
                del self._waiting_each[acknowledge]
        new = await self.call(self._store.add, [item for item, _ in batch])
        self._recovered()
        self.stored += len(new)
        self.duplicates += sum(item.frame["t"] != "hello" for item, _ in batch) - len(new)
        # One link sends few acknowledgements for a batch rather than one per record.
        links: dict[Acknowledge, list[tuple[int, int]]] = {}
        for item, acknowledge in batch:
            links.setdefault(acknowledge, []).append((item.boot, item.seq))
        for acknowledge, keys in links.items():
            acknowledge(keys)
        for record in new:
            self._on_stored(record)

    async def _failed(self, error: StoreBusy) -> None:
        if isinstance(error, StoreDamaged):
            event(LOG, logging.ERROR, "store is damaged", path=self._store.path, reason=error)
            try:
                await self.call(self._store.recover)
            except StoreBusy as worse:
                error = worse
            else:
                self.tell_set_aside()
        if self.problem is None:
            fields = {"path": self._store.path, "reason": error}
            event(
                LOG, logging.ERROR, "store takes nothing now, boards keep their records", **fields
            )
        self.problem = str(error)
        if "full" in self.problem:
            try:
                await self.prune()
            except StoreBusy:
                pass  # deleting needs room as well

    def tell_set_aside(self) -> None:
        """Log what became of a damaged store, if there was one."""
        if self._store.set_aside:
            aside, saved = self._store.set_aside
            event(LOG, logging.ERROR, "damaged store set aside", path=aside, **saved)

    def _recovered(self) -> None:
        if self.problem is not None:
            self.problem = None
            event(LOG, logging.INFO, "store takes records again", path=self._store.path)

    async def prune(self) -> None:
        limits, now = self.limits, time.time()
        if self._clock is None:
            seen = (await self.call(self._store.notes, "bridge")).get("clock")
            self._clock = ClockWatch(float(seen) if seen else None, *self._started)
        trusted = self._clock.trusted(now, time.monotonic())
        age_s = limits.max_age_days * 86400.0 if trusted else math.inf
        dropped, more = 0, True
        while more:
            some, more = await self.call(self._store.prune, age_s, limits.max_mb * 1_000_000, now)
            dropped += some
            while self._waiting and self.problem is None:
                await self._commit()
        if trusted:  # or a clock that is wrong at two starts would follow on itself
            await self.call(self._store.note, "bridge", "clock", str(now))
        self._dropped += dropped
        if self._dropped and time.monotonic() >= self._tell_dropped:
            self._tell_dropped = time.monotonic() + TELL_DROPPED_S
            event(LOG, logging.INFO, "dropped the oldest records", count=self._dropped)
            self._dropped = 0

    async def drain(self) -> None:
        """Commit what waits, once, then close. For an orderly stop."""
        try:
            while self._waiting:
                await self._commit()
        except StoreBusy:
            pass  # unacknowledged: the boards repeat it
        await self.call(self._store.close)
        self._thread.shutdown(wait=False)


def _nothing(keys: list[tuple[int, int]]) -> None:
    """What a hello is acknowledged with."""
