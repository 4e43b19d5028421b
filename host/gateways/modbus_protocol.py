"""Modbus requests: decoded and encoded by pymodbus, answered from whatever an Access gives.

pymodbus' own server keeps one request per connection in hand and loses a second that comes while a
board is asked; its copies of registers would have to be written at every reading. So only its
messages are used here.
"""

import logging
from typing import Any, Protocol, cast

from pymodbus.constants import ExcCodes
from pymodbus.datastore import ModbusServerContext
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.device import ModbusControlBlock

from host.bridge import VERSION
from host.bridge.logs import event

LOG = logging.getLogger("fanwise.modbus")
READ_COILS, READ_INPUTS, READ_HOLDING, READ_REGISTERS = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16
IDENTIFY = 43
READS = (READ_COILS, READ_INPUTS, READ_HOLDING, READ_REGISTERS)
WRITES = (WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS)
FIVE_BYTES = (*READS, WRITE_COIL, WRITE_REGISTER)
COIL_VALUES = (b"\x00\x00", b"\xff\x00")

Values = list[int] | list[bool]


class Refused(Exception):
    """A request that gets an exception response."""

    def __init__(self, code: ExcCodes) -> None:
        super().__init__(code.name)
        self.code = code


class Access(Protocol):
    """What a request may read and write. Both raise Refused."""

    def check(self, function: int) -> None: ...
    def read(self, function: int) -> dict[int, int] | dict[int, bool]: ...
    async def write(self, function: int, address: int, values: Values) -> None: ...


class _Context:
    """What pymodbus asks for values, and gives what is to be written. Of one request."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._written: Values = []

    async def async_getValues(
        self, unit: int, function: int, address: int, count: int
    ) -> list[Any] | ExcCodes:
        if self._written:  # a single write is confirmed by what it said
            return self._written
        try:
            known = self._access.read(function)
            wanted = range(address, address + count)
            if any(each not in known for each in wanted):
                return ExcCodes.ILLEGAL_ADDRESS
            return [known[each] for each in wanted]
        except Refused as refused:
            return refused.code

    async def async_setValues(
        self, unit: int, function: int, address: int, values: Values
    ) -> ExcCodes | None:
        try:
            await self._access.write(function, address, values)
        except Refused as refused:
            return refused.code
        self._written = values
        return None


def identify() -> None:
    """What function 43 tells of us."""
    identity = ModbusControlBlock().Identity
    identity.VendorName = "Fanwise"
    identity.ProductCode = identity.ProductName = "Fanwise bridge"
    identity.MajorMinorRevision = VERSION


async def answer(access: Access, unit: int, request: bytes) -> bytes:
    """The response to a request; of whatever bytes, an exception response if nothing else fits."""
    function = request[0]
    try:
        pdu = _decoded(function, request)
        access.check(function)
        response = await pdu.datastore_update(cast(ModbusServerContext, _Context(access)), unit)
    except Refused as refused:
        response = ExceptionResponse(function, refused.code)
    except Exception as error:  # of pymodbus, on bytes nobody thought of
        event(LOG, logging.ERROR, "modbus request not answered", reason=repr(error))
        response = ExceptionResponse(function, ExcCodes.DEVICE_FAILURE)
    return bytes((response.function_code & 0xFF,)) + response.encode()


_decoder = DecodePDU(True)


def _decoded(function: int, request: bytes) -> ModbusPDU:
    if function not in (*READS, *WRITES, IDENTIFY):
        raise Refused(ExcCodes.ILLEGAL_FUNCTION)
    if function in FIVE_BYTES and len(request) != 5:
        raise Refused(ExcCodes.ILLEGAL_VALUE)
    if function == WRITE_COIL and request[3:] not in COIL_VALUES:
        raise Refused(ExcCodes.ILLEGAL_VALUE)
    if function == IDENTIFY:
        if request[1:2] != b"\x0e":
            raise Refused(ExcCodes.ILLEGAL_FUNCTION)
        if len(request) != 4 or not 1 <= request[2] <= 4:
            raise Refused(ExcCodes.ILLEGAL_VALUE)
    pdu = _decoder.decode(request)
    if pdu is None:
        raise Refused(ExcCodes.ILLEGAL_VALUE)
    return pdu
