"""Typed views of float32s in an arena. Imported only by models that have some."""

from .views import CPYTHON

if not CPYTHON:
    import uctypes

if CPYTHON:

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

    as_float32 = Float32s
