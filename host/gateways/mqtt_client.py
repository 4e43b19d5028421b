"""A connection to a broker: MQTT 3.1.1, TLS as the settings say."""

import asyncio
import logging
import math
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiomqtt

from host.bridge.backoff import Backoff
from host.bridge.errors import StartError
from host.bridge.logs import event
from host.gateways.daemon_thread import in_daemon_thread
from host.gateways.mqtt_settings import Broker

LOG = logging.getLogger("fanwise.mqtt")
QOS = 1
KEEPALIVE_S = 20
TIMEOUT_S = 10
# A slow broker is not a dead one: it is left when it owes the same confirmation for so long.
PATIENCE_S = 60
LOOK_S = 1.0
# For a last packet to a broker that may not read any more.
GOODBYE_S = 0.5
# A connection that held for so long was a good one.
STEADY_S = 5
# CONNACK: bad user name or password, not authorised; MQTT 3.1.1, and as paho passes them on.
LOGIN_REFUSED = (4, 5, 134, 135)
UNSPECIFIED = 128
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
    a second: those cost more than the messages. And it holds nobody up: neither a broker that says
    nothing nor one that reads nothing delays the end, and no connection is left behind.
    """

    handle: Callable[[str, bytes, bool], None] | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Publishes under way, oldest first: brokers confirm in order.
        self._unconfirmed: dict[object, None] = {}
        self._left = False
        # If not, the broker publishes the last will.
        self.says_goodbye = True

    async def __aenter__(self) -> "Client":
        """Raises MqttError."""
        try:
            await in_daemon_thread("mqtt connect", self._client_connect)
            await self._wait_for(asyncio.shield(self._connected), TIMEOUT_S)
        except OSError as error:
            raise aiomqtt.MqttError(str(error)) from error
        finally:
            if not self._connected.done() or self._connected.exception():
                self._cut()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self.says_goodbye and not self._disconnected.done():
                self._client.disconnect()
                await asyncio.wait([self._disconnected], timeout=GOODBYE_S)
            if self._disconnected.done():
                self._disconnected.exception()  # looked at, whoever else did not
        finally:
            self._cut()

    async def ended(self) -> None:
        """Wait for the end of the connection. Raises MqttError."""
        await asyncio.wait([self._disconnected])
        reason = self._disconnected.exception()
        # paho's word for a connection that the other side closed is "Unspecified error".
        if reason is None or getattr(reason, "rc", None) == UNSPECIFIED:
            raise aiomqtt.MqttError("the broker ended the connection") from reason
        raise aiomqtt.MqttError(str(reason)) from reason

    async def hand_over(self, topic: str, payload: bytes, qos: int, retain: bool = False) -> None:
        """Publish; returns when the broker confirmed it, or with QoS 0 when it is on its way.

        It takes as long as it takes: `ended` tells of a broker that confirms nothing.
        """
        mine = object()
        self._unconfirmed[mine] = None
        try:
            await self.publish(topic, payload, qos, retain, timeout=math.inf)
        finally:
            del self._unconfirmed[mine]

    async def hand_over_latest(self, messages: list[tuple[str, bytes]]) -> None:
        """Retained, QoS 0 but for the last one; returns when the broker has taken them all."""
        for topic, payload in messages[:-1]:
            self._client.publish(topic, payload, 0, True)
        for topic, payload in messages[-1:]:
            await self.hand_over(topic, payload, QOS, True)

    def _client_connect(self) -> None:
        super()._client_connect()
        opened: Any = self._client.socket()
        if opened:
            # Or a state waits up to 40 ms for the broker's system to confirm the one before.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._left:
            self._cut()

    def _cut(self) -> None:
        """End the connection, now or as soon as there is one; its reader then tidies up."""
        self._left = True
        if not self._disconnected.done():
            self._disconnected.cancel()
        opened: Any = self._client.socket()
        if opened:
            try:
                opened.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was ended by the broker

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None
    ) -> None:
        if self._connected.done():
            super()._on_disconnect(client, userdata, flags, reason_code, properties)
        elif not self._left:
            gone = aiomqtt.MqttError("the broker ended the connection without an answer")
            self._connected.set_exception(gone)

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

    async def _misc_loop(self) -> None:
        """Pings, and a look at what the broker owes."""
        oldest, since = None, 0.0
        while not self._client.loop_misc():
            now, first = time.monotonic(), next(iter(self._unconfirmed), None)
            if first is not oldest:
                oldest, since = first, now
            elif oldest and now - since > PATIENCE_S and not self._disconnected.done():
                self._disconnected.set_exception(aiomqtt.MqttError("the broker confirms nothing"))
                return
            await asyncio.sleep(LOOK_S)


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
    )
    client.pending_calls_threshold = max_calls
    return client


async def keep_connected(
    log: logging.Logger,
    broker: Broker,
    connection: Callable[[], Client],
    session: Callable[[Client, Callable[[], None]], Awaitable[None]],
    *,
    works: Callable[[bool], None],
    quiet: Callable[[], bool] = lambda: False,
) -> None:
    """Connect, run `session` until the connection ends, and again, for ever.

    `session` gets the client, and what to call once the broker has shown that it takes messages.
    `works` is told then, and after each try; a trouble without success is logged once, unless
    `quiet`. Raises what went wrong in `session` other than the connection.
    """
    unreachable, unsteady = Backoff(0.5, 30.0), Backoff(0.5, STEADY_S)
    where = f"{broker.host}:{broker.port}"
    told: set[str] = set()
    since: float | None = None

    def settled() -> None:
        nonlocal since
        event(log, logging.INFO, "connected", broker=where)
        told.clear()
        since = time.monotonic()
        works(True)

    while True:
        since = None
        try:
            async with connection() as client, asyncio.TaskGroup() as tasks:
                tasks.create_task(client.ended())
                await session(client, settled)
        except (aiomqtt.MqttError, OSError, ExceptionGroup) as error:
            if isinstance(error, ExceptionGroup):
                _, faults = error.split((aiomqtt.MqttError, OSError))
                if faults:
                    raise faults from None  # ours, not the connection's
            reason = _first_cause(error)
            trouble = _trouble(reason)
            if trouble not in told and not quiet():
                event(log, logging.WARNING, trouble, broker=where, reason=reason)
                told.add(trouble)
        finally:
            works(False)
        if since is None:
            await asyncio.sleep(unreachable.delay_s())
            continue
        unreachable.reset()
        if time.monotonic() - since > STEADY_S:
            unsteady.reset()
        await asyncio.sleep(unsteady.delay_s())


def _trouble(reason: BaseException) -> str:
    code = getattr(reason, "rc", None)
    if getattr(code, "value", code) in LOGIN_REFUSED:
        return "broker refuses the login: check the user in its url, and the password"
    if isinstance(reason.__cause__, ssl.SSLCertVerificationError):
        return "broker cannot be trusted: check ca_file, and the host in its url"
    return "broker not reachable"


def _first_cause(error: BaseException) -> BaseException:
    """The first cause in a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
