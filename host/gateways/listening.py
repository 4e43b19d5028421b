"""Listening sockets, opened before anything is served so that a taken port is one clear message."""

import errno
import ipaddress
import socket

from host.bridge.errors import PortInUse, StartError


def listen(host: str, port: int, what: str, setting: str) -> socket.socket:
    """A bound TCP socket. Raises PortInUse or StartError naming `what` and the `setting`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named. With it an answer of
    # two writes waits 40 ms for the client's system to confirm the first.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"{what}: {host}:{port} is in use by another program; "
                f"stop that one or give another address with {setting}"
            ) from error
        raise StartError(
            f"{what}: cannot listen on {host}:{port} ({error.strerror or error}); "
            f"give an address of this machine with {setting}"
        ) from error
    sock.setblocking(False)
    return sock


def is_loopback(host: str) -> bool:
    """Whether every address `host` stands for is this machine's loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(str(f[4][0])).is_loopback for f in found)


def address(text: str) -> tuple[str, int] | None:
    """Host and port of HOST:PORT, IPv6 in brackets or not; None if it is none."""
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        return None
    return host, int(port)
