"""Name and time servers of a simulated network, each a UDP socket on loopback."""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import time
from collections.abc import Callable

DNS, NTP, MDNS = 53, 123, 5353
NTP_EPOCH_S = 2208988800
LONGEST = 2048
_HEADER = 12


class Names(enum.Enum):
    """What asking for a name comes to."""

    ANSWERED = 1
    UNKNOWN = 2
    SILENT = 3
    GARBAGE = 4


class Services:
    """`names` leads to addresses; `fault` is what is wrong with asking. Ports come to be when a
    board first asks for them.
    """

    def __init__(
        self, watch: Callable[[int, Callable[[], object]], None], unwatch: Callable[[int], None]
    ) -> None:
        self.names: dict[str, str] = {}
        self.fault = Names.ANSWERED
        self.asked = 0
        self._watch, self._unwatch = watch, unwatch
        self._sockets: dict[int, socket.socket] = {}

    def port(self, service: int) -> int:
        """Where a service (its usual port) is on loopback; 9, where nothing listens, for others."""
        kind = DNS if service == MDNS else service
        if kind not in (DNS, NTP):
            return 9
        if kind not in self._sockets:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind(("127.0.0.1", 0))
            made.setblocking(False)
            self._sockets[kind] = made
            answer = self.name_answer if kind == DNS else time_answer
            self._watch(made.fileno(), lambda: self._serve(made, answer))
        return int(self._sockets[kind].getsockname()[1])

    def close(self) -> None:
        for each in self._sockets.values():
            self._unwatch(each.fileno())
            each.close()
        self._sockets.clear()

    def _serve(self, where: socket.socket, answer: Callable[[bytes], bytes]) -> None:
        with contextlib.suppress(OSError):
            request, asker = where.recvfrom(LONGEST)
            self.asked += 1
            reply = answer(request)
            if reply and self.fault is not Names.SILENT:
                where.sendto(reply, asker)

    def name_answer(self, query: bytes) -> bytes:
        """A DNS reply with the address of the one name that is asked for."""
        if self.fault is Names.GARBAGE:
            return query[:2] + b"\xff" * 60
        labels, at = [], _HEADER
        while at < len(query) and query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
            at += query[at] + 1
        found = self.names.get(".".join(labels))
        asked = query[_HEADER : at + 5]
        if not found or self.fault is Names.UNKNOWN:
            return query[:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + asked
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
        record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(found)
        return head + asked + record


def time_answer(request: bytes) -> bytes:
    """An SNTP reply with this machine's time."""
    now = struct.pack(">II", int(time.time()) + NTP_EPOCH_S, 0)
    return b"\x24\x02\x00\xec" + bytes(20) + request[40:48] + now + now
