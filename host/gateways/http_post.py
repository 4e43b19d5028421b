"""An HTTP POST that is over in time, whatever the other side does.

A socket's timeout begins anew with every byte, so a server that drips would hold a thread for ever,
and the end of the bridge with it. Here a request has a daemon thread, and its socket is shut when
the time is up. Redirects are not followed: they would carry signed bodies to a place nobody
configured.
"""

import asyncio
import socket
import urllib.error
import urllib.request
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any

from host.gateways.daemon_thread import in_daemon_thread


class Unanswered(Exception):
    """No answer; why."""


async def post(url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> HTTPStatus:
    """The answer's status, 502 for one that is none. Raises Unanswered."""
    sockets: list[socket.socket] = []
    request = urllib.request.Request(url, body, headers)
    try:
        async with asyncio.timeout(timeout_s):
            return await in_daemon_thread("post", partial(_asked, request, timeout_s, sockets))
    except TimeoutError:
        raise Unanswered(f"no answer within {timeout_s:g} s") from None
    except (OSError, HTTPException) as error:  # URLError is an OSError
        raise Unanswered(getattr(error, "reason", None) or error) from error
    finally:
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already, as usual


def _asked(
    request: urllib.request.Request, timeout_s: float, sockets: list[socket.socket]
) -> HTTPStatus:
    opener = urllib.request.build_opener(_NoRedirects, _Http(sockets), _Https(sockets))
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return _status(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return _status(error.code)


def _status(code: int) -> HTTPStatus:
    try:
        return HTTPStatus(code)
    except ValueError:
        return HTTPStatus.BAD_GATEWAY


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Told(HTTPConnection):
    """Says which socket it uses."""

    def __init__(self, *args: Any, told: list[socket.socket], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told = told

    def connect(self) -> None:
        super().connect()
        self._told.append(self.sock)


class _ToldSecure(_Told, HTTPSConnection):
    pass


class _Http(urllib.request.HTTPHandler):
    def __init__(self, told: list[socket.socket]) -> None:
        super().__init__()
        self._told = told

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(_Told, told=self._told), req)  # type: ignore[arg-type]


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, told: list[socket.socket]) -> None:
        super().__init__()
        self._told = told

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(_ToldSecure, told=self._told), req)  # type: ignore[arg-type]
