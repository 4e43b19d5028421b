"""Device models against figures from their data sheets, without a board."""

import pytest

from host.simulation.bus import I2C_READ, I2C_WRITE, NET_SCAN, Peripherals
from host.simulation.devices import DS18B20, INA219, Fault, OneWireBus, Pins, Tachometer
from host.simulation.devices.ds18b20 import crc8, rom_code
from host.simulation.errors import BoardError
from host.simulation.wiring import Wiring


@pytest.mark.parametrize(
    ("temp_c", "register"),
    [  # table 1 of the DS18B20 data sheet
        (125, 0x07D0),
        (85, 0x0550),
        (25.0625, 0x0191),
        (10.125, 0x00A2),
        (0.5, 0x0008),
        (0, 0x0000),
        (-0.5, 0xFFF8),
        (-10.125, 0xFF5E),
        (-25.0625, 0xFE6F),
        (-55, 0xFC90),
        (200, 0x07D0),
    ],
)
def test_ds18b20_temperature_register(temp_c, register):
    probe = DS18B20(lambda: temp_c, 1)
    bus = OneWireBus([probe])
    bus.reset()
    bus.write(b"\xcc\x44")
    probe.advance(750_000, 750_000)
    bus.reset()
    bus.write(b"\xcc\xbe")
    data = bus.read(9)
    assert int.from_bytes(data[:2], "little") == register
    assert crc8(data) == 0


@pytest.mark.parametrize(
    ("bits", "wait_us"), [(9, 93_750), (10, 187_500), (11, 375_000), (12, 750_000)]
)
def test_ds18b20_conversion_time(bits, wait_us):
    probe = DS18B20(lambda: 20.0, 1)
    bus = OneWireBus([probe])
    bus.reset()
    bus.write(bytes([0xCC, 0x4E, 0, 0, (bits - 9) << 5 | 0x1F]))
    bus.reset()
    bus.write(b"\xcc\x44")
    probe.advance(wait_us - 1, wait_us - 1)
    assert bus.read_bit() == 0
    probe.advance(wait_us, 1)
    assert bus.read_bit() == 1


def test_ds18b20_rom_code_is_the_one_of_the_application_note():
    # Maxim application note 27: family 02, serial 00 00 00 01 B8 1C, CRC A2.
    assert crc8(bytes.fromhex("021cb801000000")) == 0xA2
    assert crc8(rom_code(0x123456789ABC)) == 0


def test_only_the_addressed_ds18b20_answers():
    probes = [DS18B20(lambda n=n: float(n), n) for n in (1, 2)]
    bus = OneWireBus(probes)
    bus.reset()
    bus.write(b"\x55" + probes[1].rom + b"\x44")
    for probe in probes:
        probe.advance(750_000, 750_000)
    assert [int.from_bytes(p.scratchpad()[:2], "little") for p in probes] == [85 * 16, 2 * 16]


@pytest.mark.parametrize(
    ("amperes", "config", "calibration", "shunt", "current"),
    [
        (1.0, 0x399F, 4096, 10000, 10000),
        (-1.0, 0x399F, 4096, -10000, -10000),
        (5.0, 0x399F, 4096, 32000, 32000),  # the widest range ends at 320 mV
        (1.0, 0x219F, 4096, 4000, 4000),  # the narrowest at 40 mV
        (0.0003, 0x399F, 0, 3, 0),  # uncalibrated
    ],
)
def test_ina219_ranges(amperes, config, calibration, shunt, current):
    monitor = INA219(lambda: 12.0, lambda: amperes)
    monitor.write(bytes([0, *config.to_bytes(2, "big")]))
    monitor.write(bytes([5, *calibration.to_bytes(2, "big")]))

    def read(register):
        monitor.write(bytes([register]))
        return int.from_bytes(monitor.read(2), "big", signed=True)

    assert (read(1), read(4)) == (shunt, current)


@pytest.mark.parametrize(
    ("volts", "config", "steps"), [(12, 0x399F, 3000), (20, 0x199F, 4000), (-1, 0x399F, 0)]
)
def test_ina219_bus_voltage(volts, config, steps):
    monitor = INA219(lambda: volts, lambda: 0.0)
    monitor.write(bytes([0, *config.to_bytes(2, "big")]))
    monitor.write(b"\x02")
    assert int.from_bytes(monitor.read(2), "big") >> 3 == steps


def test_ina219_in_power_down_keeps_its_registers():
    amperes = 1.0
    monitor = INA219(lambda: 12.0, lambda: amperes)
    monitor.write(b"\x01")
    assert monitor.read(2) == (10000).to_bytes(2, "big")
    monitor.write(b"\x00\x39\x98")
    amperes = 2.0
    monitor.write(b"\x01")
    assert monitor.read(2) == (10000).to_bytes(2, "big")


def test_tachometer_counts_through_any_step():
    pins = Pins()
    tachometer = Tachometer(pins[5], lambda: 1234.0)
    pins[5].irq_trigger = 2
    now_us = 0
    for step_us in [7_001, 100_000, 12_345] * 100:
        now_us += step_us
        tachometer.advance(now_us, step_us)
    assert tachometer.take_edges() == int(1234 / 60 * 2 * now_us / 1e6)
    assert tachometer.take_edges() == 0


def test_a_stuck_device_keeps_the_value_it_had():
    value = 20.0
    probe = DS18B20(lambda: value, 1)
    probe.fault = Fault.STUCK
    value = 30.0
    assert probe.measure() == 20.0
    probe.fault = Fault.NONE
    assert probe.measure() == 30.0


class Nobody:
    """A control nothing is asked of here."""


@pytest.mark.parametrize("op", [NET_SCAN + n for n in (1, 100, 226)])
def test_unknown_requests_are_refused(op):
    assert Peripherals().handle(op, 0, 0, b"", Nobody())[0] == 22


def test_an_endless_i2c_write_is_refused():
    peripherals = Peripherals()
    peripherals.i2c[21, 22] = {0x40: INA219(lambda: 12.0, lambda: 0.0)}
    lines = 21 | 22 << 8
    errors = {
        peripherals.handle(I2C_WRITE, 0x40, lines | 1 << 16, bytes(64), Nobody())[0]
        for _ in range(70)
    }
    assert errors == {0, 5}
    assert peripherals.handle(I2C_READ, 0x40, lines, bytes(2), Nobody())[0] == 0


def test_a_pin_has_one_device():
    with pytest.raises(BoardError, match="pin 4 is used twice"):
        Wiring(relay_pin=4, onewire_pin=4)
