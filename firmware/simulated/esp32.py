# `esp32` as far as firmware keeps values in it: NVS, held by the host. Keys and values fit one
# packet: 64 bytes together.

import struct

import _bus


class NVS:
    def __init__(self, namespace):
        self._namespace = namespace.encode() + b"/"

    def _key(self, key):
        key = self._namespace + key.encode()
        n = len(key)
        if n > 31:
            raise ValueError("name too long")
        _bus.out[_bus.HEADER : _bus.HEADER + n] = key
        return n

    def _get(self, key):
        n = self._key(key)
        n = _bus.call(_bus.NVS_GET, n, 0, n)
        return _bus.reply[_bus.HEADER : _bus.HEADER + n]

    def _set(self, key, value):
        n = self._key(key)
        if n + len(value) > _bus.PAYLOAD:
            raise ValueError("value too long")
        _bus.out[_bus.HEADER + n : _bus.HEADER + n + len(value)] = value
        _bus.call(_bus.NVS_SET, n, 1, n + len(value))

    def get_i32(self, key):
        return struct.unpack("<i", self._get(key))[0]

    def set_i32(self, key, value):
        self._set(key, struct.pack("<i", value))

    def get_blob(self, key, buffer):
        value = self._get(key)
        if len(value) > len(buffer):
            raise ValueError("buffer too small")
        buffer[: len(value)] = value
        return len(value)

    def set_blob(self, key, value):
        self._set(key, bytes(value))

    def erase_key(self, key):
        self._get(key)
        n = self._key(key)
        _bus.call(_bus.NVS_SET, n, 0, n)

    def commit(self):
        pass
