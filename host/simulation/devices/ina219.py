"""INA219 current and power monitor, at register level (Texas Instruments SBOS448)."""

from __future__ import annotations

from collections.abc import Callable

from host.simulation.devices.base import Device, Fault

CONFIG, SHUNT, BUS, POWER, CURRENT, CALIBRATION = range(6)
CONFIG_DEFAULT = 0x399F
CONFIG_RESET = 0x8000
CONFIG_32V = 0x2000
BUS_READY, BUS_OVERFLOW = 0x0002, 0x0001
SHUNT_LSB_V = 10e-6
BUS_LSB_V = 4e-3


class INA219(Device):
    """16-bit registers, most significant byte first, behind a pointer that stays where it was set.

    `volts` and `amperes` are the bus voltage and the current through the shunt of `shunt_ohm`.
    """

    def __init__(
        self,
        volts: Callable[[], float],
        amperes: Callable[[], float],
        *,
        address: int = 0x40,
        shunt_ohm: float = 0.1,
        seed: int | str = 0,
    ) -> None:
        super().__init__(amperes, seed)
        self.address = address
        self.shunt_ohm = shunt_ohm
        self._volts = volts
        self._stuck_volts = 0.0
        self.power_cycle()

    @property
    def fault(self) -> Fault:
        """The present fault; assigning takes effect at once."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        if fault is Fault.STUCK and self._fault is not Fault.STUCK:
            self._stuck_volts, self._stuck_at = self._volts(), self._quantity()
        self._fault = fault

    def power_cycle(self) -> None:
        """Registers as after power-on."""
        self._config = CONFIG_DEFAULT
        self._calibration = 0
        self._pointer = CONFIG
        self._shunt = self._bus = 0
        self._ready = False

    def write(self, data: bytes) -> bool:
        """A write transfer; False if nobody acknowledges."""
        if not self.connected:
            return False
        if data:
            self._pointer = data[0]
        if len(data) >= 3:
            value = data[1] << 8 | data[2]
            if self._pointer == CONFIG:
                if value & CONFIG_RESET:
                    self.power_cycle()
                else:
                    self._config, self._ready = value, False
                    self._convert()
            elif self._pointer == CALIBRATION:
                self._calibration = value & 0xFFFE
        return True

    def read(self, n: int) -> bytes | None:
        """A read of `n` bytes of the pointed-to register; None if nobody acknowledges."""
        if not self.connected:
            return None
        if self._config & 0x4:  # continuous modes convert all the time
            self._convert()
        data = bytearray(self._register(self._pointer).to_bytes(2, "big"))
        if self._pointer == POWER:
            self._ready = False
        for i in range(16):
            if self.flips():
                data[i // 8] ^= 0x80 >> i % 8
        return bytes((data + b"\xff" * n)[:n])

    def _convert(self) -> None:
        mode = self._config & 0x7
        stuck = self.fault is Fault.STUCK
        if mode & 0x1:
            limit = 4000 << (self._config >> 11 & 0x3)  # 40 mV times 1, 2, 4 or 8
            steps = round(self.measure() * self.shunt_ohm / SHUNT_LSB_V)
            self._shunt = max(-limit, min(limit, steps))
        if mode & 0x2:
            top = 32.0 if self._config & CONFIG_32V else 16.0
            volts = self._stuck_volts if stuck else self._volts()
            self._bus = round(max(0.0, min(top, volts)) / BUS_LSB_V)
        if mode & 0x3:
            self._ready = True

    def _register(self, pointer: int) -> int:
        current = int(self._shunt * self._calibration / 4096)
        overflow = not -32768 <= current <= 32767
        current = max(-32768, min(32767, current))
        if pointer == CONFIG:
            return self._config
        if pointer == SHUNT:
            return self._shunt & 0xFFFF
        if pointer == BUS:
            flags = (BUS_READY if self._ready else 0) | (BUS_OVERFLOW if overflow else 0)
            return self._bus << 3 & 0xFFF8 | flags
        if pointer == POWER:
            return min(0xFFFF, abs(current) * self._bus // 5000)
        if pointer == CURRENT:
            return current & 0xFFFF
        if pointer == CALIBRATION:
            return self._calibration
        return 0xFFFF
