# mypy: disable-error-code="arg-type"
# asyncua has a class for each integer type of OPC UA, and takes plain ones.
"""The address space: Objects/Fanwise with an object per board, its methods and events.

Imports asyncua: only ever imported in the OPC UA thread.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from asyncua import Node, Server, ua
from asyncua.server.event_generator import EventGenerator

from host.bridge.logs import event
from host.bridge.records import Record
from host.bridge.users import Role, Who
from host.gateways import opcua_map
from host.gateways.opcua_guard import Caller, caller
from host.gateways.opcua_map import Snapshot

LOG = logging.getLogger("fanwise.opcua")
MAX_BOARDS = 500
TYPES = {name: getattr(ua.VariantType, name) for name in ("String", "Double", "Boolean", "UInt32")}
TYPES |= {"DateTime": ua.VariantType.DateTime, "Int64": ua.VariantType.Int64}
EMPTY = {"String": "", "Double": 0.0, "Boolean": False, "UInt32": 0, "String[]": []}

# (device, command, arguments, who) -> answer of the board, and whether the board is there
Ask = Callable[[str, str, dict[str, int], Who], Awaitable[tuple[bool, bool, str]]]


class Space:
    def __init__(self, server: Server, ask: Ask) -> None:
        self._server = server
        self._ask = ask
        self._boards: dict[str, Node] = {}
        self._shown: dict[str, tuple[Any, int]] = {}
        self._types: dict[str, Node] = {}
        self._generators: dict[tuple[str, str], EventGenerator] = {}
        self._full_told = False
        # Boards and generators are made by whichever of `update` and `tell` needs them first.
        self._busy = asyncio.Lock()

    async def build(self) -> None:
        self._index = await self._server.register_namespace(opcua_map.NAMESPACE)
        for name, fields in opcua_map.EVENTS.items():
            properties: list[tuple[Any, ...]] = [(f, TYPES[t]) for f, t in fields.items()]
            self._types[name] = await self._server.create_custom_event_type(
                self._index, name, properties=properties
            )
        where = (self._id("Fanwise"), ua.QualifiedName("Fanwise", self._index))
        self._folder = await self._server.get_objects_node().add_folder(*where)

    async def update(self, snapshots: list[Snapshot]) -> None:
        """Show boards as they are now; what did not change is not written."""
        async with self._busy:
            for each in snapshots:
                if await self._known(each.device):
                    for variable in opcua_map.VARIABLES:
                        await self._show(each, variable)

    async def _show(self, of: Snapshot, variable: opcua_map.Variable) -> None:
        value = of.values[variable.name]
        status = ua.StatusCodes.Good
        if value is None:
            away = variable.reading and not of.live
            status = ua.StatusCodes.BadNoCommunication if away else ua.StatusCodes.BadNoData
        key = f"{of.device}.{variable.name}"
        if self._shown.get(key) == (value, status):
            return
        self._shown[key] = (value, status)
        read = variable.reading and of.at
        data = ua.DataValue(
            None if value is None else _variant(variable.type, value),
            StatusCode=ua.StatusCode(status),
            SourceTimestamp=datetime.fromtimestamp(of.at, UTC) if read else datetime.now(UTC),
        )
        await self._server.write_attribute_value(self._id(key), data)

    async def _known(self, device: str) -> bool:
        """Whether the board is shown; it is from now on if there is room."""
        if device in self._boards:
            return True
        if len(self._boards) < MAX_BOARDS:
            await self._add(device)
            return True
        if not self._full_told:
            self._full_told = True
            event(LOG, logging.WARNING, "more boards than OPC UA shows", most=MAX_BOARDS)
        return False

    async def _add(self, device: str) -> None:
        board = await self._folder.add_object(self._id(device), self._name(device))
        for each in opcua_map.VARIABLES:
            await self._add_variable(board, f"{device}.{each.name}", each)
        inputs = [_argument("Fan", "Boolean"), _argument("Seconds", "UInt32")]
        for name, run, arguments in (
            ("Override", self._override, inputs),
            ("Auto", self._auto, []),
        ):
            where = (self._id(f"{device}.{name}"), self._name(name))
            await board.add_method(*where, run, arguments, [_argument("Message", "String")])
        self._boards[device] = board

    async def _add_variable(self, board: Node, key: str, of: opcua_map.Variable) -> None:
        kind = of.type.removesuffix("[]")
        value = datetime.fromtimestamp(0, UTC) if kind == "DateTime" else EMPTY[of.type]
        node = await board.add_variable(
            self._id(key), self._name(of.name), _variant(of.type, value)
        )
        if of.unit:
            unit = ua.Variant(_unit(of.unit), ua.VariantType.ExtensionObject)
            where = (self._id(f"{key}.EngineeringUnits"), ua.QualifiedName("EngineeringUnits", 0))
            await node.add_property(*where, unit, datatype=ua.NodeId(ua.ObjectIds.EUInformation))

    async def tell(self, records: list[Record]) -> None:
        """Events of records, to those subscribed to the server or to the board."""
        async with self._busy:
            for record in records:
                if await self._known(record.device):
                    await self._tell(record)

    async def _tell(self, record: Record) -> None:
        kind, severity, fields = opcua_map.event(record)
        fields["Record"] = json.dumps(record.body, ensure_ascii=False)
        for emitter in ("", record.device):
            generator = await self._generator(kind, emitter)
            generator.event.SourceNode = self._boards[record.device].nodeid
            generator.event.SourceName = record.device
            generator.event.Severity = severity
            for name, value in fields.items():
                setattr(generator.event, name, value)
            when = datetime.fromtimestamp(record.at, UTC)
            await generator.trigger(when, record.body["why"] or kind)

    async def _generator(self, kind: str, device: str) -> EventGenerator:
        known = self._generators.get((kind, device))
        if known is None:
            emitter = self._boards[device] if device else self._server.nodes.server
            known = await self._server.get_event_generator(self._types[kind], emitter)
            self._generators[(kind, device)] = known
        return known

    # -- methods -----------------------------------------------------------------------------------

    async def _override(self, parent: ua.NodeId, *given: ua.Variant) -> Any:
        kinds = [each.VariantType for each in given]
        if kinds != [ua.VariantType.Boolean, ua.VariantType.UInt32]:
            return ua.StatusCode(_wrong(given, 2))
        fan, seconds = (each.Value for each in given)
        if isinstance(fan, list) or isinstance(seconds, list):
            return ua.StatusCode(ua.StatusCodes.BadTypeMismatch)
        if not 1 <= seconds <= 86400:
            return ua.StatusCode(ua.StatusCodes.BadOutOfRange)
        return await self._command(parent, "override", {"fan": int(fan), "for_s": seconds})

    async def _auto(self, parent: ua.NodeId, *given: ua.Variant) -> Any:
        if given:
            return ua.StatusCode(_wrong(given, 0))
        return await self._command(parent, "auto", {})

    async def _command(self, parent: ua.NodeId, name: str, args: dict[str, int]) -> Any:
        device = parent.Identifier
        if not isinstance(device, str) or parent != self._id(device) or device not in self._boards:
            return ua.StatusCode(ua.StatusCodes.BadMethodInvalid)
        who: Caller = caller.get()
        ok, there, msg = await self._ask(
            device, name, args, Who(who.name or "", who.allowed, "opcua")
        )
        if ok:
            return [ua.Variant(msg, ua.VariantType.String)]
        if who.allowed < Role.OPERATOR:
            return ua.StatusCode(ua.StatusCodes.BadUserAccessDenied)
        status = ua.StatusCodes.BadInvalidState if there else ua.StatusCodes.BadNoCommunication
        return ua.StatusCode(status)

    def _id(self, text: str) -> ua.NodeId:
        return ua.NodeId(text, self._index)

    def _name(self, text: str) -> ua.QualifiedName:
        return ua.QualifiedName(text, self._index)


def _wrong(given: tuple[ua.Variant, ...], expected: int) -> int:
    if len(given) > expected:
        return ua.StatusCodes.BadTooManyArguments
    missing = len(given) < expected
    return ua.StatusCodes.BadArgumentsMissing if missing else ua.StatusCodes.BadTypeMismatch


def _variant(kind: str, value: Any) -> ua.Variant:
    if kind == "DateTime" and not isinstance(value, datetime):
        value = datetime.fromtimestamp(value, UTC)
    return ua.Variant(value, TYPES[kind.removesuffix("[]")], is_array=kind.endswith("[]"))


def _argument(name: str, kind: str) -> ua.Argument:
    made = ua.Argument()
    made.Name = name
    made.DataType = ua.NodeId(getattr(ua.ObjectIds, kind))
    made.ValueRank = -1
    return made


def _unit(unit: str) -> ua.EUInformation:
    made = ua.EUInformation()
    made.NamespaceUri = "http://www.opcfoundation.org/UA/units/un/cefact"
    made.UnitId = int.from_bytes(opcua_map.UNECE[unit].encode())
    made.DisplayName = ua.LocalizedText(unit)
    return made
