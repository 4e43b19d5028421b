"""A connection to a broker: MQTT 3.1.1, TLS as the settings say."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import aiomqtt

from host.bridge.backoff import Backoff
from host.bridge.errors import StartError
from host.bridge.logs import event
from host.gateways.mqtt_settings import Broker

LOG = logging.getLogger("fanwise.mqtt")
QOS = 1
KEEPALIVE_S = 20
TIMEOUT_S = 10
# CONNACK: bad user name or password, not authorised; MQTT 3.1.1, and as paho passes them on.
LOGIN_REFUSED = (4, 5, 134, 135)
# Not confirmed by the broker yet; paho holds the others back.
MAX_IN_FLIGHT = 200


def tls_context(broker: Broker) -> ssl.SSLContext | None:
    """Raises StartError for unusable certificates."""
    if not broker.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=broker.ca_file)
        if broker.cert_file:
            context.load_cert_chain(broker.cert_file, broker.key_file)
    except OSError as error:  # ssl.SSLError is one
        raise StartError(
            f"broker {broker.host}: the certificates cannot be used ({error}); ca_file, cert_file "
            "and key_file hold PEM, and the key belongs to the certificate"
        ) from error
    return context


class Client(aiomqtt.Client):
    """aiomqtt's, with ways past its queue, tasks and timers where there are thousands of messages
    a second: those cost more than the messages.
    """

    handle: Callable[[str, bytes, bool], None] | None = None

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        """With a `handle`, it is called at once with topic, payload and whether it was retained."""
        if self.handle is None:
            super()._on_message(client, userdata, message)
            return
        try:
            self.handle(message.topic, message.payload, message.retain)
        except Exception:
            # In paho's hands it would leave the connection in the middle of a packet.
            LOG.exception("a message failed")

    async def publish_latest(self, messages: list[tuple[str, bytes]]) -> None:
        """Retained, QoS 0; returns when all are on their way. Raises MqttError."""
        for topic, payload in messages[:-1]:
            self._client.publish(topic, payload, 0, True)
        for topic, payload in messages[-1:]:
            await self.publish(topic, payload, 0, True, timeout=TIMEOUT_S)

    async def ended(self) -> None:
        """Wait for the end of the connection. Raises MqttError."""
        async for _ in self.messages:
            pass


def connect(
    broker: Broker,
    tls: ssl.SSLContext | None,
    identifier: str,
    *,
    will: aiomqtt.Will | None = None,
    max_incoming: int,
    max_calls: int,
) -> Client:
    """A client to be used with `async with`; `max_calls` publishes may wait for the broker."""
    client = Client(
        broker.host,
        broker.port,
        username=broker.username,
        password=broker.password,
        protocol=aiomqtt.ProtocolVersion.V311,
        identifier=identifier,
        clean_session=True,
        will=will,
        keepalive=KEEPALIVE_S,
        timeout=TIMEOUT_S,
        tls_context=tls,
        max_queued_incoming_messages=max_incoming,
        max_inflight_messages=MAX_IN_FLIGHT,
        # Or a state waits up to 40 ms for the broker's system to confirm the one before.
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )
    client.pending_calls_threshold = max_calls
    return client


async def keep_connected(
    log: logging.Logger,
    broker: Broker,
    connection: Callable[[], Client],
    session: Callable[[Client], Awaitable[None]],
    *,
    lost: Callable[[], None] = lambda: None,
    quiet: Callable[[], bool] = lambda: False,
) -> None:
    """Connect, run `session` until the connection ends, and again, for ever.

    `lost` is called after each try; a broker that cannot be reached is logged once, unless `quiet`.
    Raises what went wrong in `session` other than the connection.
    """
    backoff = Backoff(0.5, 30.0)
    where = f"{broker.host}:{broker.port}"
    told = False
    while True:
        try:
            async with connection() as client:
                event(log, logging.INFO, "connected", broker=where)
                backoff.reset()
                told = False
                await session(client)
        except (aiomqtt.MqttError, OSError, ExceptionGroup) as error:
            if isinstance(error, ExceptionGroup):
                _, faults = error.split((aiomqtt.MqttError, OSError))
                if faults:
                    raise faults from None  # ours, not the connection's
            if not told and not quiet():
                reason = _first_cause(error)
                event(log, logging.WARNING, _trouble(reason), broker=where, reason=reason)
                told = True
        finally:
            lost()
        await asyncio.sleep(backoff.delay_s())


def _trouble(reason: BaseException) -> str:
    code = getattr(reason, "rc", None)
    if getattr(code, "value", code) in LOGIN_REFUSED:
        return "broker refuses the login: check the user in its url, and the password"
    return "broker not reachable"


def _first_cause(error: BaseException) -> BaseException:
    """The first cause in a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
