"""Fetches over HTTPS: certificates checked, sizes and times bounded, proxies of the environment."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from host.devices.console import Console
from host.devices.errors import DownloadError

ANSWER_TIMEOUT_S = 30
TOTAL_TIMEOUT_S = 600
_CHUNK = 1 << 16


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str):  # type: ignore[no-untyped-def]
        if not newurl.startswith("https://"):
            raise DownloadError(f"{req.full_url} leads to {newurl[:200]!r}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _opened(url: str, context: ssl.SSLContext | None) -> Iterator[http.client.HTTPResponse]:
    # A context of one's own is for certificates of one's own; the default one checks the system's.
    if not url.startswith("https://"):
        raise DownloadError(f"{url} is not https")
    handler = urllib.request.HTTPSHandler(context=context or ssl.create_default_context())
    opener = urllib.request.build_opener(handler, _HttpsOnly())
    request = urllib.request.Request(url, headers={"User-Agent": "fanwise"})
    try:
        with opener.open(request, timeout=ANSWER_TIMEOUT_S) as response:
            yield response
    except urllib.error.HTTPError as error:
        raise DownloadError(f"{url}: the server says {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise DownloadError(f"{url}: {_words(error.reason)}") from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url}: {_words(error)}") from error


def _words(reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted ({reason.verify_message})"
    return str(reason) or type(reason).__name__


def _copy(response: IO[bytes], limit: int, url: str, take: Callable[[bytes], object]) -> None:
    deadline = time.monotonic() + TOTAL_TIMEOUT_S
    so_far = 0
    while chunk := response.read(_CHUNK):
        so_far += len(chunk)
        if so_far > limit:
            raise DownloadError(f"{url}: more than {limit:,} bytes, so it is not what it should be")
        if time.monotonic() > deadline:
            raise DownloadError(f"{url}: not done after {TOTAL_TIMEOUT_S} s")
        take(chunk)


def text(url: str, limit: int, context: ssl.SSLContext | None = None) -> str:
    """A page of at most `limit` bytes. Raises DownloadError."""
    body = bytearray()
    with _opened(url, context) as response:
        _copy(response, limit, url, body.extend)
    return body.decode("utf-8", "replace")


def to_file(
    url: str, path: Path, limit: int, console: Console, context: ssl.SSLContext | None = None
) -> str:
    """Fetch into `path`, which appears whole or not at all; its SHA-256. Raises DownloadError."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(url, context) as response, part.open("wb") as out:
            total = int(response.headers.get("Content-Length") or 0)
            with console.progress(path.name, total) as done:
                _copy(response, limit, url, _Sink(out, digest.update, done))
            if total and out.tell() != total:
                raise DownloadError(f"{url}: cut off after {out.tell():,} of {total:,} bytes")
        part.replace(path)
    except OSError as error:
        raise DownloadError(f"{path} cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return digest.hexdigest()


class _Sink:
    def __init__(
        self, out: IO[bytes], hash_it: Callable[[bytes], object], done: Callable[[int], None]
    ) -> None:
        self._out, self._hash, self._done = out, hash_it, done

    def __call__(self, chunk: bytes) -> None:
        self._out.write(chunk)
        self._hash(chunk)
        self._done(self._out.tell())
