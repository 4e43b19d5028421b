"""A bounds-checked reader for flatbuffers: every offset is checked before it is followed.

Whatever the bytes are, a read gives a value or raises FormatError. Nothing here recurses or loops
over a length the file claims without first checking that the file is that long.
"""

from .errors import FormatError


class Reader:
    """Little-endian scalars at absolute positions of a buffer of unsigned bytes."""

    def __init__(self, data):
        self.data = data
        self.size = len(data)

    def check(self, position: int, size: int) -> None:
        if position < 0 or size < 0 or position > self.size - size:
            raise FormatError(
                "file is truncated or damaged: %d bytes at offset %d lie outside its %d bytes"
                % (size, position, self.size)
            )

    def u8(self, position: int) -> int:
        self.check(position, 1)
        return self.data[position]

    def u16(self, position: int) -> int:
        self.check(position, 2)
        data = self.data
        return data[position] | data[position + 1] << 8

    def u32(self, position: int) -> int:
        return self.u16(position) | self.u16(position + 2) << 16

    def i8(self, position: int) -> int:
        value = self.u8(position)
        return value - 256 if value >= 128 else value

    def i32(self, position: int) -> int:
        high = self.u16(position + 2)
        return self.u16(position) | (high - 65536 if high >= 32768 else high) << 16

    def i64(self, position: int) -> int:
        return self.u32(position) | self.i32(position + 4) << 32

    def root(self) -> "Table":
        return Table(self, self.u32(0))


class Table:
    """One flatbuffer table. A field that is absent reads as its default."""

    def __init__(self, reader: Reader, position: int):
        self.reader = reader
        self.position = position
        vtable = position - reader.i32(position)
        size = reader.u16(vtable)
        reader.check(vtable, size)
        self._vtable = vtable
        self._fields = (size - 4) // 2

    def at(self, field: int) -> int:
        """Absolute position of a field's value, 0 where the field is absent."""
        if field >= self._fields:
            return 0
        offset = self.reader.u16(self._vtable + 4 + 2 * field)
        return self.position + offset if offset else 0

    def i8(self, field: int, default: int = 0) -> int:
        position = self.at(field)
        return self.reader.i8(position) if position else default

    def i32(self, field: int, default: int = 0) -> int:
        position = self.at(field)
        return self.reader.i32(position) if position else default

    def u32(self, field: int, default: int = 0) -> int:
        position = self.at(field)
        return self.reader.u32(position) if position else default

    def u64(self, field: int) -> int:
        position = self.at(field)
        return self.reader.u32(position) | self.reader.u32(position + 4) << 32 if position else 0

    def table(self, field):
        """The table a field refers to, or None."""
        position = self.at(field)
        return Table(self.reader, position + self.reader.u32(position)) if position else None

    def vector(self, field, item_size):
        """(position of the first item, number of items) of a vector; (0, 0) where absent."""
        position = self.at(field)
        if not position:
            return 0, 0
        reader = self.reader
        position += reader.u32(position)
        length = reader.u32(position)
        reader.check(position + 4, length * item_size)
        return position + 4, length

    def tables(self, field: int) -> list:
        """Positions of the tables in a vector of tables: Table(reader, position) opens one."""
        start, length = self.vector(field, 4)
        return [p + self.reader.u32(p) for p in range(start, start + 4 * length, 4)]

    def i32s(self, field: int, most: int) -> list:
        """A vector of at most so many int32."""
        start, length = self.vector(field, 4)
        if length > most:
            raise FormatError("a list of %d numbers; at most %d are supported" % (length, most))
        return [self.reader.i32(p) for p in range(start, start + 4 * length, 4)]
