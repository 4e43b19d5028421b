"""Typed views of memory, without copying: MicroPython's memoryview has no cast()."""

import sys

# On a board 0 (host/devices/build.py).
CPYTHON = sys.implementation.name == "cpython"

if not CPYTHON:
    import uctypes

if CPYTHON:

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

else:

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
