"""Publish and subscribe inside the bridge, with bounded queues.

A subscriber that falls behind gets the newest reading of each board, and where records are too many
loses them and gets one `Resync` instead: it reads the present state again. Nobody waits for it.
"""

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from host.bridge.records import Record

QUEUE_RECORDS = 512


@dataclass(frozen=True)
class BoardChanged:
    """Status, birth, alarms or link of a board changed."""

    device: str


@dataclass(frozen=True)
class Reading:
    """New telemetry of a board: the checked `tel` frame."""

    device: str
    at: float
    tel: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Stored:
    """A durable record, after its commit."""

    record: Record


@dataclass(frozen=True)
class Resync:
    """Events were lost: read the whole state again."""


Event = BoardChanged | Reading | Stored | Resync


class Subscription:
    """Readings and changes of a board that was not taken yet are replaced by newer ones, so only
    records can be too many.
    """

    def __init__(self, size: int, only: type[Event] | None) -> None:
        self._events: dict[Hashable, Event] = {}
        self._size = size
        self._only = only
        self._records = 0
        self._wake = asyncio.Event()

    def offer(self, event: Event) -> None:
        if self._only and not isinstance(event, self._only):
            return
        key: Hashable
        if isinstance(event, Stored):
            self._records += 1
            key = event.record.id
            if self._records > self._size:
                self.clear()
                key, event = Resync, Resync()
        else:
            key = (type(event), getattr(event, "device", None))
        self._events[key] = event
        self._wake.set()

    async def get(self) -> Event:
        await self._some()
        event = self._events.pop(next(iter(self._events)))
        self._records -= isinstance(event, Stored)
        return event

    async def get_all(self) -> list[Event]:
        """What waits, oldest first; at least one."""
        await self._some()
        events = list(self._events.values())
        self.clear()
        return events

    async def _some(self) -> None:
        while not self._events:
            self._wake.clear()
            await self._wake.wait()

    def clear(self) -> None:
        """Forget what waits: the subscriber has seen the present state."""
        self._events.clear()
        self._records = 0


class Hub:
    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def publish(self, event: Event) -> None:
        for subscription in self._subscriptions:
            subscription.offer(event)

    @contextmanager
    def subscribe(
        self, size: int = QUEUE_RECORDS, only: type[Event] | None = None
    ) -> Iterator[Subscription]:
        """size: records that may wait. only: events of this class and no others."""
        subscription = Subscription(size, only)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
