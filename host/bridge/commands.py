"""Commands to boards: checked, by role too, sent with a transaction id, answered, audited."""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from host.bridge import audit
from host.bridge.errors import CommandRefused, StoreBusy
from host.bridge.logs import event
from host.bridge.store import Store
from host.bridge.users import Role, Who
from host.bridge.writer import Writer

LOG = logging.getLogger("fanwise.commands")
TIMEOUT_S = 10.0
MAX_ID = 32
MAX_OPEN = 64
# A broker may deliver a command twice; within this time its id gets the first answer again.
REMEMBER_S = 600.0
REMEMBER = 256

Response = dict[str, Any]
# name -> argument -> (lowest, highest)
COMMANDS: dict[str, dict[str, tuple[int, int]]] = {
    "override": {"fan": (0, 1), "for_s": (1, 86400)},
    "auto": {},
    "explain": {},
    "rebirth": {},
    "ping": {},
    "set_limit": {"limit_mc": (0, 150_000)},
    "reboot": {},
    "self-test": {},
}
# The others need an operator.
FOR_ADMINS = ("set_limit", "reboot")


def allowed(name: str, role: Role) -> bool:
    """Whether a role may give a command; the board's interlocks hold for everyone."""
    return role >= (Role.ADMIN if name in FOR_ADMINS else Role.OPERATOR)


def check(name: object, args: object) -> dict[str, int]:
    """The arguments of a well-formed command. Raises CommandRefused."""
    if not isinstance(name, str) or name not in COMMANDS:
        raise CommandRefused(f"unknown command; there are: {', '.join(COMMANDS)}")
    expected = COMMANDS[name]
    if args is None:
        args = {}
    if not isinstance(args, dict) or set(args) != set(expected):
        wanted = ", ".join(expected) or "no arguments"
        raise CommandRefused(f"{name}: expected {wanted}")
    for key, (low, high) in expected.items():
        value = args[key]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise CommandRefused(f"{name}: {key} must be an integer from {low} to {high}")
    return dict(args)


class Commands:
    def __init__(
        self, send: Callable[[str, dict[str, Any]], bool], writer: Writer, store: Store
    ) -> None:
        """send(device, frame): False if no link speaks for the device or it does not read."""
        self._send = send
        self._writer = writer
        self._store = store
        self._open: dict[tuple[str, str], asyncio.Future[Response]] = {}
        self._under_way: set[asyncio.Task[Response]] = set()
        self._answered: OrderedDict[tuple[str, str], tuple[float, Response]] = OrderedDict()

    async def request(
        self, device: str, name: object, args: object, who: Who, txn: object = None
    ) -> Response:
        """Send a command for `who` and wait for the board's answer: {"id", "ok", "msg"?, "data"?}.

        Never raises for what a user or board did: `ok` is false and `msg` says why. Who asks may be
        cancelled, because a client went away; the command is carried through and audited.
        """
        work = asyncio.get_running_loop().create_task(self._request(device, name, args, who, txn))
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        return await asyncio.shield(work)

    async def _request(
        self, device: str, name: object, args: object, who: Who, txn: object
    ) -> Response:
        if txn is None:
            txn = secrets.token_hex(8)
        if not isinstance(txn, str) or not 0 < len(txn) <= MAX_ID or not txn.isprintable():
            return _failed("", f"id: expected printable text of 1 to {MAX_ID} characters")
        key = (device, txn)
        if key in self._open:
            return await asyncio.shield(self._open[key])
        known = self._answered.get(key)
        if known and time.monotonic() - known[0] < REMEMBER_S:
            return known[1]
        try:
            checked = check(name, args)
            if not allowed(str(name), who.role):
                raise CommandRefused(f"{name}: not allowed for a {who.role.name.lower()}")
        except CommandRefused as error:
            response = _failed(txn, str(error))
        else:
            response = await self._exchange(key, str(name), checked)
        self._answered[key] = (time.monotonic(), response)
        if len(self._answered) > REMEMBER:
            self._answered.popitem(last=False)
        await self._audit(who, device, txn, str(name)[:32], args, response)
        return response

    async def _exchange(self, key: tuple[str, str], name: str, args: dict[str, int]) -> Response:
        device, txn = key
        if len(self._open) >= MAX_OPEN:
            return _failed(txn, f"{MAX_OPEN} commands are waiting for answers; try again later")
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._open[key] = future
        try:
            if not self._send(device, {"t": "cmd", "id": txn, "name": name, "args": args}):
                response = _failed(txn, f"{device} is not connected")
            else:
                async with asyncio.timeout(TIMEOUT_S):
                    response = await asyncio.shield(future)
        except TimeoutError:
            response = _failed(txn, f"{device} gave no answer within {TIMEOUT_S:.0f} s")
        finally:
            del self._open[key]
        if not future.done():
            future.set_result(response)  # a second request with this id may be waiting for it
        return response

    def answered(self, device: str, frame: dict[str, Any]) -> None:
        """A `rsp` frame came; one that nobody waits for is a late or internal one."""
        future = self._open.get((device, frame["id"]))
        if future and not future.done():
            future.set_result({k: frame[k] for k in ("id", "ok", "msg", "data") if k in frame})

    async def _audit(
        self, who: Who, device: str, txn: str, name: str, args: object, response: Response
    ) -> None:
        ok, msg = response["ok"], str(response.get("msg") or "")
        fields = {"via": who.via, "who": who.name, "device": device, "name": name}
        fields |= {"ok": ok, "msg": msg}
        event(LOG, logging.INFO, "command", **fields)
        kept = args if len(str(args)) < 500 else "too long to keep"
        row = (who.via, who.name, device, txn, name, kept, ok, msg)
        try:
            await self._writer.call(audit.add, self._store, *row)
        except (StoreBusy, TypeError, ValueError) as error:
            event(LOG, logging.WARNING, "command not audited", reason=error)


def _failed(txn: str, msg: str) -> Response:
    return {"id": txn, "ok": False, "msg": msg}
