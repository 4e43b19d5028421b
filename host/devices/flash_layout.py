"""An image for a chip's flash, taken apart: what of it has to be written, and where.

A merged image is one file, but most of it is gaps. What lies in them on a board (saved values in
NVS, files) is the board's own, so only the parts that carry something are written.
https://docs.espressif.com/projects/esp-idf/en/stable/esp32/api-guides/partition-tables.html
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from host.devices.errors import ImageError

TABLE_OFFSET = 0x8000
TABLE_SIZE = 0xC00
BLANK = 0xFF
ENTRY = struct.Struct("<HBBII16sI")
ENTRY_MAGIC = 0x50AA


@dataclass(frozen=True)
class Partition:
    """An entry of a partition table; offset and size in bytes."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Part:
    """Bytes that belong at `offset` of the flash."""

    name: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class Layout:
    """`table`: the raw partition table, TABLE_SIZE bytes. `end`: bytes of flash it lays out."""

    parts: tuple[Part, ...]
    table: bytes
    end: int


def take_apart(image: bytes, offset: int) -> Layout:
    """Parts of a merged image whose first byte belongs at `offset` of the flash.

    Raises ImageError if it is none.
    """
    table = image[TABLE_OFFSET - offset :][:TABLE_SIZE]
    partitions = read_table(table)
    if not partitions:
        raise ImageError(
            f"the image has no partition table at {TABLE_OFFSET:#x}, so it is none for a whole "
            "flash; take the .bin that the board's page offers for a first installation"
        )
    regions = [
        Partition("boot loader", offset, TABLE_OFFSET - offset),
        Partition("partition table", TABLE_OFFSET, TABLE_SIZE),
        *partitions,
    ]
    parts = []
    for region in regions:
        start = region.offset - offset
        data = image[max(start, 0) : max(start + region.size, 0)].rstrip(bytes([BLANK]))
        if data:
            parts.append(Part(region.name, region.offset, data))
    return Layout(tuple(parts), table, max(each.offset + each.size for each in partitions))


def read_table(table: bytes) -> list[Partition]:
    """Partitions of a raw table; none if it is no table."""
    found = []
    for position in range(0, len(table) - ENTRY.size + 1, ENTRY.size):
        magic, _, _, offset, size, name, _ = ENTRY.unpack_from(table, position)
        if magic != ENTRY_MAGIC:
            break
        text = name.split(b"\0", 1)[0].decode("utf-8", "replace")
        found.append(Partition(text, offset, size))
    return found


def why_erase(on_board: bytes, layout: Layout) -> str | None:
    """Why the whole flash has to be erased before `layout` is written; None if it need not.

    on_board: what the board has where its partition table belongs.
    """
    if on_board[:TABLE_SIZE] == layout.table:
        return None
    partitions = read_table(on_board)
    if not partitions:
        return "the board has no partition table, so nothing on its flash is known to be in use"
    names = ", ".join(partition.name for partition in partitions[:6])
    return (
        f"the board is laid out for other firmware ({names}); MicroPython would take its leftovers "
        "for files"
    )
