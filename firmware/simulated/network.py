# `network` of a board whose radio finds nothing: simulated boards talk through their serial port.

STA_IF = 0
AP_IF = 1


class WLAN:
    IF_STA = 0
    IF_AP = 1

    def __init__(self, interface=0):
        self._active = False

    def active(self, on=None):
        if on is None:
            return self._active
        self._active = bool(on)
        return None

    def isconnected(self):
        return False

    def status(self, what=None):
        return 201  # STAT_NO_AP_FOUND

    def scan(self):
        return []

    def connect(self, *args, **kwargs):
        raise OSError("simulated boards have no network")

    def disconnect(self):
        pass

    def config(self, *args, **kwargs):
        return b"\x02\x00\x00\x00\x00\x00"

    def ifconfig(self, *args):
        return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")


def hostname(name=None):
    return "simulated"


def country(code=None):
    return "XX"
