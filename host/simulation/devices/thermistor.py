"""A 10 kilo-ohm NTC thermistor to ground, 10 kilo-ohm to 3.3 V, the middle on an ADC pin."""

from __future__ import annotations

import math
from collections.abc import Callable

from host.simulation.devices.base import Device, Fault

SUPPLY_V = 3.3
SERIES_OHM = 10_000.0
R25_OHM = 10_000.0
B_K = 3950.0
NOISE_V = 0.0008  # about one step of the 12-bit converter
NOISY_V = 0.15
# Full scale of the ESP32's converter by attenuation. At 11 dB the supply ends it before the nominal
# 3.6 V.
FULL_SCALE_V = (1.1, 1.5, 2.2, 3.3)


class Thermistor(Device):
    """R = R25 exp(B (1/T - 1/T25)), the two-point B model of thermistor data sheets."""

    def __init__(self, temp_c: Callable[[], float], seed: int | str = 0) -> None:
        super().__init__(temp_c, seed)

    def volts(self) -> float:
        """The voltage on the pin; an open thermistor leaves it at the supply."""
        if not self.connected:
            return SUPPLY_V
        kelvin = max(150.0, self.measure() + 273.15)
        ohm = R25_OHM * math.exp(B_K * (1 / kelvin - 1 / 298.15))
        sigma = NOISY_V if self.fault is Fault.NOISY else NOISE_V
        return SUPPLY_V * ohm / (ohm + SERIES_OHM) + self.noise.gauss(0, sigma)


def adc_u16(volts: float, attenuation: int) -> int:
    """What `ADC.read_u16` returns: twelve bits, spread over sixteen as MicroPython does."""
    full = FULL_SCALE_V[min(attenuation, 3)]
    raw = max(0, min(4095, round(volts / full * 4095)))
    return raw << 4 | raw >> 8


def adc_uv(volts: float, attenuation: int) -> int:
    """What `ADC.read_uv` returns: the quantised voltage in microvolts."""
    full = FULL_SCALE_V[min(attenuation, 3)]
    return round((adc_u16(volts, attenuation) >> 4) / 4095 * full * 1e6)
