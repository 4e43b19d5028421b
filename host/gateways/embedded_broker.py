"""An MQTT broker inside the bridge (amqtt), for demonstrations and machines that have none.

On loopback only: whoever can connect may do anything. Nothing is kept over a restart.
"""

import logging
import warnings

from host.bridge.errors import StartError
from host.bridge.logs import event
from host.gateways.listening import listen

LOG = logging.getLogger("fanwise.broker")
HOST = "127.0.0.1"
MAX_CONNECTIONS = 64
# For any free port: it may be taken between looking and opening.
TRIES = 5


class EmbeddedBroker:
    def __init__(self, port: int) -> None:
        """port: 0 takes any free one; `start` returns it."""
        self._port = port
        self._broker: object | None = None

    async def start(self) -> int:
        """Listen; the port. Raises PortInUse, StartError."""
        tries = 1 if self._port else TRIES
        while True:
            # amqtt opens its own socket: this one finds out whether the port is free.
            probe = listen(HOST, self._port, "embedded MQTT broker", "--embedded-port N")
            port: int = probe.getsockname()[1]
            probe.close()
            tries -= 1
            try:
                await self._open(port)
                return port
            except StartError:
                if not tries:
                    raise  # else somebody was quicker, and any other port will do

    async def _open(self, port: int) -> None:
        # amqtt is slow to import, and most bridges talk to a broker elsewhere.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from amqtt.broker import Broker
            from amqtt.errors import BrokerError

            broker = Broker(
                {
                    "listeners": {
                        "default": {
                            "type": "tcp",
                            "bind": f"{HOST}:{port}",
                            "max_connections": MAX_CONNECTIONS,
                        }
                    },
                    "plugins": {
                        "amqtt.plugins.authentication.AnonymousAuthPlugin": {
                            "allow_anonymous": True
                        }
                    },
                }
            )
        try:
            await broker.start()
        except (BrokerError, OSError) as error:
            raise StartError(
                f"embedded MQTT broker on port {port}: {error}; give another --embedded-port"
            ) from error
        self._broker = broker
        event(LOG, logging.INFO, "embedded MQTT broker", url=f"mqtt://{HOST}:{port}")

    async def stop(self) -> None:
        if self._broker is not None:
            broker, self._broker = self._broker, None
            await broker.shutdown()  # type: ignore[attr-defined]
