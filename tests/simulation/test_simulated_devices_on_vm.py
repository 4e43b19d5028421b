"""Drivers in the VM against virtual devices, wire by wire."""

import re

import pytest

from host.simulation.devices import Fault
from host.simulation.radio import AccessPoint

pytestmark = pytest.mark.vm

# MicroPython's own driver for these thermometers (micropython-lib, ds18x20.py), abridged.
DS18X20 = """
class DS18X20:
    def __init__(self, onewire):
        self.ow = onewire
        self.buf = bytearray(9)

    def scan(self):
        return [rom for rom in self.ow.scan() if rom[0] in (0x10, 0x22, 0x28)]

    def convert_temp(self):
        self.ow.reset(True)
        self.ow.writebyte(self.ow.SKIP_ROM)
        self.ow.writebyte(0x44)

    def read_scratch(self, rom):
        self.ow.reset(True)
        self.ow.select_rom(rom)
        self.ow.writebyte(0xBE)
        self.ow.readinto(self.buf)
        if self.ow.crc8(self.buf):
            raise Exception("CRC error")
        return self.buf

    def write_scratch(self, rom, buf):
        self.ow.reset(True)
        self.ow.select_rom(rom)
        self.ow.writebyte(0x4E)
        self.ow.write(buf)

    def read_temp(self, rom):
        buf = self.read_scratch(rom)
        t = buf[1] << 8 | buf[0]
        if t & 0x8000:
            t = -((t ^ 0xFFFF) + 1)
        return t / 16
"""
THERMOMETER = """
import time, onewire
from machine import Pin
from ds18x20 import DS18X20
ds = DS18X20(onewire.OneWire(Pin(4)))
"""


def test_ds18b20_measures(rig, bench):
    bench.case_temp_c = -10.125
    text = rig.run(
        THERMOMETER
        + """
(rom,) = ds.scan()
print("power-on", ds.read_temp(rom))
ds.convert_temp()
time.sleep_ms(749)
print("busy", ds.ow.readbit())
time.sleep_ms(1)
print("done", ds.ow.readbit())
print("cold", ds.read_temp(rom))
ds.write_scratch(rom, b"\\x00\\x00\\x1f")
ds.convert_temp(); time.sleep_ms(94)
print("coarse", ds.read_temp(rom))
""",
        machine=bench,
        files={"ds18x20.py": DS18X20},
    )
    for expected in ("power-on 85.0", "busy 0", "done 1", "cold -10.125", "coarse -10.5"):
        assert expected + "\r\n" in text


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.UNPLUGGED, "scan []"),
        (Fault.STUCK, "temp 41.25"),
        (Fault.NOISY, "crc errors"),
    ],
)
def test_ds18b20_faults(rig, bench, fault, expected):
    board = rig.board(
        THERMOMETER
        + """
(rom,) = ds.scan()
print("found")
time.sleep(5)
errors = 0
for _ in range(20):
    try:
        ds.convert_temp(); time.sleep_ms(750); temp = ds.read_temp(rom)
    except Exception as error:
        errors += 1
print("crc errors" if errors > 2 else "temp %r" % temp)
print("scan", ds.scan())
print("end")
""",
        machine=bench,
        files={"ds18x20.py": DS18X20},
    )
    rig.until("found")
    board.devices["ds18b20"].fault = fault
    bench.case_temp_c = 60.0
    assert expected in rig.until("end")


def test_the_search_tells_two_thermometers_apart(rig, bench):
    from host.simulation.devices import DS18B20

    board = rig.board(
        THERMOMETER
        + """
roms = ds.scan()
ds.convert_temp(); time.sleep_ms(750)
print(sorted(ds.read_temp(rom) for rom in roms), len(roms))
print("end")
""",
        machine=bench,
        files={"ds18x20.py": DS18X20},
    )
    for serial in (1, 2, 0x800000000000):
        probe = DS18B20(lambda serial=serial: serial % 8 + 0.5, serial)
        board.peripherals.onewire[4].devices.append(probe)
        board.devices[f"extra {serial}"] = probe
    assert "[0.5, 1.5, 2.5, 41.25] 4" in rig.until("end")


INA219 = """
from machine import Pin, I2C
i2c = I2C(0, scl=Pin(22), sda=Pin(21), freq=400000)
def reg(n):
    return int.from_bytes(i2c.readfrom_mem(0x40, n, 2), "big")
"""


def test_ina219_registers(rig, bench):
    bench.supply_v, bench.current_a = 12.004, 0.8
    text = rig.run(
        INA219
        + """
print("scan", i2c.scan())
print("power-on %04x" % reg(0), reg(4))
i2c.writeto_mem(0x40, 5, bytes([0x10, 0x01]))
print("registers", reg(1), reg(2) >> 3, reg(2) & 3, reg(4), reg(3), "%04x" % reg(5))
i2c.writeto(0x40, b"\\x01")
two = bytearray(2)
i2c.readfrom_into(0x40, two)
print("pointer", bytes(two) == i2c.readfrom(0x40, 2), int.from_bytes(two, "big"))
i2c.writeto_mem(0x40, 0, b"\\x80\\x00")
print("reset", "%04x" % reg(0), reg(5))
try:
    i2c.readfrom(0x41, 1)
except OSError as error:
    print("nobody", error.errno)
""",
        machine=bench,
    )
    # 0.8 A in 0.1 ohm is 80 mV, 8000 steps of 10 uV; calibration 4096 makes the current as many
    # steps of 0.1 mA; 12.004 V is 3001 steps of 4 mV; power 8000 * 3001 / 5000.
    assert "scan [64]" in text
    assert "power-on 399f 0" in text
    assert "registers 8000 3001 2 8000 4801 1000" in text
    assert "pointer True 8000" in text
    assert "reset 399f 0" in text
    assert "nobody 19" in text


def test_ina219_unplugged(rig, bench):
    board = rig.board(
        INA219
        + """
import time
print("plugged", reg(1))
time.sleep(1)
try:
    reg(1)
except OSError as error:
    print("errno", error.errno)
""",
        machine=bench,
    )
    rig.until("plugged 8000")
    board.devices["ina219"].fault = Fault.UNPLUGGED
    assert "errno 19" in rig.until("errno")


TACH = """
import time
from machine import Pin
pulses = 0
last = 0
gaps = set()
def on_pulse(pin):
    global pulses, last
    now = time.ticks_us()
    gaps.add((time.ticks_diff(now, last) + 500) // 1000)
    last = now
    pulses += 1
Pin(27, Pin.IN, Pin.PULL_UP).irq(on_pulse, {trigger})
time.sleep(10)
print("pulses", pulses, max(gaps), "level", Pin(27).value())
print("end")
"""


@pytest.mark.parametrize(
    ("rpm", "trigger", "fault", "expected"),
    [
        (1500, "Pin.IRQ_FALLING", Fault.NONE, 500),
        (1500, "Pin.IRQ_FALLING | Pin.IRQ_RISING", Fault.NONE, 1000),
        (0, "Pin.IRQ_FALLING", Fault.NONE, 0),
        (1500, "Pin.IRQ_FALLING", Fault.UNPLUGGED, 0),
    ],
)
def test_tachometer_pulses(rig, bench, rpm, trigger, fault, expected):
    bench.fan_rpm = rpm
    main = TACH.replace("{trigger}", trigger).replace("gaps = set()", "gaps = {0}")
    board = rig.board(main, machine=bench)
    board.devices["tach"].fault = fault
    text = rig.until("end")
    assert int(re.search(r"pulses (\d+)", text)[1]) == pytest.approx(expected, abs=2)
    if not expected:
        assert "level 1" in text


def test_pulses_come_spread_over_the_sleep(rig, bench):
    bench.fan_rpm = 3000  # a pulse each 10 ms
    text = rig.run(TACH.replace("{trigger}", "Pin.IRQ_FALLING"), machine=bench)
    assert int(re.search(r"pulses \d+ (\d+)", text)[1]) <= 11


@pytest.mark.parametrize(
    ("temp_c", "fault", "low", "high"),
    [
        (25.0, Fault.NONE, 32500, 33000),
        (60.0, Fault.NONE, 12900, 13400),  # 2.48 kilo-ohm
        (25.0, Fault.UNPLUGGED, 65535, 65535),
    ],
)
def test_thermistor(rig, bench, temp_c, fault, low, high):
    bench.ambient_temp_c = temp_c
    board = rig.board(
        """
        from machine import ADC, Pin
        adc = ADC(Pin(34), atten=ADC.ATTN_11DB)
        print("adc", adc.read_u16(), adc.read_uv())
        print("end")
        """,
        machine=bench,
    )
    board.devices["thermistor"].fault = fault
    u16, uv = map(int, re.search(r"adc (\d+) (\d+)", rig.until("end")).groups())
    assert low <= u16 <= high
    # Two readings, each with noise.
    assert uv == pytest.approx(u16 / 65535 * 3.3e6, abs=8000)


def test_the_relay_follows_its_pin_and_nothing_else(rig, bench):
    board = rig.board(
        """
        import time
        from machine import Pin
        steps = (
            lambda: Pin(26, Pin.OUT, value=1),
            lambda: Pin(26).off(),
            lambda: Pin(26).on(),
            lambda: Pin(26, Pin.IN, Pin.PULL_UP),
            lambda: Pin(26, Pin.OPEN_DRAIN, value=1),
        )
        for i, step in enumerate(steps):
            step()
            print("step", i)
            time.sleep(10)
        """,
        machine=bench,
    )
    seen = []
    for i in range(5):
        rig.until(f"step {i}")
        seen.append(board.relay.energised)
        assert bench.fan_powered == (not seen[-1])
    assert seen == [True, False, True, False, False]


def test_nvs_survives_a_reset(rig):
    board = rig.board(
        """
        import esp32, machine
        store = esp32.NVS("fanwise")
        try:
            count = store.get_i32("boots")
        except OSError:
            count = 0
        store.set_i32("boots", count + 1)
        store.set_blob("blob", b"abc")
        store.commit()
        into = bytearray(8)
        print("boots", count, store.get_blob("blob", into), bytes(into[:3]))
        """
    )
    rig.until("boots 0 3 b'abc'")
    board.hard_reset()
    rig.until("boots 1 3 b'abc'")


def test_there_is_no_network_unless_one_is_put_there(rig):
    code = """
        import network, socket, time
        wlan = network.WLAN(network.WLAN.IF_STA)
        try:
            wlan.connect("barn", "secret")
        except OSError as error:
            print("error", error)
        wlan.active(True)
        print("heard", [(one[0], one[3]) for one in wlan.scan()])
        for name, key in (("attic", ""), ("barn", "wrong"), ("barn", "secret")):
            wlan.connect(name, key)
            said = wlan.status()
            time.sleep(3)
            print(name, said, wlan.status(), wlan.isconnected(), wlan.ifconfig()[0])
        print(wlan.status("rssi"), socket.getaddrinfo("127.0.0.1", 7)[0][-1])
    """
    board = rig.board(main=code)
    board.radio.access_points["barn"] = AccessPoint("secret", -70)
    text = rig.until("', 7)")
    assert "error Wifi Not Started" in text
    assert "heard [(b'barn', -70)]" in text
    assert "attic 1001 201 False 0.0.0.0" in text
    assert "barn 1001 202 False 0.0.0.0" in text
    assert "barn 1001 1010 True 127.0.0.1" in text
    assert "-70 ('127.0.0.1', 7)" in text


def test_the_stand_ins_do_not_allocate_in_a_loop(rig):
    text = rig.run(
        """
        import gc, micropython, time
        from machine import Pin, WDT, ADC
        pin, dog, adc = Pin(26, Pin.OUT), WDT(timeout=8000), ADC(Pin(34))
        def loop(n):
            for _ in range(n):
                time.sleep_ms(20); time.ticks_ms(); pin.value(1); pin.value(); dog.feed()
                adc.read_u16()
        loop(2)
        gc.collect()
        micropython.heap_lock()
        loop(100)
        micropython.heap_unlock()
        print("no allocation")
        """
    )
    assert "no allocation" in text
