"""The host's end of a board's bus: decodes its requests and lets its devices answer.

The packets are described in firmware/simulated/_bus.py, the other end.
"""

from __future__ import annotations

import errno
import struct
from typing import Protocol

from host.simulation.devices.ds18b20 import OneWireBus
from host.simulation.devices.ina219 import INA219
from host.simulation.devices.pins import Pins
from host.simulation.devices.tachometer import Tachometer
from host.simulation.devices.thermistor import Thermistor, adc_u16, adc_uv

(
    HELLO,
    SLEEP_MS,
    SLEEP_US,
    NOW,
    TIME,
    RTC_SET,
    PIN_MODE,
    PIN_WRITE,
    PIN_READ,
    PIN_IRQ,
    ADC_U16,
    ADC_UV,
    I2C_WRITE,
    I2C_READ,
    OW_RESET,
    OW_WRITE_BIT,
    OW_READ_BIT,
    OW_WRITE,
    OW_READ,
    WDT_START,
    WDT_FEED,
    RESET,
    NVS_GET,
    NVS_SET,
    NET_JOIN,
    NET_LEAVE,
    NET_STATUS,
    NET_RSSI,
    NET_PORT,
    NET_SCAN,
) = range(30)

PAYLOAD = 64
REQUEST = struct.Struct(f"<BBBBI8x{PAYLOAD}s")
REPLY = struct.Struct(f"<BBBBIII{PAYLOAD}s")
MASK30 = (1 << 30) - 1
MAX_TRANSFER = 4096  # bytes of one I2C write that came in pieces


class Radio(Protocol):
    """The board's Wi-Fi."""

    def handle(self, op: int, a: int, b: int, data: bytes) -> tuple[int, int, bytes]: ...


class Control(Protocol):
    """What requests about the board itself are handed to."""

    @property
    def radio(self) -> Radio: ...
    def hello(self) -> bytes: ...
    def time_s(self) -> int: ...
    def set_time_s(self, seconds: int) -> None: ...
    def watchdog(self, timeout_ms: int | None) -> None: ...
    def nvs_get(self, key: bytes) -> bytes | None: ...
    def nvs_set(self, key: bytes, value: bytes | None) -> None: ...


class Peripherals:
    """Everything that is soldered to one board's pins."""

    def __init__(self) -> None:
        self.pins = Pins()
        self.onewire: dict[int, OneWireBus] = {}
        self.i2c: dict[tuple[int, int], dict[int, INA219]] = {}  # (sda, scl) -> address -> device
        self.analog: dict[int, Thermistor] = {}
        self.tachometers: dict[int, Tachometer] = {}
        self._written = bytearray()
        self._read = b""

    def handle(
        self, op: int, a: int, b: int, data: bytes, control: Control
    ) -> tuple[int, int, bytes]:
        """One request; returns (error number, value, payload). Unknown requests are EINVAL."""
        pins = self.pins
        if op == PIN_WRITE:
            pins.write(a, b & 1)
        elif op == PIN_READ:
            return 0, pins[a].level, b""
        elif op == WDT_FEED:
            control.watchdog(None)
        elif op == NOW:
            pass
        elif op == TIME:
            return 0, control.time_s(), b""
        elif op == RTC_SET:
            control.set_time_s(b)
        elif op == HELLO:
            return 0, 0, control.hello()
        elif op == PIN_MODE:
            pins.configure(a, b & 0xFF, b >> 8 & 0xFF)
        elif op == PIN_IRQ:
            if a in self.tachometers:
                self.tachometers[a].take_edges()  # what came before nobody listened to
            pins[a].irq_trigger = b
        elif op in (ADC_U16, ADC_UV):
            return self._adc(op, a, b)
        elif op in (I2C_WRITE, I2C_READ):
            return self._i2c(op, a, b, data)
        elif OW_RESET <= op <= OW_READ:
            return self._onewire(op, a, b, data)
        elif op == WDT_START:
            control.watchdog(max(1, b))
        elif op == NVS_GET:
            found = control.nvs_get(data)
            return (errno.ENOENT, 0, b"") if found is None else (0, len(found), found)
        elif op == NVS_SET:
            control.nvs_set(data[:a], data[a:] if b else None)
        elif NET_JOIN <= op <= NET_SCAN:
            return control.radio.handle(op, a, b, data)
        else:
            return errno.EINVAL, 0, b""
        return 0, 0, b""

    def take_edges(self) -> bytes:
        """Three bytes, pin and count, for each pin whose interrupt fired since the last call."""
        edges = b""
        for pin, tachometer in self.tachometers.items():
            count = tachometer.take_edges()
            if count:
                edges += struct.pack("<BH", pin, count)
        return edges

    def _adc(self, op: int, pin: int, attenuation: int) -> tuple[int, int, bytes]:
        device = self.analog.get(pin)
        volts = device.volts() if device else 0.0
        convert = adc_u16 if op == ADC_U16 else adc_uv
        return 0, convert(volts, attenuation), b""

    def _i2c(self, op: int, address: int, b: int, data: bytes) -> tuple[int, int, bytes]:
        device = self.i2c.get((b & 0xFF, b >> 8 & 0xFF), {}).get(address)
        if device is None or not device.connected:
            self._written.clear()
            return errno.ENODEV, 0, b""
        if op == I2C_WRITE:
            self._written += data
            if not b >> 16 & 1:
                device.write(bytes(self._written))
                self._written.clear()
            elif len(self._written) > MAX_TRANSFER:
                self._written.clear()
                return errno.EIO, 0, b""
            return 0, 0, b""
        answer = device.read(len(data))
        return 0, len(data), answer or b""

    def _onewire(self, op: int, pin: int, b: int, data: bytes) -> tuple[int, int, bytes]:
        bus = self.onewire.get(pin)
        if bus is None:
            return 0, 0 if op == OW_RESET else 1, b"\xff" * len(data)
        if op == OW_RESET:
            return 0, bus.reset(), b""
        if op == OW_WRITE_BIT:
            bus.write_bit(b & 1)
        elif op == OW_READ_BIT:
            return 0, bus.read_bit(), b""
        elif op == OW_WRITE:
            bus.write(data)
        else:
            return 0, 0, bus.read(len(data))
        return 0, 0, b""
