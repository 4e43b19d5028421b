"""Modbus/TCP connections: framing, limits, and nothing that a client sends is trusted.

A frame is transaction (2 bytes), protocol 0 (2), length (2), unit (1) and the request. Requests of
one connection are answered in order, one after the other, so a client has one answer to wait for.
What cannot be a frame ends the connection: there is no telling where the next one would begin.
"""

import asyncio
import logging
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from host.bridge.logs import event

LOG = logging.getLogger("fanwise.modbus")
HEADER = struct.Struct(">HHHB")
MAX_PDU = 253
# The rest of a frame has to follow, and an answer has to be taken, within this time.
FRAME_S = 10.0
HANDSHAKE_S = 5.0
# When all places are taken, a connection silent for so long makes way for a new one.
SILENT_S = 30.0
MAX_NAME = 64

# (unit, request, client) -> response
Answer = Callable[[int, bytes, str], Awaitable[bytes]]


@dataclass(eq=False)
class Connection:
    writer: asyncio.StreamWriter
    task: asyncio.Task[None]
    last: float = field(default_factory=time.monotonic)


class ModbusServer:
    def __init__(self, answer: Answer, connections: int, requests_per_s: int) -> None:
        """requests_per_s: of one connection; what comes faster waits."""
        self._answer = answer
        self._most = connections
        self._pause_s = 1.0 / requests_per_s
        self._open: set[Connection] = set()
        self._full_told = False

    async def serve(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        """Until cancelled; then every connection is closed."""
        timeout = HANDSHAKE_S if context else None
        server = await asyncio.start_server(
            self._serve, sock=sock, ssl=context, ssl_handshake_timeout=timeout, limit=4 * MAX_PDU
        )
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()
            for each in list(self._open):
                self._drop(each)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        mine = Connection(writer, task)
        if not self._place():
            writer.transport.abort()
            return
        self._open.add(mine)
        try:
            await self._requests(reader, mine)
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
            pass  # it went away, was too slow, or made way
        finally:
            self._open.discard(mine)
            # Closing in order would wait for a client that does not read.
            writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, mine: Connection) -> None:
        client = _client(mine.writer)
        due = time.monotonic()
        while True:
            first = await reader.readexactly(1)
            async with asyncio.timeout(FRAME_S):
                head = first + await reader.readexactly(HEADER.size - 1)
                transaction, protocol, length, unit = HEADER.unpack(head)
                if protocol or not 2 <= length <= MAX_PDU + 1:
                    return
                request = await reader.readexactly(length - 1)
            # A burst of a second's worth is let through at once.
            due = max(due + self._pause_s, time.monotonic() - 1.0)
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            mine.last = time.monotonic()
            response = await self._answer(unit, request, client)
            mine.last = time.monotonic()
            mine.writer.write(HEADER.pack(transaction, 0, len(response) + 1, unit) + response)
            async with asyncio.timeout(FRAME_S):
                await mine.writer.drain()

    def _place(self) -> bool:
        """Whether there is one for a new connection."""
        if len(self._open) < self._most:
            self._full_told = False
            return True
        oldest = min(self._open, key=lambda each: each.last)
        if time.monotonic() - oldest.last >= SILENT_S:
            self._drop(oldest)
            return True
        if not self._full_told:
            self._full_told = True
            event(LOG, logging.WARNING, "modbus client refused", connections=self._most)
        return False

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.task.cancel()


def _client(writer: asyncio.StreamWriter) -> str:
    """Who the audit names: the common name of the client's certificate, or "modbus"."""
    subject = (writer.get_extra_info("peercert") or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    name = "".join(c for c in names[0] if c.isprintable())[:MAX_NAME] if names else ""
    return name or "modbus"
