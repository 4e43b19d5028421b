"""A TCP proxy that passes, swallows what comes, or refuses: a network that fails in every way."""

import contextlib
import selectors
import socket
import threading
from enum import Enum

from tests.bridge.waiting import PATIENCE_S


class Network(Enum):
    PASSES = 1
    SWALLOWS = 2  # both ends believe the connection stands
    REFUSES = 3


class Proxy:
    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.network = Network.PASSES
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """End all connections; their ends are told."""
        for each in list(self._peers):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        for each in [*self._peers, self._listener]:
            each.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._peers:
                    self._carry(key.fileobj)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            if self.network is Network.REFUSES:
                raise ConnectionRefusedError
            far = socket.create_connection(self._target, 5)
        except OSError:
            near.close()
            return
        if self.network is Network.REFUSES:  # by now: who set that counts on it
            near.close()
            far.close()
            return
        for each, peer in ((near, far), (far, near)):
            self._peers[each] = peer
            self._selector.register(each, selectors.EVENT_READ)

    def _carry(self, each: socket.socket) -> None:
        peer = self._peers[each]
        try:
            data = each.recv(65536)
            if data and self.network is not Network.SWALLOWS:
                peer.sendall(data)
        except OSError:
            data = b""
        if not data:
            for gone in (each, peer):
                self._selector.unregister(gone)
                del self._peers[gone]
                gone.close()
