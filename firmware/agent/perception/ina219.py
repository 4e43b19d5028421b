"""INA219 current and power monitor on I2C (Texas Instruments SBOS448)."""

from .errors import SensorError

CONFIG = 0
BUS = 2
CURRENT = 4
CALIBRATION = 5
# 32 V, gain /8 (320 mV), mean of 8 conversions each, continuously.
SETTINGS = 0x3DDF
# Calibration = 0.04096 / (current step * shunt): data sheet, equation 1.
_CALIBRATION_UA_MOHM = 40960000
_OVERFLOW = 1


def current_step_ua(shunt_mohm: int) -> int:
    """The step of the current register: 100 uA for 100 mOhm, and so that 320 mV fit 15 bits."""
    return max(10, 10000 // shunt_mohm)


def calibration(shunt_mohm: int) -> int:
    """The calibration register's value."""
    return min(0xFFFE, _CALIBRATION_UA_MOHM // (current_step_ua(shunt_mohm) * shunt_mohm)) & 0xFFFE


def bus_mv(register: int) -> int:
    """Bus voltage of register 2. Raises SensorError on an overflow."""
    if register & _OVERFLOW:
        raise SensorError("the current is beyond the range of the shunt")
    return (register >> 3) * 4


def current_ma(register: int, step_ua: int) -> int:
    """Current of register 4, rounded down."""
    if register & 0x8000:
        register -= 0x10000
    return register * step_ua // 1000


def power_mw(mv: int, register: int, step_ua: int) -> int:
    """Power of a voltage and register 4: finer than the power register. Never negative."""
    if register & 0x8000:
        return 0
    return mv * (register * step_ua // 100) // 10000


class INA219:
    """`read(now_ms)` gives mW or raises SensorError or OSError; `supply_mv` and `current_ma` are
    those of the last good reading.
    """

    def __init__(self, sda: int, scl: int, addr: int = 0x40, shunt_mohm: int = 100):
        self._pins = (scl, sda)
        self._addr = addr
        self._step_ua = current_step_ua(shunt_mohm)
        self._calibration = calibration(shunt_mohm)
        self._buf = bytearray(2)
        self._i2c = None
        self.supply_mv = None
        self.current_ma = None

    def read(self, now_ms: int) -> int:
        try:
            return self._read()
        except OSError:
            # The bus is made anew next time, after clocking out what a device may be stuck in.
            self._i2c = None
            raise SensorError("no answer on the bus: unplugged")

    def _read(self):
        if self._i2c is None:
            self._i2c = self._open_bus()
            self._configure()
            raise SensorError("it has just been set up")
        # A monitor that lost its power forgets its calibration and would report no current.
        if self._get(CALIBRATION) != self._calibration or self._get(CONFIG) != SETTINGS:
            self._configure()
            raise SensorError("it had lost its settings")
        mv = bus_mv(self._get(BUS))
        current = self._get(CURRENT)
        self.supply_mv = mv
        self.current_ma = current_ma(current, self._step_ua)
        return power_mw(mv, current, self._step_ua)

    def _open_bus(self):
        from machine import I2C, Pin  # type: ignore[import-not-found]

        scl, sda = self._pins
        wire = Pin(sda, Pin.IN, Pin.PULL_UP)
        clock = Pin(scl, Pin.OPEN_DRAIN, value=1)
        for _ in range(9):
            if wire.value():
                break
            clock.value(0)
            clock.value(1)
        return I2C(0, scl=Pin(scl), sda=Pin(sda), freq=100000)

    def _configure(self):
        self._put(CONFIG, SETTINGS)
        self._put(CALIBRATION, self._calibration)

    def _get(self, register):
        self._i2c.readfrom_mem_into(self._addr, register, self._buf)  # type: ignore[attr-defined]
        return self._buf[0] << 8 | self._buf[1]

    def _put(self, register, value):
        self._buf[0] = value >> 8
        self._buf[1] = value & 0xFF
        self._i2c.writeto_mem(self._addr, register, self._buf)  # type: ignore[attr-defined]
