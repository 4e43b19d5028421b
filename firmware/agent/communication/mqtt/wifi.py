"""Keeps the board in its Wi-Fi network.

    off      the radio has not been started, or could not be
    down     not joined; the next try follows a pause
    joining  asked for
    up       joined, with an address

The driver's own way to join again (`reconnects`) is switched off: it tries without pauses and hides
why it fails.
"""

from .packets import BrokerError
from .pause import Pause

OFF = "off"
DOWN = "down"
JOINING = "joining"
UP = "up"
JOIN_MS = 20000
STATION = 0  # network.STA_IF
# network.STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP of an ESP32: not failed yet.
_STATUS_WAITS = (1000, 1001, 1010)


class Wifi:
    """make: network.WLAN; `key`: the password, None for an open network."""

    def __init__(self, make, ssid, key):
        self.state = OFF
        self._make = make
        self._station = None
        self._ssid = ssid
        self._key = key
        self._pause = Pause()
        self._since_ms = 0

    def tend(self, now_ms: int) -> bool:
        """One step; whether the board is in the network. Raises BrokerError or what the driver does
        when it fails or is lost, and then pauses.
        """
        try:
            return self._step(now_ms)
        except Exception:
            self.state = OFF if self._station is None else DOWN
            self._pause.begin(now_ms)
            raise

    def _step(self, now_ms):
        if self.state == OFF:
            if self._pause.over(now_ms):
                station = self._make(STATION)
                station.active(True)
                station.config(reconnects=0)
                self._station = station
                self.state = DOWN
            return False
        if self._station.isconnected():  # type: ignore[union-attr]
            if self.state != UP:
                self.state = UP
                self._pause.reset()
            return True
        if self.state == UP:
            raise BrokerError("wifi lost")
        if self.state == JOINING:
            status = self._station.status()  # type: ignore[union-attr]
            in_time = now_ms - self._since_ms < JOIN_MS
            if status in _STATUS_WAITS and in_time:
                return False
            self._station.disconnect()  # type: ignore[union-attr]
            raise BrokerError("wifi %d" % status)
        if self._pause.over(now_ms):
            self._station.connect(self._ssid, self._key)  # type: ignore[union-attr]
            self.state = JOINING
            self._since_ms = now_ms
        return False

    def rssi(self):
        """Strength of the signal in dBm, None where it is not known."""
        if self.state != UP:
            return None
        try:
            return self._station.status("rssi")  # type: ignore[union-attr]
        except Exception:
            return None

    def name_server(self):
        """Its address, as the network told it."""
        return self._station.ifconfig()[3]  # type: ignore[union-attr]
