# `socket` of an ESP32 behind the simulated radio: real sockets of the host, through which nothing
# goes while the radio carries nothing. Name and time servers are the simulation's own.

import errno
import io
import select

import _bus
import usocket as _host

AF_INET = _host.AF_INET
SOCK_STREAM = _host.SOCK_STREAM
SOCK_DGRAM = _host.SOCK_DGRAM
SOL_SOCKET = _host.SOL_SOCKET
SO_REUSEADDR = _host.SO_REUSEADDR
_SERVICES = (53, 123, 5353)
_POLL = 3
# Closed without a radio: the other end does not hear of it.
_deaf = []


def getaddrinfo(host, port, *args):
    return [(AF_INET, SOCK_STREAM, 0, "", (host, port))]


def _form(address):
    return _host.getaddrinfo(address[0], address[1])[0][-1]


class socket(io.IOBase):
    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0):
        self._socket = _host.socket(af, type)
        self._poll = None

    def setblocking(self, value):
        self._socket.setblocking(value)

    def connect(self, address):
        if not _bus.radio:
            raise OSError(errno.EHOSTUNREACH)
        self._socket.connect(_form(address))

    def sendto(self, data, address):
        if address[1] in _SERVICES:
            address = ("127.0.0.1", _bus.call(_bus.NET_PORT, 0, address[1]))
        return self._socket.sendto(data, _form(address)) if _bus.radio else len(data)

    def write(self, data):
        return self._socket.write(data) if _bus.radio else None

    send = write

    def readinto(self, buffer):
        return self._socket.readinto(buffer) if _bus.radio else None

    def ioctl(self, request, argument):
        if request != _POLL:
            return -errno.EINVAL
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._socket, argument)
        found = self._poll.poll(0) if _bus.radio else None
        return found[0][1] if found else 0

    def close(self):
        if _bus.radio:
            self._socket.close()
            while _deaf:
                _deaf.pop().close()
        else:
            _deaf.append(self._socket)
