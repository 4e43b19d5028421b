"""Settings of the OPC UA gateway: the table [opcua] and --opcua."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.bridge.gateways import Common
from host.bridge.toml_table import Table
from host.bridge.users import User
from host.gateways.listening import address, is_loopback

PACKAGE = "asyncua"


@dataclass(frozen=True)
class OpcUaConfig:
    """`files`: certificate and key, None for ones of our own making. `local`: only this machine
    can connect, so that encryption is the client's choice.
    """

    host: str
    port: int
    site: str
    local: bool
    anonymous: bool
    users: tuple[User, ...]
    files: tuple[Path, Path] | None
    connections: int


def configure(table: Table, flags: dict[str, Any], common: Common) -> OpcUaConfig | None:
    listen = table.text("listen", flags.get("opcua"), "127.0.0.1:4840")
    where = address(listen)
    if where is None:
        table.problem(f'listen "{listen}": expected HOST:PORT, as in 127.0.0.1:4840')
        where = ("127.0.0.1", 0)
    local = is_loopback(where[0])
    users = common.users.all
    login = table.flag("login_required", None)
    if not users and not local:
        table.problem(
            f"listen {listen} can be reached from other machines and needs users who log in: "
            "add [[users]], or listen on 127.0.0.1"
        )
    elif not users and login:
        table.problem("login_required: nobody could log in; add [[users]]")
    if importlib.util.find_spec(PACKAGE) is None:
        table.problem(
            f"needs the package {PACKAGE}, which is not installed: ./run bridge --opcua HOST:PORT "
            "installs it, or: .venv/bin/python -m pip install --require-hashes "
            "-r requirements/opcua.lock"
        )
    return OpcUaConfig(
        *where,
        site=common.site,
        local=local,
        anonymous=local and not login,
        users=users,
        files=_files(table),
        connections=table.integer("connections", None, 16, 1, 256),
    )


def _files(table: Table) -> tuple[Path, Path] | None:
    paths = []
    for key in ("cert_file", "key_file"):
        if table.has(key):
            path = Path(table.text(key, None, "")).expanduser()
            paths.append(path)
            if not path.is_file():
                table.problem(f"{key} {path}: no such file; it holds PEM or DER")
    if len(paths) == 1:
        table.problem("cert_file and key_file belong together: give both, or none for our own")
    return (paths[0], paths[1]) if len(paths) == 2 else None
