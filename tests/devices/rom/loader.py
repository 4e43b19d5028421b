"""The serial boot loader of a chip, from the wire's side: packets in, packets out, flash between.

Two personalities, as in a real chip: the ROM, and the flasher stub that esptool loads into RAM and
starts. The stub's code is taken but not run; its commands are answered here.
"""

import hashlib
import struct
import zlib
from collections import Counter
from collections.abc import Callable

from tests.devices.rom.chips import FLASH_IDS, Chip

SECTOR = 4096
SPI_GO = 1 << 18
BAD_COMMAND, FAILED, BAD_CHECKSUM, TOO_MUCH = 5, 6, 7, 8
HEAD = struct.Struct("<BBHI")


class Refused(Exception):
    """The command fails with this error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Loader:
    """`flash` is the content of the flash. `bad_sector`: one that takes no data (worn out)."""

    def __init__(self, chip: Chip, flash_kb: int = 4096) -> None:
        self.chip = chip
        self.flash = bytearray(b"\xff") * (flash_kb * 1024)
        self.bad_sector: int | None = None
        self.stub = False
        self.baud = 115200
        self.commands: Counter[str] = Counter()
        self.written = 0
        self._id = FLASH_IDS[flash_kb]
        self._registers = dict(chip.registers)
        self._where = self._end = 0
        self._inflate = zlib.decompressobj()
        self._outgoing: list[bytes] = []

    def reset(self) -> None:
        """Back into the ROM; the flash stays."""
        self.stub = False
        self.baud = 115200
        self._outgoing.clear()

    def packet(self, packet: bytes) -> list[bytes]:
        """Answers to one packet from the host."""
        if self._outgoing and len(packet) == 4:
            return [self._outgoing.pop(0)]  # READ_FLASH goes on with each acknowledgement
        if len(packet) < HEAD.size or packet[0] != 0:
            return []
        _, op, length, checksum = HEAD.unpack_from(packet)
        data = packet[HEAD.size :]
        if len(data) != length:
            return []
        handler = COMMANDS.get(op)
        if handler is None or (op >= 0xD0 and not self.stub):
            return [self._answer(op, 0, b"", BAD_COMMAND)]
        self.commands[handler.__name__.strip("_")] += 1
        try:
            if op in CHECKED and _xor(data[16:]) != checksum & 0xFF:
                raise Refused(BAD_CHECKSUM)
            value, body = handler(self, data)
        except Refused as refused:
            self.commands["refused"] += 1
            return [self._answer(op, 0, b"", refused.number)]
        except struct.error:
            return [self._answer(op, 0, b"", FAILED)]
        answers = [self._answer(op, value, body, 0)]
        if op == SYNC:
            answers *= 8
        if op == MEM_END and self.stub:
            answers.append(b"OHAI")
        if op == READ_FLASH:
            answers.append(self._outgoing.pop(0))
        return answers

    def _answer(self, op: int, value: int, body: bytes, error: int) -> bytes:
        status = bytes([1 if error else 0, error]) + (b"" if self.stub else b"\0\0")
        return HEAD.pack(1, op, len(body) + len(status), value) + body + status

    # ---- both personalities

    def _sync(self, data: bytes) -> tuple[int, bytes]:
        return (0 if self.stub else 0x20120707), b""

    def _read_reg(self, data: bytes) -> tuple[int, bytes]:
        (address,) = struct.unpack("<I", data)
        return self._registers.get(address, 0), b""

    def _write_reg(self, data: bytes) -> tuple[int, bytes]:
        for address, value, mask, _ in struct.iter_unpack("<IIII", data):
            if address == self.chip.spi and value & SPI_GO:
                self._spi()
            else:
                old = self._registers.get(address, 0)
                self._registers[address] = old & ~mask | value & mask
        return 0, b""

    def _spi(self) -> None:
        """The flash chip answers a command that was put into the controller's registers."""
        command = self._registers.get(self.chip.spi + self.chip.spi_usr2, 0) & 0xFF
        answers = {0x9F: self._id, 0x5A: 0x50444653}
        self._registers[self.chip.spi + self.chip.spi_w0] = answers.get(command, 0)

    def _security_info(self, data: bytes) -> tuple[int, bytes]:
        if not self.chip.security:
            raise Refused(BAD_COMMAND)
        return 0, struct.pack("<I8BII", 0, *bytes(8), self.chip.image_id, 0)

    def _fine(self, data: bytes) -> tuple[int, bytes]:
        return 0, b""

    def _change_baud(self, data: bytes) -> tuple[int, bytes]:
        self.baud = struct.unpack("<II", data)[0]
        return 0, b""

    def _mem_end(self, data: bytes) -> tuple[int, bytes]:
        self.stub = struct.unpack("<II", data)[1] != 0
        return 0, b""

    # ---- writing

    def _begin(self, data: bytes) -> tuple[int, bytes]:
        words = struct.unpack(f"<{len(data) // 4}I", data)
        # The last word, "encrypted", is optional to the stub.
        if len(words) not in ((4, 5) if self.stub else (self.chip.words,)):
            raise Refused(FAILED)
        size, _, _, offset = words[:4]
        if offset + size > len(self.flash):
            raise Refused(FAILED)
        first = offset // SECTOR * SECTOR
        self._erase(first, -(-(offset + size - first) // SECTOR) * SECTOR)
        self._where, self._end = offset, offset + size
        self._inflate = zlib.decompressobj()
        return 0, b""

    def _data(self, data: bytes) -> tuple[int, bytes]:
        # Blocks are padded beyond the end of the region: what is too much is not written.
        self._put(self._block(data)[: self._end - self._where])
        return 0, b""

    def _deflated_data(self, data: bytes) -> tuple[int, bytes]:
        try:
            plain = self._inflate.decompress(self._block(data))
        except zlib.error as error:
            raise Refused(FAILED) from error
        if len(plain) > self._end - self._where:
            raise Refused(TOO_MUCH)
        self._put(plain)
        return 0, b""

    def _block(self, data: bytes) -> bytes:
        # Nobody checks the sequence number: a block sent again because its answer got lost is
        # written twice, and only the MD5 at the end tells.
        (size,) = struct.unpack_from("<I", data)
        if size != len(data) - 16:
            raise Refused(FAILED)
        return data[16:]

    def _put(self, data: bytes) -> None:
        end = self._where + len(data)
        self.flash[self._where : end] = data
        self._where = end
        self.written += len(data)
        if self.bad_sector is not None:
            self.flash[self.bad_sector : self.bad_sector + SECTOR] = bytes(SECTOR)

    def _end_flash(self, data: bytes) -> tuple[int, bytes]:
        # 0 asks for a restart, which the stub does not do (esp-flasher-stub 1.4).
        if struct.unpack("<I", data)[0] == 0 and not self.stub:
            self.reset()
        return 0, b""

    def _erase(self, first: int, size: int) -> None:
        self.flash[first : first + size] = b"\xff" * size

    def _erase_flash(self, data: bytes) -> tuple[int, bytes]:
        self._erase(0, len(self.flash))
        return 0, b""

    def _erase_region(self, data: bytes) -> tuple[int, bytes]:
        self._erase(*struct.unpack("<II", data))
        return 0, b""

    # ---- reading back

    def _md5(self, data: bytes) -> tuple[int, bytes]:
        offset, size = struct.unpack_from("<II", data)
        digest = hashlib.md5(self.flash[offset : offset + size])
        return 0, digest.digest() if self.stub else digest.hexdigest().encode()

    def _read_slow(self, data: bytes) -> tuple[int, bytes]:
        offset, size = struct.unpack("<II", data)
        return 0, bytes(self.flash[offset : offset + size]).ljust(64, b"\0")

    def _read_flash(self, data: bytes) -> tuple[int, bytes]:
        offset, size, block, _ = struct.unpack("<IIII", data)
        content = bytes(self.flash[offset : offset + size])
        self._outgoing = [content[i : i + block] for i in range(0, size, block)]
        self._outgoing.append(hashlib.md5(content).digest())
        return 0, b""


def _xor(data: bytes) -> int:
    state = 0xEF
    for byte in data:
        state ^= byte
    return state


SYNC, MEM_END, READ_FLASH, CHANGE_BAUD = 0x08, 0x06, 0xD2, 0x0F
CHECKED = {0x03, 0x07, 0x11}
COMMANDS: dict[int, Callable[[Loader, bytes], tuple[int, bytes]]] = {
    0x02: Loader._begin,
    0x03: Loader._data,
    0x04: Loader._end_flash,
    0x05: Loader._fine,
    MEM_END: Loader._mem_end,
    0x07: Loader._fine,
    SYNC: Loader._sync,
    0x09: Loader._write_reg,
    0x0A: Loader._read_reg,
    0x0B: Loader._fine,
    0x0D: Loader._fine,
    0x0E: Loader._read_slow,
    CHANGE_BAUD: Loader._change_baud,
    0x10: Loader._begin,
    0x11: Loader._deflated_data,
    0x12: Loader._end_flash,
    0x13: Loader._md5,
    0x14: Loader._security_info,
    0xD0: Loader._erase_flash,
    0xD1: Loader._erase_region,
    READ_FLASH: Loader._read_flash,
}
