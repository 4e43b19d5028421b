"""Can an MQTT broker be used: name, TCP, TLS and the MQTT handshake, with a client of the bridge's
kind. Nothing is published.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import ssl
import time
import urllib.parse
from dataclasses import dataclass

import aiomqtt

from host.devices.doctoring.finding import Finding, ok, wrong

TIMEOUT_S = 5.0
PORTS = {"mqtt": 1883, "mqtts": 8883}
PASSWORD = "FANWISE_MQTT_PASSWORD"


@dataclass(frozen=True)
class Address:
    host: str
    port: int
    user: str | None
    tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def address(url: str) -> Address:
    """Of mqtt://[user@]host[:port] or mqtts://. Raises ValueError."""
    parts = urllib.parse.urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in PORTS or not parts.hostname or port == -1 or parts.path.strip("/"):
        raise ValueError(
            "--broker: mqtt://[user@]host[:port], or mqtts:// for TLS, is expected, as in "
            "mqtt://127.0.0.1:1883"
        )
    if parts.password:
        raise ValueError(f"--broker: a password in it shows in process lists; put it in {PASSWORD}")
    tls = parts.scheme == "mqtts"
    return Address(parts.hostname, port or PORTS[parts.scheme], parts.username, tls)


def check(where: Address, timeout_s: float = TIMEOUT_S) -> Finding:
    """One finding. Blocks at most twice `timeout_s`."""
    return asyncio.run(_check(where, timeout_s))


async def _check(where: Address, timeout_s: float) -> Finding:
    begun = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(where.host, where.port)
        writer.close()
    except (socket.gaierror, UnicodeError):  # the latter for what cannot be a name at all
        return wrong("broker", f"{where.host}: no such name", "check the name; try its address")
    except TimeoutError:
        step = "is the address right, does a firewall drop it?"
        return wrong("broker", f"{where}: no answer within {timeout_s:g} s", step)
    except OSError as error:
        step = "start it (mosquitto, or ./run bridge --embedded-broker), or correct the port"
        return wrong("broker", f"{where}: {os.strerror(error.errno or 0).lower()}", step)
    client = aiomqtt.Client(
        where.host,
        where.port,
        username=where.user,
        password=os.environ.get(PASSWORD),
        protocol=aiomqtt.ProtocolVersion.V311,
        identifier=f"fanwise-doctor-{secrets.token_hex(3)}",
        timeout=timeout_s,
        tls_context=ssl.create_default_context() if where.tls else None,
    )
    try:
        async with client:
            pass
    except aiomqtt.MqttError as error:
        return _refusal(where, error)
    took_ms = (time.monotonic() - begun) * 1000
    who = f" as {where.user}" if where.user else ""
    tls = "MQTT 3.1.1 over TLS" if where.tls else "MQTT 3.1.1"
    return ok("broker", f"{where} takes {tls} connections{who}, in {took_ms:.0f} ms")


def _refusal(where: Address, error: Exception) -> Finding:
    said = str(error)
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLError):
        said = f"TLS: {cause.reason or cause}"
        step = "is it the TLS port? For a CA of your own: SSL_CERT_FILE=ca.pem"
    elif "uthorized" in said or "authori" in said or "user name" in said:
        step = f"put the user into the URL and the password into {PASSWORD}"
    else:
        step = "is it an MQTT broker, and is TLS (mqtts://) right?"
    return wrong("broker", f"{where}: {said}", step)
