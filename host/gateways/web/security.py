"""Who may talk to the page: host check, login, CSRF, and headers that forbid foreign content."""

import asyncio
import hmac
import ipaddress
import logging
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from host.bridge.logs import event
from host.bridge.users import Role, User, Users, Who
from host.gateways.web.settings import WebConfig

LOG = logging.getLogger("fanwise.web")
COOKIE = "fanwise_session"
CSRF_HEADER = "x-fanwise-csrf"
MAX_SESSIONS = 64
MAX_ADDRESSES = 1024
MAX_BODY_BYTES = 4096
WRONG_S = 0.5
# What other people's pages may read, if [web] embed names their origin.
EMBEDDED = "/static/cooling-status.js"
STATUS = "/api/status"
OPEN_PATHS = ("/login", "/health", "/ready")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

CROSS_ORIGIN = {"Cross-Origin-Resource-Policy": "cross-origin"}


class Guesses:
    """Wrong tokens: each is answered late, and told of in the log."""

    def __init__(self) -> None:
        self._count = 0

    async def wrong(self, request: Request) -> None:
        self._count += 1
        if self._count & (self._count - 1) == 0:  # 1st, 2nd, 4th, 8th ...
            fields = {"address": address_of(request), "count": self._count}
            event(LOG, logging.WARNING, "wrong token", **fields)
        await asyncio.sleep(WRONG_S)


class Sessions:
    """Logins, in memory: a restart of the bridge logs everybody out.

    Without users the page is open to all, which the configuration allows on loopback only.
    """

    def __init__(self, users: tuple[User, ...]) -> None:
        self.users = Users(users)
        self._csrf = secrets.token_urlsafe(24)
        self._sessions: OrderedDict[str, tuple[User, str]] = OrderedDict()
        self.guesses = Guesses()

    @property
    def required(self) -> bool:
        return bool(self.users.all)

    def open(self, user: User) -> str:
        """Id of a new session, for the cookie."""
        session = secrets.token_urlsafe(24)
        self._sessions[session] = (user, secrets.token_urlsafe(24))
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def bearer(self, headers: Headers) -> User | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self.users.by_token(token.strip()) if scheme.lower() == "bearer" else None

    def wrong_token(self, request: Request) -> bool:
        """Whether it brings a token that is nobody's."""
        given = "authorization" in request.headers
        return self.required and given and self.bearer(request.headers) is None

    def admitted(self, request: Request) -> bool:
        return not self.required or self._user(request) is not None

    def who(self, request: Request) -> Who:
        """Who asks. On an open page everybody is this machine's admin."""
        user = self._user(request)
        if user:
            return Who(user.name, user.role, "web")
        return Who("local", Role.VIEWER if self.required else Role.ADMIN, "web")

    def csrf(self, request: Request) -> str:
        """The token a page must send along with commands."""
        if not self.required:
            return self._csrf
        session = self._session(request)
        return session[1] if session else ""

    def may_command(self, request: Request) -> bool:
        """A bearer token proves itself; a browser must show it read our page, from our origin."""
        if self.bearer(request.headers):
            return True
        if not self.same_origin(request):
            return False
        expected = self.csrf(request)
        given = request.headers.get(CSRF_HEADER, "")
        return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())

    def same_origin(self, request: Request) -> bool:
        """Whether a browser says the request comes from a page of ours; programs say nothing."""
        # A form's origin is "null" where no referrer is sent; this header no page can forge.
        if request.headers.get("sec-fetch-site") == "same-origin":
            return True
        origin = request.headers.get("origin")
        return origin is None or origin.partition("://")[2] == request.headers.get("host")

    def close(self, request: Request) -> None:
        """Log out."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)

    def _session(self, request: Request) -> tuple[User, str] | None:
        return self._sessions.get(request.cookies.get(COOKIE, ""))

    def _user(self, request: Request) -> User | None:
        session = self._session(request)
        return session[0] if session else self.bearer(request.headers)


class Rate:
    """How many requests that change something one address may make: `per_s` in the long run."""

    def __init__(self, per_s: float = 5.0, burst: float = 30.0) -> None:
        self._per_s, self._burst = per_s, burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        left, at = self._left.pop(address, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        allowed = left >= 1
        self._left[address] = (left - allowed, now)
        if len(self._left) > MAX_ADDRESSES:
            self._left.popitem(last=False)
        return allowed


class Guard:
    """ASGI middleware: refuses foreign Host headers, big bodies and strangers; adds HEADERS."""

    def __init__(self, app: ASGIApp, sessions: Sessions, config: WebConfig) -> None:
        self._app = app
        self._sessions = sessions
        name = socket.gethostname().lower()
        self._embed = config.embed
        self._rate = Rate()
        self._hosts = {"localhost", config.host.lower(), name, f"{name}.local", *config.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        request = Request(scope)
        shared = self._shared(request)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for key, value in (HEADERS | shared).items():
                    headers[key] = value
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        refusal = self._refuse(request)
        if self._sessions.wrong_token(request):
            await self._sessions.guesses.wrong(request)
        await (refusal or self._app)(scope, receive, guarded)

    def _shared(self, request: Request) -> dict[str, str]:
        """Headers that let a page of a configured origin read what it may (CORS)."""
        path, origin = request.url.path, request.headers.get("origin", "")
        if path == EMBEDDED and self._embed:
            return {"Access-Control-Allow-Origin": "*", **CROSS_ORIGIN}
        if path.startswith(STATUS) and origin in self._embed:
            allow = {"Access-Control-Allow-Origin": origin, "Vary": "Origin", **CROSS_ORIGIN}
            if request.method == "OPTIONS":
                allow["Access-Control-Allow-Headers"] = "Authorization"
                allow["Access-Control-Max-Age"] = "600"
            return allow
        return {}

    def _refuse(self, request: Request) -> Response | None:
        if not self._known_host(request.headers.get("host", "")):
            return problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this name is not one of the bridge's; add it to [web] hosts",
            )
        length = request.headers.get("content-length", "0")
        chunked = "transfer-encoding" in request.headers
        if chunked or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_BODY_BYTES} bytes")
        if request.method == "POST" and not self._rate.allows(
            address_of(request), time.monotonic()
        ):
            return problem(HTTPStatus.TOO_MANY_REQUESTS, "slower, please", {"Retry-After": "1"})
        path = request.url.path
        if request.method == "OPTIONS" and path.startswith(STATUS):
            return Response(status_code=HTTPStatus.NO_CONTENT)
        public = path in OPEN_PATHS or path.startswith("/static/")
        if public or self._sessions.admitted(request):
            return None
        if path == "/":
            return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        return problem(HTTPStatus.UNAUTHORIZED, "log in at /login, or send Authorization: Bearer")

    def _known_host(self, header: str) -> bool:
        """A name an attacker points at this machine (DNS rebinding) is neither listed nor an IP."""
        name = header.lower()
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        else:
            name = name.partition(":")[0]
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def problem(
    status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"error": detail}, status, headers)
