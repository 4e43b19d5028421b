"""DS18B20 thermometer, alone on its 1-Wire bus (Maxim data sheet 19-7487).

A conversion takes 750 ms at 12 bits, so each reading collects the one started a period ago and
starts the next: nothing waits.
"""

from .errors import SensorError

SKIP_ROM = 0xCC
CONVERT = 0x44
READ_SCRATCHPAD = 0xBE
CONVERSION_MS = 750
# The scratchpad's temperature after power-on, before any conversion.
POWER_ON_MC = 85000
_NEAR_MK = 5000
TRIES = 2  # 7 ms each; the scratchpad keeps its content, so a disturbed transfer is repeated


def decode(pad):
    """m°C of a nine-byte scratchpad whose CRC is right. Raises SensorError if it cannot be one."""
    # Zeros have a right CRC too; the fixed bits of the configuration register tell them apart.
    if pad[4] & 0x9F != 0x1F:
        raise SensorError("the bus is held low or this is no DS18B20")
    raw = pad[0] | pad[1] << 8
    if raw & 0x8000:
        raw -= 0x10000
    unused = 3 - (pad[4] >> 5 & 3)
    return ((raw >> unused) << unused) * 125 >> 1


def crc_ok(pad):
    """The 1-Wire CRC over the scratchpad, its own CRC byte included."""
    crc = 0
    for byte in pad:
        for _ in range(8):
            mix = (crc ^ byte) & 1
            crc = crc >> 1 ^ 0x8C if mix else crc >> 1
            byte >>= 1
    return crc == 0


class DS18B20:
    """`read(now_ms)` gives m°C or raises SensorError."""

    def __init__(self, pin: int):
        from machine import Pin  # type: ignore[import-not-found]
        from onewire import OneWire  # type: ignore[import-not-found]

        self._wire = OneWire(Pin(pin, Pin.OPEN_DRAIN, Pin.PULL_UP))
        self._pad = bytearray(9)
        self._started_ms = None
        self._last_mc = None

    def read(self, now_ms: int) -> int:
        started_ms = self._started_ms
        if started_ms is not None and now_ms - started_ms < CONVERSION_MS:
            raise SensorError("the conversion is not finished")
        self._started_ms = None
        if started_ms is None:
            self._start(now_ms)
            raise SensorError("the first conversion has just been started")
        mc = self._fetch()
        self._start(now_ms)
        # A true 85 degrees is preceded by something near it; the power-on value is not.
        if mc == POWER_ON_MC and (
            self._last_mc is None or abs(self._last_mc - POWER_ON_MC) > _NEAR_MK
        ):
            raise SensorError("it lost its power and has just come back")
        self._last_mc = mc
        return mc

    def _start(self, now_ms):
        wire = self._wire
        if not wire.reset():
            raise SensorError("no presence pulse: unplugged")
        wire.writebyte(SKIP_ROM)
        wire.writebyte(CONVERT)
        self._started_ms = now_ms

    def _fetch(self):
        wire = self._wire
        for _ in range(TRIES):
            if not wire.reset():
                raise SensorError("no presence pulse: unplugged")
            wire.writebyte(SKIP_ROM)
            wire.writebyte(READ_SCRATCHPAD)
            wire.readinto(self._pad)
            if crc_ok(self._pad):
                return decode(self._pad)
        raise SensorError("wrong checksum: check the wiring")
