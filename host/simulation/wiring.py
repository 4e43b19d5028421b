"""Which device hangs on which pin of a simulated board."""

from __future__ import annotations

from dataclasses import dataclass

from host.simulation.bus import Peripherals
from host.simulation.devices import (
    DS18B20,
    INA219,
    FanRelay,
    Machine,
    OneWireBus,
    Tachometer,
    Thermistor,
)
from host.simulation.devices.base import Device
from host.simulation.errors import BoardError

DS18B20_SERIAL = 0x0000_05A1_7E00


@dataclass(frozen=True)
class Wiring:
    """Pin numbers; None leaves a device out. One DS18B20 on the case, the thermistor in the air."""

    relay_pin: int = 26
    onewire_pin: int | None = 4
    sda_pin: int = 21
    scl_pin: int = 22
    ina219_address: int | None = 0x40
    shunt_ohm: float = 0.1
    tach_pin: int | None = 27
    thermistor_pin: int | None = 34

    def __post_init__(self) -> None:
        used = [
            pin
            for pin in (
                self.relay_pin,
                self.onewire_pin,
                self.sda_pin,
                self.scl_pin,
                self.tach_pin,
                self.thermistor_pin,
            )
            if pin is not None
        ]
        twice = sorted({pin for pin in used if used.count(pin) > 1})
        if twice:
            raise BoardError(f"wiring: pin {twice[0]} is used twice; give each device its own")


def wire(
    peripherals: Peripherals, wiring: Wiring, machine: Machine, name: str
) -> dict[str, Device]:
    """Connect virtual devices to a board; returns them by name: ds18b20, ina219, tach,
    thermistor, relay.
    """
    devices: dict[str, Device] = {}
    if wiring.onewire_pin is not None:
        serial = DS18B20_SERIAL + sum(name.encode()) % 256
        probe = DS18B20(lambda: machine.case_temp_c, serial, f"{name} ds18b20")
        peripherals.onewire[wiring.onewire_pin] = OneWireBus([probe])
        devices["ds18b20"] = probe
    if wiring.ina219_address is not None:
        monitor = INA219(
            lambda: machine.supply_v,
            lambda: machine.current_a,
            address=wiring.ina219_address,
            shunt_ohm=wiring.shunt_ohm,
            seed=f"{name} ina219",
        )
        peripherals.i2c[wiring.sda_pin, wiring.scl_pin] = {wiring.ina219_address: monitor}
        devices["ina219"] = monitor
    if wiring.tach_pin is not None:
        pin = peripherals.pins[wiring.tach_pin]
        tachometer = Tachometer(pin, lambda: machine.fan_rpm, f"{name} tach")
        peripherals.tachometers[wiring.tach_pin] = tachometer
        devices["tach"] = tachometer
    if wiring.thermistor_pin is not None:
        thermistor = Thermistor(lambda: machine.ambient_temp_c, f"{name} thermistor")
        peripherals.analog[wiring.thermistor_pin] = thermistor
        devices["thermistor"] = thermistor
    devices["relay"] = FanRelay(peripherals.pins, wiring.relay_pin, machine)
    return devices
