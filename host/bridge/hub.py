"""Publish and subscribe inside the bridge, with bounded queues.

A subscriber that falls behind loses its queue and gets one `Resync` instead: it reads the present
state again, and nobody else waits for it.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from host.bridge.records import Record

QUEUE_EVENTS = 512


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
    def __init__(self, size: int, only: type[Event] | None) -> None:
        self._events: deque[Event] = deque()
        self._size = size
        self._only = only
        self._wake = asyncio.Event()

    def offer(self, event: Event) -> None:
        if self._only and not isinstance(event, self._only):
            return
        if len(self._events) >= self._size:
            self._events.clear()
            event = Resync()
        self._events.append(event)
        self._wake.set()

    async def get(self) -> Event:
        while not self._events:
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    def clear(self) -> None:
        """Forget what waits: the subscriber has seen the present state."""
        self._events.clear()


class Hub:
    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def publish(self, event: Event) -> None:
        for subscription in self._subscriptions:
            subscription.offer(event)

    @contextmanager
    def subscribe(
        self, size: int = QUEUE_EVENTS, only: type[Event] | None = None
    ) -> Iterator[Subscription]:
        """`only`: events of this class and no others."""
        subscription = Subscription(size, only)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
