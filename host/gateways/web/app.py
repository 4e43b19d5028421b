"""Routes of the live page and its API."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from host.bridge import audit
from host.bridge.commands import COMMANDS, allowed
from host.bridge.core import Core
from host.bridge.errors import StoreBusy
from host.bridge.logs import event
from host.bridge.validate import DEVICE
from host.gateways.web import events, export, openapi, views
from host.gateways.web.installer import Installer
from host.gateways.web.security import (
    COOKIE,
    MAX_BODY_BYTES,
    Guard,
    Sessions,
    address_of,
    problem,
)
from host.gateways.web.settings import WebConfig

STATIC = Path(__file__).with_name("static")
MAX_LIMIT = 500
MAX_EXPORTED = 1_000_000
MAX_HOURS = 24 * 366
MAX_STREAMS = 64
BODY_S = 10.0
INT64 = 2**63 - 1
LOG = logging.getLogger("fanwise.web")


class Pages:
    """Handlers; one per route."""

    def __init__(self, core: Core, sessions: Sessions, stopping: asyncio.Event) -> None:
        self._core = core
        self._sessions = sessions
        self._stopping = stopping
        self._streams = 0
        self._shared = events.Shared(core)

    async def index(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def login_page(self, request: Request) -> Response:
        if not self._sessions.required:
            return RedirectResponse("/", HTTPStatus.SEE_OTHER)
        return FileResponse(STATIC / "login.html")

    async def login(self, request: Request) -> Response:
        form = parse_qs((await body_of(request)).decode("utf-8", "replace"))
        user = self._sessions.users.by_token(form.get("token", [""])[0].strip())
        if user is None:
            await self._sessions.guesses.wrong(request)
            return RedirectResponse("/login?wrong=1", HTTPStatus.SEE_OTHER)
        event(LOG, logging.INFO, "login", who=user.name, address=address_of(request))
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        session = self._sessions.open(user)
        response.set_cookie(COOKIE, session, httponly=True, samesite="strict", path="/")
        return response

    async def session(self, request: Request) -> Response:
        who = self._sessions.who(request)
        commands = [name for name in COMMANDS if allowed(name, who.role)]
        csrf = self._sessions.csrf(request)
        facts = {"user": who.name, "role": who.role.name.lower(), "commands": commands}
        return JSONResponse({"csrf": csrf, **facts})

    async def events(self, request: Request) -> Response:
        if self._streams >= MAX_STREAMS:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_STREAMS} pages are open already")

        async def body() -> Any:
            self._streams += 1
            try:
                async for chunk in events.stream(self._core, self._shared, self._stopping):
                    yield chunk
            finally:
                self._streams -= 1

        return StreamingResponse(body(), media_type="text/event-stream")

    async def boards(self, request: Request) -> Response:
        pieces = events.with_turns(views.boards(self._core))
        return StreamingResponse(pieces, media_type="application/json")

    async def status(self, request: Request) -> Response:
        boards = self._core.registry.boards
        device = request.path_params.get("device")
        if device is None:
            pieces = events.with_turns(views.statuses(self._core))
            return StreamingResponse(pieces, media_type="application/json")
        if device not in boards:
            return problem(HTTPStatus.NOT_FOUND, "no such board")
        return JSONResponse(views.status(boards[device]))

    async def logout(self, request: Request) -> Response:
        if not self._sessions.same_origin(request):
            return problem(HTTPStatus.FORBIDDEN, "another page asked for this")
        self._sessions.close(request)
        response = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        response.delete_cookie(COOKIE, path="/")
        return response

    async def history(self, request: Request) -> Response:
        board = self._core.registry.boards.get(request.path_params["device"])
        if board is None:
            return problem(HTTPStatus.NOT_FOUND, "no such board")
        return JSONResponse({"points": board.history.points()})

    async def decisions(self, request: Request) -> Response:
        return await self._records(request, "dec", "decisions")

    async def alarms(self, request: Request) -> Response:
        return await self._records(request, "alarm", "alarms")

    async def _records(self, request: Request, kind: str, name: str) -> Response:
        try:
            count = number(request, "limit", 50, MAX_LIMIT)
            last = number(request, "before", 0, INT64) or None
            device = device_of(request)
        except ValueError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        core = self._core
        found = await core.writer.call(core.store.records, kind, device, count, last)
        return JSONResponse({name: [views.record(each) for each in found]})

    async def decision(self, request: Request) -> Response:
        device, boot, seq = (request.path_params[key] for key in ("device", "boot", "seq"))
        if max(boot, seq) > INT64:
            return problem(HTTPStatus.NOT_FOUND, "no such record")
        found = await self._core.writer.call(self._core.store.record, device, boot, seq)
        if found is None:
            return problem(HTTPStatus.NOT_FOUND, "no such record")
        return JSONResponse(views.record(found))

    async def decisions_csv(self, request: Request) -> Response:
        try:
            count = number(request, "limit", 10_000, MAX_EXPORTED)
            device = device_of(request)
        except ValueError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        return table("decisions", export.decisions(self._core, device, count))

    async def telemetry_csv(self, request: Request) -> Response:
        try:
            hours = number(request, "hours", 24, MAX_HOURS)
            count = number(request, "limit", 10_000, MAX_EXPORTED)
            device = device_of(request)
        except ValueError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        if device is None:
            return problem(HTTPStatus.BAD_REQUEST, "device: say which board's readings")
        since = int(time.time()) - hours * 3600
        return table("telemetry", export.telemetry(self._core, device, since, count))

    async def commands(self, request: Request) -> Response:
        core = self._core
        if request.method == "GET":
            asked = await core.writer.call(audit.newest, core.store, 50)
            return JSONResponse({"commands": asked})
        if not self._sessions.may_command(request):
            return problem(HTTPStatus.FORBIDDEN, "the page is out of date; load it again")
        try:
            asked = json.loads(await body_of(request))
            device, name = asked["device"], asked["name"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return problem(HTTPStatus.BAD_REQUEST, 'expected {"device":..., "name":..., "args":{}}')
        if not isinstance(device, str) or device not in core.registry.boards:
            return problem(HTTPStatus.NOT_FOUND, "no such board")
        args, txn = asked.get("args"), asked.get("id")
        answer = await core.commands.request(device, name, args, self._sessions.who(request), txn)
        return JSONResponse(answer, HTTPStatus.OK if answer["ok"] else HTTPStatus.BAD_GATEWAY)

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(openapi.description())

    async def health(self, request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def metrics(self, request: Request) -> Response:
        # Only now: bridges that nobody scrapes do without the library.
        from host.gateways import prometheus

        return Response(await prometheus.metrics(self._core), media_type=prometheus.CONTENT_TYPE)

    async def ready(self, request: Request) -> Response:
        """Ready: the store takes records. Boards come and go without changing that."""
        trouble = self._core.writer.problem
        status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK
        return JSONResponse({"ready": not trouble, "store": trouble or "ok"}, status)


async def body_of(request: Request) -> bytes:
    """Its body, which is small; from a client that does not send it in time a refusal."""
    try:
        async with asyncio.timeout(BODY_S):
            return (await request.body())[:MAX_BODY_BYTES]
    except TimeoutError:
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time") from None


def number(request: Request, key: str, default: int, most: int) -> int:
    """A number from 1 to `most` in the query. Raises ValueError with what to say."""
    text = request.query_params.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 1 <= int(text) <= most):
        raise ValueError(f"{key}: expected a whole number from 1 to {most}")
    return int(text)


def device_of(request: Request) -> str | None:
    """The board named in the query. Raises ValueError with what to say."""
    device = request.query_params.get("device")
    if device is not None and not DEVICE.fullmatch(device):
        raise ValueError("device: expected 1 to 32 of a-z, 0-9, _ and -")
    return device


def table(name: str, rows: AsyncIterator[bytes]) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(HTTPStatus(error.status_code), error.detail, error.headers)


async def _busy(request: Request, error: Exception) -> Response:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"store: {error}")


def make_app(core: Core, config: WebConfig, stopping: asyncio.Event) -> Starlette:
    sessions = Sessions(config.users)
    pages = Pages(core, sessions, stopping)
    get = ["GET"]
    routes = [
        Route("/", pages.index, methods=get),
        Route("/login", pages.login_page, methods=get),
        Route("/login", pages.login, methods=["POST"]),
        Route("/logout", pages.logout, methods=["POST"]),
        Route("/events", pages.events, methods=get),
        Route("/health", pages.health, methods=get),
        Route("/ready", pages.ready, methods=get),
        Route("/metrics", pages.metrics, methods=get),
        Route("/api/session", pages.session, methods=get),
        Route("/api/boards", pages.boards, methods=get),
        Route("/api/status", pages.status, methods=get),
        Route("/api/status/{device}", pages.status, methods=get),
        Route("/api/history/{device}", pages.history, methods=get),
        Route("/api/decisions", pages.decisions, methods=get),
        Route("/api/decisions/{device}/{boot:int}/{seq:int}", pages.decision, methods=get),
        Route("/api/alarms", pages.alarms, methods=get),
        Route("/api/decisions.csv", pages.decisions_csv, methods=get),
        Route("/api/telemetry.csv", pages.telemetry_csv, methods=get),
        Route("/api/openapi.json", pages.openapi, methods=get),
        Route("/api/commands", pages.commands, methods=["GET", "POST"]),
        *Installer().routes,
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    guard = Middleware(Guard, sessions=sessions, config=config)
    return Starlette(
        routes=routes,
        middleware=[guard],
        exception_handlers={StoreBusy: _busy, HTTPException: _http},
    )
