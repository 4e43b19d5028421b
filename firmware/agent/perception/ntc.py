"""NTC thermistor to ground under a fixed resistor, the middle on an ADC pin.

R = R25 exp(B (1/T - 1/T25)), the two-point B model of thermistor data sheets. The exponential is
computed once, into a table of voltages; readings interpolate in integers.
"""

import math
from array import array

from .errors import SensorError

COLDEST_C = -30
STEP_C = 5
ENTRIES = 28  # up to 105
SAMPLES = 4


def voltage_table(r_fixed_ohm, r25_ohm, beta_k, vref_mv):
    """Voltages in 10 uV, falling, at COLDEST_C, COLDEST_C + STEP_C and so on."""
    table = array("i", [0] * ENTRIES)
    for i in range(ENTRIES):
        kelvin = COLDEST_C + STEP_C * i + 273.15
        ohm = r25_ohm * math.exp(beta_k * (1 / kelvin - 1 / 298.15))
        table[i] = int(vref_mv * 100 * (ohm / (ohm + r_fixed_ohm)) + 0.5)
    return table


def decode(table, v):
    """m°C for a voltage in 10 uV. Raises SensorError where the wire is open or shorted."""
    if v > table[0]:
        raise SensorError("the wire is open")
    if v < table[len(table) - 1]:
        raise SensorError("the wire is shorted")
    low = 0
    high = len(table) - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if table[middle] >= v:
            low = middle
        else:
            high = middle
    span = table[low] - table[high]
    return (COLDEST_C + STEP_C * low) * 1000 + (table[low] - v) * STEP_C * 1000 // span


class Ntc:
    """`read(now_ms)` gives m°C or raises SensorError."""

    def __init__(self, pin, r_fixed_ohm=10000, r25_ohm=10000, beta_k=3950, vref_mv=3300):
        from machine import ADC, Pin  # type: ignore[import-not-found]

        self._adc = ADC(Pin(pin), atten=ADC.ATTN_11DB)
        self._table = voltage_table(r_fixed_ohm, r25_ohm, beta_k, vref_mv)

    def read(self, now_ms: int) -> int:
        total = 0
        for _ in range(SAMPLES):
            total += self._adc.read_uv()
        return decode(self._table, total // (10 * SAMPLES))
