"""What one HTTP connection may take up: clients that send half a request, or open too many."""

import asyncio
import ipaddress
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# From the connection, or the end of the request before, to the end of the next one's headers.
HEADERS_S = 15.0
# A page has a stream and six requests at most; people behind one proxy share its address.
MOST_EACH = 64
# Until a client that takes nothing of what it asked for is let go.
UNREAD_S = 60.0


def bounded_protocol() -> type[H11Protocol]:
    """For one server: its connections are counted by address."""
    open_now: Counter[str] = Counter()

    class Bounded(H11Protocol):
        _counted = ""
        _late: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            address = self.client[0] if self.client else ""
            # The proxy in front, and what looks after the bridge on its own machine, are not.
            if address and not _is_here(address):
                self._counted = address
                open_now[address] += 1
                if open_now[address] > MOST_EACH:
                    transport.abort()
                    return
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            for timer in (self._late, self._unread):
                if timer:
                    timer.cancel()
            if self._counted:
                open_now[self._counted] -= 1
                if not open_now[self._counted]:
                    del open_now[self._counted]
                self._counted = ""

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unread = self.loop.call_later(UNREAD_S, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._unread:
                self._unread.cancel()

        def _wait(self) -> None:
            if self._late:
                self._late.cancel()
            self._late = self.loop.call_later(HEADERS_S, self._end_if_late)

        def _end_if_late(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()

    return Bounded


def _is_here(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
