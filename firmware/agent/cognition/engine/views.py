"""Typed views of memory, without copying: MicroPython's memoryview has no cast()."""

import sys

try:
    import uctypes
except ImportError:
    uctypes = None  # type: ignore[assignment]


if uctypes is None:

    def as_bytes(buffer, item_size=1):
        """A buffer of items of `item_size` bytes as unsigned bytes."""
        return memoryview(buffer).cast("B")

    def as_int8(data, offset, length):
        """`length` bytes of `data` from `offset` on as int8, indexed from 0."""
        return memoryview(data)[offset : offset + length].cast("b")

    def as_int32(data, offset, length):
        """`length` int32s of `data` from `offset` on; None where they cannot be read in place."""
        if sys.byteorder != "little":
            return None
        return memoryview(data)[offset : offset + 4 * length].cast("i")

    def as_float32(arena, offset, length):
        """`length` float32s in an arena of int8, from byte `offset` on, a multiple of 4."""
        return memoryview(arena).cast("B")[offset : offset + 4 * length].cast("f")

else:

    class Float32s:
        """What a memoryview of float32s would be. bytes: the same memory as unsigned bytes."""

        def __init__(self, arena, offset, length):
            self._arena = arena
            address = uctypes.addressof(arena) + offset
            self.bytes = uctypes.bytearray_at(address, 4 * length)
            self._items = uctypes.struct(address, (uctypes.ARRAY | 0, uctypes.FLOAT32 | length))
            self._length = length

        def __len__(self):
            return self._length

        def __getitem__(self, index):
            return self._items[index]

        def __setitem__(self, index, value):
            self._items[index] = value

    def as_float32(arena, offset, length):
        """`length` float32s in an arena of int8, from byte `offset` on, a multiple of 4."""
        return Float32s(arena, offset, length)

    def as_bytes(buffer, item_size=1):
        """A buffer of items of `item_size` bytes as unsigned bytes. The caller keeps it alive."""
        if hasattr(buffer, "bytes"):
            return buffer.bytes
        view = memoryview(buffer)
        return uctypes.bytearray_at(uctypes.addressof(view), len(view) * item_size)

    def as_int8(data, offset, length):
        """`length` bytes of `data` from `offset` on as int8. The caller keeps the buffer alive."""
        return uctypes.struct(
            uctypes.addressof(data) + offset, (uctypes.ARRAY | 0, uctypes.INT8 | length)
        )

    def as_int32(data, offset, length):
        """`length` int32s of `data` from `offset` on; None where they cannot be read in place."""
        address = uctypes.addressof(data) + offset
        if address & 3 or sys.byteorder != "little":
            return None
        return uctypes.struct(address, (uctypes.ARRAY | 0, uctypes.INT32 | length))
