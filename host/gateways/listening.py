"""Listening sockets, opened before anything is served so that a taken port is one clear message."""

import errno
import socket

from host.bridge.errors import PortInUse, StartError


def listen(host: str, port: int, what: str, setting: str) -> socket.socket:
    """A bound TCP socket. Raises PortInUse or StartError naming `what` and the `setting`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
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
