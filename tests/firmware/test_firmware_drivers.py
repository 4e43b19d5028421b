"""What sensors send, as tables: register and scratchpad contents into readings or reasons."""

import math

import pytest

from agent.perception import ds18b20, ina219, ntc, tach
from agent.perception.channel import Channel
from agent.perception.errors import SensorError
from agent.perception.sensors import Sensors


def pad(raw, config=0x7F):
    raw &= 0xFFFF
    return bytes([raw & 0xFF, raw >> 8, 75, 70, config, 0xFF, 0x0C, 0x10])


# The table of the data sheet, then lower resolutions, whose low bits mean nothing.
@pytest.mark.parametrize(
    ("raw", "config", "mc"),
    [
        (0x07D0, 0x7F, 125000),
        (0x0550, 0x7F, 85000),
        (0x0191, 0x7F, 25062),
        (0x00A2, 0x7F, 10125),
        (0x0008, 0x7F, 500),
        (0x0000, 0x7F, 0),
        (0xFFF8, 0x7F, -500),
        (0xFF5E, 0x7F, -10125),
        (0xFE6F, 0x7F, -25063),
        (0xFC90, 0x7F, -55000),
        (0x0197, 0x1F, 25000),
        (0x0197, 0x3F, 25250),
        (0x0197, 0x5F, 25375),
    ],
)
def test_ds18b20_decodes(raw, config, mc):
    assert ds18b20.decode(pad(raw, config)) == mc


@pytest.mark.parametrize("config", [0x00, 0xFF, 0x7E, 0x9F])
def test_ds18b20_refuses_what_is_no_scratchpad(config):
    with pytest.raises(SensorError, match="no DS18B20"):
        ds18b20.decode(pad(0x0191, config))


def test_ds18b20_checksum():
    # The example of Maxim's application note 27: a ROM code and its CRC.
    rom = bytes([0x02, 0x1C, 0xB8, 0x01, 0x00, 0x00, 0x00, 0xA2])
    assert ds18b20.crc_ok(rom)
    for i in range(64):
        broken = bytearray(rom)
        broken[i // 8] ^= 1 << i % 8
        assert not ds18b20.crc_ok(broken)


TABLE = ntc.voltage_table(10000, 10000, 3950, 3300)


def ntc_uv10(celsius):
    ohm = 10000 * math.exp(3950 * (1 / (celsius + 273.15) - 1 / 298.15))
    return 330000 * ohm / (ohm + 10000)


@pytest.mark.parametrize("celsius", [-29, -10.5, 0, 12.3, 22.5, 25, 41.7, 60, 88, 104])
def test_ntc_follows_the_exponential(celsius):
    assert abs(ntc.decode(TABLE, round(ntc_uv10(celsius))) - celsius * 1000) < 130


def test_ntc_is_exact_at_25_degrees():
    assert ntc.decode(TABLE, 165000) == 25000


@pytest.mark.parametrize(
    ("v", "reason"), [(330000, "open"), (0, "shorted"), (TABLE[0] + 1, "open")]
)
def test_ntc_refuses(v, reason):
    with pytest.raises(SensorError, match=reason):
        ntc.decode(TABLE, v)


@pytest.mark.parametrize(
    ("shunt_mohm", "step_ua", "calibration"), [(100, 100, 4096), (10, 1000, 4096), (1000, 10, 4096)]
)
def test_ina219_calibration(shunt_mohm, step_ua, calibration):
    assert ina219.current_step_ua(shunt_mohm) == step_ua
    assert ina219.calibration(shunt_mohm) == calibration


def test_ina219_registers():
    assert ina219.bus_mv(0x5D98) == 11980
    assert ina219.current_ma(0x2710, 1000) == 10000
    assert ina219.current_ma(0xFFFF, 100) == -1
    assert ina219.power_mw(11980, 0x2710, 1000) == 119800
    assert ina219.power_mw(12000, 0xFFF0, 100) == 0
    with pytest.raises(SensorError, match="range of the shunt"):
        ina219.bus_mv(0x5D99)


@pytest.mark.parametrize(
    ("pulses", "per_rev", "ms", "rpm"),
    [
        (40, 2, 1000, 1200),
        (0, 2, 1000, 0),
        (41, 2, 1000, 1230),
        (20, 2, 1003, 598),
        (1, 4, 1000, 15),
    ],
)
def test_tachometer(pulses, per_rev, ms, rpm):
    assert tach.rpm(pulses, per_rev, ms) == rpm


def test_a_channel_refuses_what_cannot_be():
    channel = Channel("case", -40000, 125000, 8000)
    assert channel.value is None
    assert channel.bad_ms(3000) == 3000
    channel.accept(30000, 1000)
    assert (channel.value, channel.reason) == (30000, "")
    channel.accept(126000, 2000)
    assert (channel.value, channel.reason) == (None, "126000 is outside -40000 to 125000")
    channel.accept(30100, 3000)
    channel.accept(80000, 4000)
    assert (channel.value, channel.reason) == (None, "it jumped by 49900")
    assert channel.bad_ms(4500) == 500


def test_a_jump_that_stays_is_the_truth():
    channel = Channel("case", -40000, 125000, 8000)
    channel.accept(30000, 0)
    values = []
    for i in range(1, 5):
        channel.accept(80000, 1000 * i)
        values.append(channel.value)
    assert values == [None, None, 80000, 80000]


class Flaky:
    supply_mv, current_ma = 12000, 400

    def __init__(self, script):
        self.script = list(script)

    def read(self, now_ms):
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


def test_no_exception_leaves_perception():
    script = [41000, SensorError("unplugged"), OSError(5), ValueError("x"), MemoryError(), 41100]
    drivers = {"case": Flaky(script), "power": Flaky([4800, OSError(19), 4800, 4800, 4800, 4800])}
    sensors = Sensors(
        {"case": {"driver": "case"}, "power": {"driver": "power"}},
        make=lambda settings: drivers[settings["driver"]],
    )
    seen = []
    for i in range(6):
        sensors.read(1000 * i)
        seen.append((sensors.case.value, sensors.power.value, sensors.supply_mv))
    assert seen == [
        (41000, 4800, 12000),
        (None, None, None),
        (None, 4800, 12000),
        (None, 4800, 12000),
        (None, 4800, 12000),
        (41100, 4800, 12000),
    ]
    assert sensors.ambient.reason == "there is none"


def test_a_driver_that_cannot_be_made_is_tried_again():
    tries = []

    def make(settings):
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("invalid pin")
        return Flaky([40000] * 50)

    sensors = Sensors({"case": {"driver": "x"}}, make=make)
    values = []
    for i in range(30):
        sensors.read(1000 * i)
        values.append(sensors.case.value)
    assert len(tries) == 3
    assert values[-1] == 40000
    assert values[0] is None
