"""What sets the chips apart for a boot loader: addresses of registers and the values in them."""

from dataclasses import dataclass, field

MAC = bytes.fromhex("a4cf12345678")
DETECT_MAGIC = 0x40001000
# JEDEC id by flash size in KB: GigaDevice GD25Q16, Q32, Q64, Q128.
FLASH_IDS = {2048: 0x1540C8, 4096: 0x1640C8, 8192: 0x1740C8, 16384: 0x1840C8}


@dataclass(frozen=True)
class Chip:
    """`image_id` is the chip's number in image headers and security info; None for `security` where
    the ROM does not know that command. `words` is how many words FLASH_BEGIN has.
    """

    name: str
    image_id: int
    security: bool
    words: int
    spi: int
    spi_usr2: int
    spi_w0: int
    registers: dict[int, int] = field(default_factory=dict)


def _mac_words(address: int) -> dict[int, int]:
    return {address: int.from_bytes(MAC[2:], "big"), address + 4: int.from_bytes(MAC[:2], "big")}


CHIPS = {
    "esp32": Chip(
        name="esp32",
        image_id=0,
        security=False,
        words=4,
        spi=0x3FF42000,
        spi_usr2=0x24,
        spi_w0=0x80,
        registers={
            DETECT_MAGIC: 0x00F01D83,
            **_mac_words(0x3FF5A004),
            0x3FF5A00C: 1 << 9 | 1 << 15,  # package D0WD, revision bit 0
            0x3FF5A010: 133,  # rated frequency of the 8 MHz clock
            0x3FF5A014: 1 << 20,  # revision bit 1
            0x3FF66000 + 0x7C: 1 << 31,  # revision bit 2: v3
            0x3FF40014: 347,  # UART divider: 40 MHz / 115,200
            0x3FF5F06C: 770 << 7,  # calibration that gives a 40 MHz crystal
        },
    ),
    "esp32s3": Chip(
        name="esp32s3",
        image_id=9,
        security=True,
        words=5,
        spi=0x60002000,
        spi_usr2=0x20,
        spi_w0=0x58,
        registers={DETECT_MAGIC: 9, **_mac_words(0x60007044), 0x60000014: 347},
    ),
    "esp32c3": Chip(
        name="esp32c3",
        image_id=5,
        security=True,
        words=5,
        spi=0x60002000,
        spi_usr2=0x20,
        spi_w0=0x58,
        registers={DETECT_MAGIC: 0x1B31506F, **_mac_words(0x60008844), 0x60000014: 347},
    ),
}
