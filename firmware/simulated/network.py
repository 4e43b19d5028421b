# `network` of an ESP32 in a simulated radio's reach: the host says what is heard, and how joining
# goes.

import _bus

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_BEACON_TIMEOUT = 200
STAT_ASSOC_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204


def _status():
    value = _bus.call(_bus.NET_STATUS)
    _bus.radio = value >> 12
    return value & 0xFFF


class WLAN:
    IF_STA = 0
    IF_AP = 1
    PM_NONE = 0
    PM_PERFORMANCE = 1

    def __init__(self, interface=0):
        self._active = False

    def active(self, on=None):
        if on is None:
            return self._active
        if self._active and not on:
            _bus.call(_bus.NET_LEAVE)
        self._active = bool(on)
        return None

    def isconnected(self):
        return self._active and _status() == STAT_GOT_IP

    def status(self, what=None):
        if what == "rssi":
            return -_bus.call(_bus.NET_RSSI)
        if what is not None:
            raise ValueError("unknown status param")
        return _status()

    def scan(self):
        # (ssid, bssid, channel, RSSI, security, hidden)
        found = []
        try:
            while True:
                rssi = -_bus.call(_bus.NET_SCAN, 0, len(found))
                name = bytes(_bus.reply[_bus.HEADER : _bus.HEADER + _bus.reply[2]])
                found.append((name, b"\x02\x00\x00\x00\x00\x01", 6, rssi, 3, False))
        except OSError:
            return found

    def connect(self, ssid=None, key=None):
        if not self._active:
            raise OSError("Wifi Not Started")
        # Each has room in a packet of its own.
        for a, text in ((0, ssid), (1, key or "")):
            data = text.encode()
            n = len(data)
            _bus.out[_bus.HEADER : _bus.HEADER + n] = data
            _bus.call(_bus.NET_JOIN, a, 0, n)

    def disconnect(self):
        _bus.call(_bus.NET_LEAVE)

    def config(self, *args, **kwargs):
        return b"\x02\x00\x00\x00\x00\x00"

    def ifconfig(self, *args):
        if not self.isconnected():
            return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")


def hostname(name=None):
    return "simulated"


def country(code=None):
    return "XX"
