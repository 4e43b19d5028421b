"""Virtual devices at the level of registers and bits, as drivers on the board see them."""

from host.simulation.devices.base import Fault
from host.simulation.devices.ds18b20 import DS18B20, OneWireBus
from host.simulation.devices.ina219 import INA219
from host.simulation.devices.physics import Machine
from host.simulation.devices.pins import Pins
from host.simulation.devices.relay import FanRelay
from host.simulation.devices.tachometer import Tachometer
from host.simulation.devices.thermistor import Thermistor

__all__ = [
    "DS18B20",
    "INA219",
    "FanRelay",
    "Fault",
    "Machine",
    "OneWireBus",
    "Pins",
    "Tachometer",
    "Thermistor",
]
