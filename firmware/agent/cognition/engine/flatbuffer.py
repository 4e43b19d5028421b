"""A bounds-checked reader for flatbuffers: every offset is checked before it is followed.

Whatever the bytes are, a read gives a value or raises FormatError. Nothing here recurses or loops
over a length the file claims without first checking that the file is that long. struct refuses
what reaches over the file's end. Where something begins is checked here: MicroPython's unpack_from
adds an offset to an address without looking whether the sum wraps.
"""

import struct
from struct import unpack_from

from .errors import FormatError

# What struct raises there: CPython's own error, or MicroPython's ValueError.
_OUTSIDE = getattr(struct, "error", ValueError)

# No table has more fields that anybody reads.
_FIELDS = 16
# Tables of a kind share one vtable; a hostile file has many.
_MOST_VTABLES = 64
_KINDS = ("<", "<i", "<2i", "<3i", "<4i")


class Reader:
    """Little-endian scalars at absolute positions, none negative, of a buffer of unsigned bytes."""

    def __init__(self, data):
        self.view = data
        self.size = len(data)
        self._vtables: dict = {}

    def number(self, position: int, kind: str = "<I") -> int:
        """What struct reads there."""
        if position < self.size:
            try:
                return unpack_from(kind, self.view, position)[0]
            except _OUTSIDE:
                pass
        raise self.outside(position)

    def outside(self, position: int) -> FormatError:
        return FormatError(
            "file is truncated or damaged: what is at offset %d reaches outside its %d bytes"
            % (position, self.size)
        )

    def i32(self, position: int) -> int:
        return self.number(position, "<i")

    def fields(self, table: int) -> tuple:
        """Where the fields of a table lie in it, 0 where absent."""
        if table > self.size - 4:
            raise self.outside(table)
        vtable = table - unpack_from("<i", self.view, table)[0]
        return self._vtables.get(vtable) or self._vtable(vtable)

    def _vtable(self, position):
        size = self.number(position, "<H") if position >= 0 else 0
        if size < 4 or position + size > self.size:
            raise self.outside(position)
        count = min((size - 4) >> 1, _FIELDS)
        fields = unpack_from("<%dH" % count, self.view, position + 4) + (0,) * (_FIELDS - count)
        if len(self._vtables) < _MOST_VTABLES:
            self._vtables[position] = fields
        return fields

    def vector(self, position: int, item_size: int) -> tuple:
        """(position of the first item, number of items) of the vector a field there refers to."""
        data = self.view
        size = self.size
        # In line: on a board, a call costs more than a read.
        try:
            start = position + unpack_from("<I", data, position)[0] + 4
            if start <= size:
                length = unpack_from("<I", data, start - 4)[0]
                if length * item_size <= size - start:
                    return start, length
        except _OUTSIDE:
            pass
        raise self.outside(position)

    def i32s(self, position: int, most: int) -> tuple:
        """A vector of at most so many int32."""
        start, length = self.vector(position, 4)
        if length > most:
            raise FormatError("a list of %d numbers; at most %d are supported" % (length, most))
        kind = _KINDS[length] if length < len(_KINDS) else "<%di" % length
        return unpack_from(kind, self.view, start)

    def root(self) -> "Table":
        return Table(self, self.number(0))


class Table:
    """One flatbuffer table. A field that is absent reads as its default."""

    def __init__(self, reader: Reader, position: int):
        self.reader = reader
        self.position = position
        self._fields = reader.fields(position)

    def at(self, field: int) -> int:
        """Absolute position of a field's value, 0 where the field is absent."""
        offset = self._fields[field]
        return self.position + offset if offset else 0

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """A field as struct reads it."""
        offset = self._fields[field]
        return self.reader.number(self.position + offset, kind) if offset else default

    def i8(self, field: int, default: int = 0) -> int:
        return self.number(field, "<b", default)

    def i32(self, field: int, default: int = 0) -> int:
        return self.number(field, "<i", default)

    def u32(self, field: int, default: int = 0) -> int:
        return self.number(field, "<I", default)

    def vector(self, field, item_size):
        """Of a vector: (position of the first item, number of items); (0, 0) where absent."""
        position = self.at(field)
        return self.reader.vector(position, item_size) if position else (0, 0)

    def tables(self, field: int) -> list:
        """Positions of the tables in a vector of tables: Table(reader, position) opens one."""
        start, length = self.vector(field, 4)
        data = self.reader.view
        return [p + unpack_from("<I", data, p)[0] for p in range(start, start + 4 * length, 4)]

    def i32s(self, field: int, most: int) -> tuple:
        """A vector of at most so many int32; none where absent."""
        position = self.at(field)
        return self.reader.i32s(position, most) if position else ()
