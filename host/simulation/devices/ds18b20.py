"""DS18B20 thermometers on a 1-Wire bus, bit by bit (Maxim data sheet 19-7487)."""

from __future__ import annotations

import enum
from collections.abc import Callable

from host.simulation.devices.base import Device

FAMILY = 0x28
READ_ROM, MATCH_ROM, SKIP_ROM, SEARCH_ROM, ALARM_SEARCH = 0x33, 0x55, 0xCC, 0xF0, 0xEC
CONVERT, READ_SCRATCHPAD, WRITE_SCRATCHPAD = 0x44, 0xBE, 0x4E
COPY_SCRATCHPAD, RECALL, READ_POWER = 0x48, 0xB8, 0xB4
POWER_ON_RAW = 85 * 16
CONVERSION_US = 750_000  # with 12 bits; half of it for each bit less


def crc8(data: bytes) -> int:
    """The 1-Wire CRC: x^8 + x^5 + x^4 + 1, least significant bit first."""
    crc = 0
    for byte in data:
        for _ in range(8):
            mix = (crc ^ byte) & 1
            crc = crc >> 1 ^ 0x8C if mix else crc >> 1
            byte >>= 1
    return crc


def rom_code(serial: int) -> bytes:
    """The eight bytes that name a device: family, six bytes of serial number, CRC."""
    head = bytes([FAMILY]) + serial.to_bytes(6, "little")
    return head + bytes([crc8(head)])


class _Phase(enum.Enum):
    IDLE = enum.auto()  # not addressed; waits for a reset
    ROM = enum.auto()
    MATCH = enum.auto()
    SEARCH = enum.auto()
    FUNCTION = enum.auto()
    SCRATCH = enum.auto()


class DS18B20(Device):
    """One thermometer with its own supply wire. `rom` is its code, `temp_c` what it is stuck to."""

    def __init__(self, temp_c: Callable[[], float], serial: int, seed: int | str = 0) -> None:
        super().__init__(temp_c, seed)
        self.rom = rom_code(serial)
        self._now_us = 0
        self._eeprom = bytes([75, 70, 0x7F])  # alarm high, alarm low, configuration: 12 bits
        self.power_cycle()

    def power_cycle(self) -> None:
        """The scratchpad as after power-on: 85 degrees and what the EEPROM holds."""
        self._raw = POWER_ON_RAW
        self._settings = self._eeprom
        self._ready_us: int | None = None
        self._phase = _Phase.IDLE
        self._received: list[int] = []
        self._sending: list[int] = []
        self._search_at = 0
        self._search_step = 0

    @property
    def bits(self) -> int:
        """Resolution, 9 to 12 bits."""
        return 9 + (self._settings[2] >> 5 & 0x3)

    def advance(self, now_us: int, dt_us: int) -> None:
        """Finish a conversion whose time has come."""
        self._now_us = now_us
        if self._ready_us is not None and now_us >= self._ready_us:
            self._ready_us = None
            steps = round(max(-55.0, min(125.0, self.measure())) * 16)
            unused = 12 - self.bits
            self._raw = steps >> unused << unused

    def reset(self) -> bool:
        """A reset pulse; True if this device answers with a presence pulse."""
        self._phase = _Phase.ROM
        self._received = []
        self._sending = []
        return self.connected

    def write_bit(self, bit: int) -> None:
        """A write slot of the master."""
        if self._phase is _Phase.SEARCH:
            self._search_write(bit)
        elif self._phase is not _Phase.IDLE:
            self._received.append(bit)
            if len(self._received) % 8 == 0:
                self._byte()

    def read_bit(self) -> int:
        """A read slot: 0 if this device pulls the wire low."""
        if not self.connected:
            return 1
        if self._phase is _Phase.SEARCH and self._search_step < 2:
            bit = self._rom_bit(self._search_at) ^ self._search_step
            self._search_step += 1
        elif self._sending:
            bit = self._sending.pop(0)
        else:
            return 0 if self._ready_us is not None and self._phase is _Phase.FUNCTION else 1
        return bit ^ self.flips()

    def _rom_bit(self, at: int) -> int:
        return self.rom[at // 8] >> at % 8 & 1

    def _search_write(self, bit: int) -> None:
        # Whoever has the other bit drops out until the next reset.
        if bit != self._rom_bit(self._search_at):
            self._phase = _Phase.IDLE
            return
        self._search_at += 1
        self._search_step = 0
        if self._search_at == 64:
            self._phase = _Phase.FUNCTION

    def _byte(self) -> None:
        received = self._received
        byte = sum(bit << i for i, bit in enumerate(received[-8:]))
        if self._phase is _Phase.MATCH:
            if len(received) == 64:
                code = [self._rom_bit(i) for i in range(64)]
                self._phase = _Phase.FUNCTION if received == code else _Phase.IDLE
                self._received = []
        elif self._phase is _Phase.SCRATCH:
            if len(received) == 24:
                values = [
                    sum(b << i for i, b in enumerate(received[k : k + 8])) for k in (0, 8, 16)
                ]
                self._settings = bytes([values[0], values[1], values[2] & 0x60 | 0x1F])
                self._phase = _Phase.FUNCTION
                self._received = []
        elif self._phase is _Phase.ROM:
            self._received = []
            self._rom_command(byte)
        else:
            self._received = []
            self._function(byte)

    def _rom_command(self, byte: int) -> None:
        phases = {
            SKIP_ROM: _Phase.FUNCTION,
            READ_ROM: _Phase.FUNCTION,
            MATCH_ROM: _Phase.MATCH,
            SEARCH_ROM: _Phase.SEARCH,
        }
        self._phase = phases.get(byte, _Phase.IDLE)
        self._search_at = self._search_step = 0
        if byte == READ_ROM:
            self._send(self.rom)

    def _function(self, byte: int) -> None:
        if byte == CONVERT:
            self._ready_us = self._now_us + (CONVERSION_US >> 12 - self.bits)
        elif byte == READ_SCRATCHPAD:
            self._send(self.scratchpad())
        elif byte == WRITE_SCRATCHPAD:
            self._phase = _Phase.SCRATCH
        elif byte == COPY_SCRATCHPAD:
            self._eeprom = self._settings
        elif byte == RECALL:
            self._settings = self._eeprom
        elif byte == READ_POWER:
            self._send(b"\xff")  # has its own supply wire

    def scratchpad(self) -> bytes:
        """The nine bytes: temperature, settings, reserved, CRC."""
        head = (self._raw & 0xFFFF).to_bytes(2, "little") + self._settings + b"\xff\x0c\x10"
        return head + bytes([crc8(head)])

    def _send(self, data: bytes) -> None:
        self._sending = [byte >> i & 1 for byte in data for i in range(8)]


class OneWireBus:
    """All devices on one wire: whoever pulls it low wins."""

    def __init__(self, devices: list[DS18B20]) -> None:
        self.devices = devices

    def reset(self) -> int:
        """1 if any device is present."""
        present = [device.reset() for device in self.devices]  # all of them see the pulse
        return int(any(present))

    def write_bit(self, bit: int) -> None:
        """A write slot, seen by all."""
        for device in self.devices:
            device.write_bit(bit)

    def read_bit(self) -> int:
        """A read slot."""
        return min([device.read_bit() for device in self.devices], default=1)

    def write(self, data: bytes) -> None:
        """Bytes, least significant bit first."""
        for byte in data:
            for i in range(8):
                self.write_bit(byte >> i & 1)

    def read(self, n: int) -> bytes:
        """`n` bytes."""
        return bytes(sum(self.read_bit() << i for i in range(8)) for _ in range(n))
