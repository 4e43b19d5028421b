# `time` in the simulation's virtual time: it passes while the board sleeps and stands still while
# it computes.

import _bus
import utime as _host

_EPOCH_S = 946684800  # 2000-01-01, where an ESP32's time starts
# A loop that only watches the clock would wait for ever, so reading it this often takes a
# millisecond.
_READS_PER_MS = 50


def sleep(seconds):
    _bus.sleep(_bus.SLEEP_MS, int(seconds * 1000))


def sleep_ms(ms):
    _bus.sleep(_bus.SLEEP_MS, ms if ms > 0 else 0)


def sleep_us(us):
    _bus.sleep(_bus.SLEEP_US, us if us > 0 else 0)


def _read():
    if _bus.reads >= _READS_PER_MS:
        _bus.sleep(_bus.SLEEP_MS, 1)
    _bus.reads += 1


def ticks_ms():
    _read()
    return _bus.ticks_ms


def ticks_us():
    _read()
    return _bus.ticks_us


ticks_cpu = ticks_us

if _host.ticks_add(0x3FFFFFFF, 1) == 0:
    ticks_diff = _host.ticks_diff
    ticks_add = _host.ticks_add
else:  # a 64-bit VM, whose own ticks have 62 bits

    def ticks_diff(a, b):
        return ((a - b + 0x20000000) & 0x3FFFFFFF) - 0x20000000

    def ticks_add(a, b):
        return (a + b) & 0x3FFFFFFF


def time():
    _read()
    return _bus.call(_bus.TIME)


def time_ns():
    return time() * 1000000000


def gmtime(secs=None):
    return _host.gmtime((time() if secs is None else secs) + _EPOCH_S)[:8]


localtime = gmtime


def mktime(parts):
    # Days from civil, by Howard Hinnant's chrono-compatible algorithm.
    year, month, day, hour, minute, second = parts[:6]
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    return days * 86400 + hour * 3600 + minute * 60 + second - _EPOCH_S
