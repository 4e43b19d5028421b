"""A simulated board's Wi-Fi: what it hears, how joining goes, what the network around it offers.

Its answers are those of `network` on an ESP32; firmware/simulated/network.py and socket.py are the
other end. The board's sockets are real ones of this machine.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from host.simulation import bus
from host.simulation.clock import Clock
from host.simulation.network_services import Services

IDLE, CONNECTING, GOT_IP = 1000, 1001, 1010
BEACON_TIMEOUT, NO_AP_FOUND, WRONG_PASSWORD = 200, 201, 202
JOIN_US = 2_000_000
# So long an ESP32 takes to notice that the access point has gone.
NOTICE_US = 6_000_000


@dataclass(frozen=True)
class AccessPoint:
    password: str = ""
    rssi: int = -61


@dataclass
class Radio:
    """`access_points` by name are what there is; while `down` none of them is heard.

    status: an ESP32's.
    """

    clock: Clock
    services: Services
    access_points: dict[str, AccessPoint] = field(default_factory=dict)
    down: bool = False
    status: int = IDLE
    joins: int = 0
    _ssid: str = ""
    _password: str = ""
    _due_us: int = 0

    @property
    def carries(self) -> bool:
        """Whether data comes and goes."""
        return self.status == GOT_IP and self._heard() is not None

    def reset(self) -> None:
        """As at power-on."""
        self.status = IDLE
        self.services.close()

    def handle(self, op: int, a: int, b: int, data: bytes) -> tuple[int, int, bytes]:
        """One request of the board: (error number, value, payload)."""
        self._go_on()
        if op == bus.NET_JOIN and a == 0:
            self._ssid = data.decode("utf-8", "replace")
        elif op == bus.NET_JOIN:
            self._join(data.decode("utf-8", "replace"))
        elif op == bus.NET_LEAVE:
            self.status = IDLE
        elif op == bus.NET_STATUS:
            return 0, self.status | self.carries << 12, b""
        elif op == bus.NET_RSSI:
            point = self._heard()
            return (0, -point.rssi, b"") if point and self.carries else (errno.EIO, 0, b"")
        elif op == bus.NET_PORT:
            return 0, self.services.port(b), b""
        elif op == bus.NET_SCAN:
            heard = [] if self.down else sorted(self.access_points.items())
            if b >= len(heard):
                return errno.ENOENT, 0, b""
            return 0, -heard[b][1].rssi, heard[b][0].encode()
        return 0, 0, b""

    def _heard(self) -> AccessPoint | None:
        return None if self.down else self.access_points.get(self._ssid)

    def _join(self, password: str) -> None:
        self.joins += 1
        self._password = password
        self.status = CONNECTING
        self._due_us = self.clock.now_us + JOIN_US

    def _go_on(self) -> None:
        now_us, point = self.clock.now_us, self._heard()
        if self.status == CONNECTING and now_us >= self._due_us:
            if point is None:
                self.status = NO_AP_FOUND
            else:
                self.status = GOT_IP if point.password == self._password else WRONG_PASSWORD
            self._due_us = 0
        elif self.status == GOT_IP and point is None:
            self._due_us = self._due_us or now_us + NOTICE_US
            if now_us >= self._due_us:
                self.status = BEACON_TIMEOUT
        elif self.status == GOT_IP:
            self._due_us = 0
