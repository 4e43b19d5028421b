"""Boards as Modbus/TCP units, for building control and PLCs. docs/modbus.md has the register map.

    [modbus]
    listen = "127.0.0.1:5020"
    role = "viewer"               # "operator": writes may hold the fan
    hold_s = 3600                 # how long a hold lasts unless a client says otherwise
    connections = 16
    requests_per_s = 100          # of one connection; what comes faster waits

    cert_file = "/etc/fanwise/modbus.pem"     # all three: Modbus/TCP Security. Then other addresses
    key_file = "/etc/fanwise/modbus.key"      # may be listened on, and only clients with a
    client_ca_file = "/etc/fanwise/plc-ca.pem"  # certificate of this CA are let in
    read_only_in_the_clear = true # or: anybody in the network may read, and nobody write

    [modbus.units]                # boards without one get the lowest free number, for good
    box-one = 1

`python -m host.gateways.modbus --config bridge.toml` prints the map and the units of a store.
"""

import argparse
import asyncio
import logging
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from pymodbus.constants import ExcCodes

from host.bridge.core import Core
from host.bridge.errors import StartError, StoreBusy
from host.bridge.hub import BoardChanged
from host.bridge.logs import event
from host.bridge.registry import Board, Status
from host.bridge.users import Role, Who
from host.gateways import modbus_map as layout
from host.gateways.listening import listen
from host.gateways.modbus_protocol import (
    READ_COILS,
    READ_HOLDING,
    READ_INPUTS,
    WRITE_COIL,
    WRITE_COILS,
    WRITES,
    Refused,
    Values,
    answer,
    identify,
)
from host.gateways.modbus_server import ModbusServer
from host.gateways.modbus_settings import ModbusConfig, configure
from host.gateways.modbus_units import Units

__all__ = ["Modbus", "configure", "make"]

LOG = logging.getLogger("fanwise.modbus")
STORE_RETRY_S = 1.0


def make(core: Core, settings: ModbusConfig) -> "Modbus":
    return Modbus(core, settings)


class Modbus:
    name = "modbus"

    def __init__(self, core: Core, config: ModbusConfig) -> None:
        self.core = core
        self.config = config
        self.units = Units(dict(config.units), {})
        # By device: seconds a hold lasts, and (fan, when) of what was asked last.
        self.hold_s: dict[str, int] = {}
        self.asked: dict[str, tuple[int | None, float]] = {}
        self._server = ModbusServer(self._answer, config.connections, config.requests_per_s)
        self._full_told = False

    async def start(self) -> None:
        """Raises StartError if the address or the certificates cannot be used."""
        config = self.config
        try:
            self._context = config.tls.context() if config.tls else None
        except OSError as error:
            raise StartError(f"[modbus] cert_file, key_file, client_ca_file: {error}") from error
        identify()
        self._socket = listen(config.host, config.port, "Modbus", "[modbus] listen")
        port = self._socket.getsockname()[1]
        fields = {"host": config.host, "port": port, "role": config.role.name.lower()}
        event(LOG, logging.INFO, "modbus ready", **fields, tls=bool(config.tls))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._assign())
            parts.create_task(self._server.serve(self._socket.dup(), self._context))

    async def stop(self) -> None:
        self._socket.close()

    async def _assign(self) -> None:
        """Give each board a unit, kept before anybody sees it."""
        store, call = self.core.store, self.core.writer.call
        with self.core.hub.subscribe(only=BoardChanged) as changes:
            kept = await self._patiently(lambda: call(store.notes, self.name))
            self.units = Units(dict(self.config.units), kept)
            for device in self.units.lost:
                event(LOG, logging.WARNING, "unit given to another board", device=device)
            devices = sorted(self.core.registry.boards)
            while True:
                for device in devices:
                    if self.units.unit(device) is None:
                        await self._assign_one(device)
                change = await changes.get()
                if isinstance(change, BoardChanged):
                    devices = [change.device]
                else:
                    devices = sorted(self.core.registry.boards)

    async def _assign_one(self, device: str) -> None:
        unit = self.units.free()
        if unit is None:
            if not self._full_told:
                self._full_told = True
                event(LOG, logging.WARNING, "no modbus unit left for a board", device=device)
            return
        note = (self.name, device, str(unit))
        await self._patiently(lambda: self.core.writer.call(self.core.store.note, *note))
        self.units.assign(device, unit)
        event(LOG, logging.INFO, "modbus unit assigned", device=device, unit=unit)

    async def _patiently(self, work: Any) -> Any:
        while True:
            try:
                return await work()
            except StoreBusy:
                await asyncio.sleep(STORE_RETRY_S)

    async def _answer(self, unit: int, request: bytes, client: str) -> bytes:
        return await answer(UnitAccess(self, unit, client), unit, request)


class UnitAccess:
    """What one request may do with one unit."""

    def __init__(self, gateway: Modbus, unit: int, client: str) -> None:
        self._gateway = gateway
        self._unit = unit
        self._who = Who(client, gateway.config.role, gateway.name)

    def check(self, function: int) -> None:
        if function in WRITES and self._who.role < Role.OPERATOR:
            raise Refused(ExcCodes.ILLEGAL_FUNCTION)

    def read(self, function: int) -> dict[int, Any]:
        """Address: value, of all that the function reads; of one moment."""
        board = self._board()
        of = layout.view(board, time.time())
        if function == READ_COILS:
            return dict(enumerate(layout.coils(self._held(board))))
        if function == READ_INPUTS:
            return dict(enumerate(layout.inputs(of)))
        found = dict(enumerate(layout.registers(of)))
        if function == READ_HOLDING:
            found[layout.SECONDS] = self._seconds()
            found[layout.HOLD] = layout.HOLDS.index(self._held(board))
        return found

    async def write(self, function: int, address: int, values: Values) -> None:
        board = self._board()
        if function in (WRITE_COIL, WRITE_COILS):
            await self._write_coils(board, address, values)
            return
        names = range(address, address + len(values))
        if not values or names[0] < layout.SECONDS or names[-1] > layout.HOLD:
            raise Refused(ExcCodes.ILLEGAL_ADDRESS)
        given = dict(zip(names, values, strict=True))
        seconds = given.get(layout.SECONDS, self._seconds())
        hold = given.get(layout.HOLD)
        if not 1 <= seconds <= layout.MAX_SECONDS:
            raise Refused(ExcCodes.ILLEGAL_VALUE)
        if hold is not None:
            if hold >= len(layout.HOLDS):
                raise Refused(ExcCodes.ILLEGAL_VALUE)
            await self._ask(board, layout.HOLDS[hold], seconds)
        self._gateway.hold_s[board.device] = seconds

    async def _write_coils(self, board: Board, address: int, values: Values) -> None:
        if address + len(values) > len(layout.COILS):
            raise Refused(ExcCodes.ILLEGAL_ADDRESS)
        if len(values) == len(layout.COILS):
            if all(values):
                raise Refused(ExcCodes.ILLEGAL_VALUE)
            fan = 1 if values[0] else 0 if values[1] else None
        else:
            of_this = 1 - address
            fan = of_this if values[0] else None
            if fan is None and board.status is Status.ONLINE and self._held(board) != of_this:
                return  # it is off already; the other coil's hold is not this one's to end
        await self._ask(board, fan, self._seconds())

    async def _ask(self, board: Board, fan: int | None, seconds: int) -> None:
        name, args = "auto", {}
        if fan is not None:
            name, args = "override", {"fan": fan, "for_s": seconds}
        commands = self._gateway.core.commands
        response = await commands.request(board.device, name, args, self._who)
        if not response["ok"]:
            here = board.status is Status.ONLINE
            raise Refused(ExcCodes.DEVICE_FAILURE if here else ExcCodes.GATEWAY_NO_RESPONSE)
        self._gateway.asked[board.device] = (fan, time.time())

    def _board(self) -> Board:
        device = self._gateway.units.device(self._unit)
        if device is None:
            raise Refused(ExcCodes.GATEWAY_PATH_UNAVIABLE)
        board = self._gateway.core.registry.boards.get(device)
        if board is None:  # named in the settings, never seen
            raise Refused(ExcCodes.GATEWAY_NO_RESPONSE)
        return board

    def _seconds(self) -> int:
        device = self._gateway.units.device(self._unit) or ""
        return self._gateway.hold_s.get(device, self._gateway.config.hold_s)

    def _held(self, board: Board) -> int | None:
        """What a command holds the fan at: what was asked, until a reading tells."""
        fan, when = self._gateway.asked.get(board.device, (None, 0.0))
        if board.tel_at <= when and board.status is Status.ONLINE:
            return fan
        return layout.held(layout.view(board, time.time()))


def main(argv: list[str] | None = None) -> int:
    from host.bridge import config

    parser = argparse.ArgumentParser(
        prog="python -m host.gateways.modbus", description="Print the register map, and the units."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the bridge's settings")
    path = parser.parse_args(argv).config
    print("\n".join(layout.table()))
    if path is None:
        return 0
    try:
        settings = config.load(path, {})
    except StartError as error:
        print(f"fanwise modbus: {error}", file=sys.stderr)
        return 2
    named = next((p.settings.units for p in settings.gateways if p.name == Modbus.name), ())
    print("\n| unit | board |\n|---|---|")
    for unit, device in Units(dict(named), _kept(settings.store.path)).all():
        print(f"| {unit} | {device} |")
    return 0


def _kept(path: Path) -> dict[str, str]:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return dict(db.execute("SELECT name, value FROM notes WHERE gateway='modbus'"))
    except sqlite3.Error:
        return {}  # no store yet, or one of before there were notes


if __name__ == "__main__":
    sys.exit(main())
