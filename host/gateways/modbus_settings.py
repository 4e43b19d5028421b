"""Settings of the Modbus gateway: the table [modbus]."""

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.bridge.gateways import Common
from host.bridge.toml_table import Table
from host.bridge.users import Role, role_of
from host.bridge.validate import DEVICE
from host.gateways.listening import address, is_loopback
from host.gateways.modbus_units import UNITS

TLS_FILES = ("cert_file", "key_file", "client_ca_file")


@dataclass(frozen=True)
class Tls:
    """Modbus/TCP Security. `digest` of the files' content: a renewed certificate is a change."""

    cert_file: str
    key_file: str
    client_ca_file: str
    digest: str

    def context(self) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError is one) for files that are not what they should be."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.verify_mode = ssl.CERT_REQUIRED
        # A key with a passphrase would ask on the terminal.
        made.load_cert_chain(self.cert_file, self.key_file, password=lambda: b"")
        made.load_verify_locations(self.client_ca_file)
        return made


@dataclass(frozen=True)
class ModbusConfig:
    host: str
    port: int
    role: Role
    tls: Tls | None
    units: tuple[tuple[str, int], ...]
    hold_s: int
    connections: int
    requests_per_s: int


def configure(table: Table, flags: dict[str, Any], common: Common) -> ModbusConfig | None:
    listen = table.text("listen", None, "127.0.0.1:5020")
    where = address(listen)
    if where is None:
        table.problem(f'listen "{listen}": expected HOST:PORT, as in 127.0.0.1:5020')
        where = ("127.0.0.1", 0)
    role = role_of(table, "viewer")
    tls = _tls(table)
    in_the_clear = table.flag("read_only_in_the_clear", None)
    if in_the_clear and tls:
        table.problem("read_only_in_the_clear: the connection is encrypted; leave it out")
    elif in_the_clear and role > Role.VIEWER:
        table.problem('read_only_in_the_clear: only a viewer can be; leave out "role"')
    elif not tls and not in_the_clear and not is_loopback(where[0]):
        table.problem(
            f"listen {listen} can be reached from other machines, and Modbus has no login: give "
            f"{', '.join(TLS_FILES)} for Modbus/TCP Security, or read_only_in_the_clear = true"
        )
    return ModbusConfig(
        *where,
        role=role,
        tls=tls,
        units=_units(table),
        hold_s=table.integer("hold_s", None, 3600, 1, 0xFFFF),
        connections=table.integer("connections", None, 16, 1, 256),
        requests_per_s=table.integer("requests_per_s", None, 100, 1, 10_000),
    )


def _tls(table: Table) -> Tls | None:
    given = {key: table.text(key, None, "") for key in TLS_FILES if table.has(key)}
    if not given:
        return None
    if len(given) < len(TLS_FILES):
        table.problem(f"{', '.join(TLS_FILES)} belong together: give all three or none")
        return None
    digest = hashlib.sha256()
    try:
        for path in given.values():
            digest.update(Path(path).read_bytes())
        tls = Tls(**given, digest=digest.hexdigest())
        tls.context()
    except OSError as error:
        what = error.filename or " or ".join(TLS_FILES)
        table.problem(f"{what}: {error.strerror or error}; expected PEM files that fit together")
        return None
    return tls


def _units(table: Table) -> tuple[tuple[str, int], ...]:
    units = table.table("units")
    found = [(name, units.integer(name, None, 0, UNITS[0], UNITS[-1])) for name in units.names()]
    for name, _ in found:
        if not DEVICE.fullmatch(name):
            units.problem(f'"{name}" is no device; they are 1 to 32 of a-z, 0-9, _ and -')
    numbers = [unit for _, unit in found if unit]
    for unit in sorted({unit for unit in numbers if numbers.count(unit) > 1}):
        units.problem(f"{unit} is given to two boards")
    return tuple(sorted(found))
