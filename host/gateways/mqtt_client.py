"""A connection to a broker: MQTT 3.1.1, TLS as the settings say."""

import ssl

import aiomqtt

from host.bridge.errors import StartError
from host.gateways.mqtt_settings import Broker

QOS = 1
KEEPALIVE_S = 20
TIMEOUT_S = 10
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


def connect(
    broker: Broker,
    tls: ssl.SSLContext | None,
    identifier: str,
    *,
    will: aiomqtt.Will | None = None,
    max_incoming: int,
    max_calls: int,
) -> aiomqtt.Client:
    """A client to be used with `async with`; `max_calls` publishes may wait for the broker."""
    client = aiomqtt.Client(
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


def first_cause(error: BaseException) -> BaseException:
    """The first cause in a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
