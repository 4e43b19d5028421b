# `onewire` as on an ESP32 (there: a Python module over a C one); the slots' timing is the virtual
# bus's matter.

import _bus
from machine import pin_number


class OneWireError(Exception):
    pass


class OneWire:
    SEARCH_ROM = 0xF0
    MATCH_ROM = 0x55
    SKIP_ROM = 0xCC

    def __init__(self, pin):
        self.pin = pin
        self._id = pin_number(pin)

    def reset(self, required=False):
        present = bool(_bus.call(_bus.OW_RESET, self._id))
        if required and not present:
            raise OneWireError
        return present

    def readbit(self):
        return _bus.call(_bus.OW_READ_BIT, self._id)

    def readbyte(self):
        _bus.call(_bus.OW_READ, self._id, 0, 1)
        return _bus.reply[_bus.HEADER]

    def readinto(self, buf):
        for i in range(len(buf)):
            buf[i] = self.readbyte()

    def writebit(self, value):
        _bus.call(_bus.OW_WRITE_BIT, self._id, 1 if value & 1 else 0)

    def writebyte(self, value):
        _bus.out[_bus.HEADER] = value & 0xFF
        _bus.call(_bus.OW_WRITE, self._id, 0, 1)

    def write(self, buf):
        for b in buf:
            self.writebyte(b)

    def select_rom(self, rom):
        self.reset()
        self.writebyte(self.MATCH_ROM)
        self.write(rom)

    def scan(self):
        devices = []
        diff = 65
        rom = None
        for _ in range(0xFF):
            rom, diff = self._search_rom(rom, diff)
            if rom:
                devices.append(rom)
            if diff == 0:
                break
        return devices

    def _search_rom(self, last, diff):
        # The ROM search of Maxim's application note 187: at each bit the devices still in the
        # search send it and its complement; where both read 0 they differ, and one way is taken
        # now, the other next time.
        if not self.reset():
            return None, 0
        self.writebyte(self.SEARCH_ROM)
        rom = bytearray(8)
        next_diff = 0
        left = 64
        for byte in range(8):
            value = 0
            for bit in range(8):
                sent = self.readbit()
                if self.readbit():
                    if sent:
                        return None, 0  # nobody answered
                elif not sent and (
                    diff > left or (last and last[byte] & (1 << bit) and diff != left)
                ):
                    sent = 1
                    next_diff = left
                self.writebit(sent)
                if sent:
                    value |= 1 << bit
                left -= 1
            rom[byte] = value
        return rom, next_diff

    @staticmethod
    def crc8(data):
        crc = 0
        for byte in data:
            for _ in range(8):
                mix = (crc ^ byte) & 1
                crc = (crc >> 1) ^ 0x8C if mix else crc >> 1
                byte >>= 1
        return crc
