"""The web gateway: uvicorn inside the bridge's event loop."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator

import uvicorn

from host.bridge.core import Core
from host.bridge.logs import event
from host.gateways.listening import listen
from host.gateways.web.app import make_app
from host.gateways.web.connection import HEADERS_S, bounded_protocol
from host.gateways.web.settings import WebConfig, configure

__all__ = ["WebGateway", "configure", "make"]
LOG = logging.getLogger("fanwise.web")


class Server(uvicorn.Server):
    """Leaves signals to the bridge."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebGateway:
    name = "web"

    def __init__(self, core: Core, config: WebConfig) -> None:
        self._core = core
        self._config = config
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._socket: socket.socket | None = None
        self._server: Server | None = None

    async def start(self) -> None:
        """Raises PortInUse, StartError."""
        config = self._config
        self._socket = listen(config.host, config.port, "live page", "--http HOST:PORT")
        host, port = self._socket.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        event(LOG, logging.INFO, "live page", url=f"http://{shown}:{port}/")

    async def run(self) -> None:
        assert self._socket is not None
        config = uvicorn.Config(
            make_app(self._core, self._config, self._stopping),
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            ws="none",
            http=bounded_protocol(),
            loop="asyncio",
            limit_concurrency=256,
            timeout_keep_alive=int(HEADERS_S),
            timeout_graceful_shutdown=1,
        )
        self._server = Server(config)
        # uvicorn closes the socket it is given; a duplicate lets it be started again.
        await self._server.serve([self._socket.dup()])
        if self._stopping.is_set():
            self._stopped.set()
            await asyncio.Event().wait()

    async def stop(self) -> None:
        self._stopping.set()
        if self._server:
            self._server.should_exit = True
            await self._stopped.wait()
        if self._socket:
            self._socket.close()


def make(core: Core, settings: WebConfig) -> WebGateway:
    return WebGateway(core, settings)
