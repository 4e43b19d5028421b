"""Puts the OPC UA server together. Imports asyncua: only ever imported in the OPC UA thread."""

import socket
from datetime import UTC, datetime
from pathlib import Path

from asyncua import ua

from host.bridge import VERSION
from host.bridge.errors import StartError
from host.gateways import opcua_certificate
from host.gateways.opcua_guard import GuardedServer
from host.gateways.opcua_settings import OpcUaConfig
from host.gateways.opcua_space import Ask, Space


async def start(
    config: OpcUaConfig, folder: Path, sock: socket.socket, ask: Ask
) -> tuple[GuardedServer, Space]:
    """A server that answers on `sock`. Raises StartError."""
    server = GuardedServer(config)
    server.set_server_name("Fanwise bridge")
    server.application_type = ua.ApplicationType.Server
    await server.init()
    uri = f"urn:fanwise:{config.site}:bridge"
    cert_file, key_file = config.files or _own(folder, uri)
    try:
        await server.load_certificate(cert_file)
        server.iserver.private_key = opcua_certificate.private_key(key_file)
    except Exception as error:  # of many kinds, by what is wrong with the file
        raise StartError(
            f"[opcua] cert_file {cert_file}, key_file {key_file}: {error}; expected a certificate "
            "and its RSA key without a passphrase, PEM or DER by their names"
        ) from error
    await server.set_application_uri(opcua_certificate.uri_of(server.iserver.certificate) or uri)
    build = ("urn:fanwise", "Fanwise", "Fanwise bridge", VERSION, VERSION, datetime.now(UTC))
    await server.set_build_info(*build)
    host = f"[{config.host}]" if ":" in config.host else config.host
    server.set_endpoint(f"opc.tcp://{host}:{sock.getsockname()[1]}/fanwise")
    space = Space(server, ask)
    await space.build()
    await server.start_on(sock)
    return server, space


def _own(folder: Path, uri: str) -> tuple[Path, Path]:
    try:
        return opcua_certificate.own(folder, uri)
    except OSError as error:
        raise StartError(
            f"[opcua] cannot write a certificate into {folder}: {error.strerror}; "
            "name one with cert_file and key_file"
        ) from error
