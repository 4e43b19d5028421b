"""Headless Chromium for tests, through its debugging protocol.

dump_dom(url, selector)        the page's HTML once `selector` matches
screenshot(url, path, size)    a PNG of the page
"""

import base64
import contextlib
import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0",
]  # fmt: skip


class Page:
    """One tab. `errors` holds what the page's console said of errors."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._id = 0
        self.errors: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._id += 1
        self._socket.send(json.dumps({"id": self._id, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=30))
            if message.get("id") == self._id:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif message.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def js(self, expression: str) -> Any:
        """Value of a JavaScript expression; promises are awaited."""
        options = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        result = self.call("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, selector: str, timeout_s: float = 60) -> None:
        """Until `selector` matches an element. Raises TimeoutError with the page's text."""
        until = time.monotonic() + timeout_s
        while not self.js(f"document.querySelector({json.dumps(selector)}) !== null"):
            if time.monotonic() > until:
                shown = str(self.js("document.body.innerText"))[:1500]
                raise TimeoutError(f"no {selector} on the page: {self.errors}\n{shown}")
            time.sleep(0.1)

    def picture(self, path: Path, whole: bool = False) -> None:
        result = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(result["data"]))


@contextlib.contextmanager
def browse(
    url: str,
    size: tuple[int, int] = (1280, 900),
    dark: bool = False,
    extension: Path | None = None,
) -> Iterator[Page]:
    """A page at `url` in a Chromium of its own, with an unpacked extension if one is named."""
    assert CHROMIUM, "Chromium is not installed"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}"]
        if extension:
            command += [f"--load-extension={extension}", f"--disable-extensions-except={extension}"]
        command.append("about:blank")
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        try:
            with connect(_target(Path(profile)), max_size=64 << 20, open_timeout=20) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log"):
                    page.call(f"{domain}.enable")
                width, height = size
                page.call(
                    "Emulation.setDeviceMetricsOverride",
                    width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
                )  # fmt: skip
                scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
                page.call("Emulation.setEmulatedMedia", features=[scheme])
                page.call("Page.navigate", url=url)
                yield page
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def extension_id(folder: Path) -> str:
    """The id Chromium gives an unpacked extension: its path's hash in the letters a to p."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    return "".join(chr(ord("a") + int(digit, 16)) for digit in digest)


def _target(profile: Path) -> str:
    """WebSocket address of the first tab."""
    import urllib.request

    chosen = profile / "DevToolsActivePort"
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
            port = int(chosen.read_text().split()[0])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                pages = json.load(answer)
            return next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
        time.sleep(0.1)
    raise TimeoutError("Chromium did not start")


def dump_dom(url: str, wait_for_selector: str = "body", timeout_s: float = 60) -> str:
    with browse(url) as page:
        page.wait_for(wait_for_selector, timeout_s)
        return page.js("document.documentElement.outerHTML")


def screenshot(
    url: str,
    path: Path,
    size: tuple[int, int] = (1280, 900),
    dark: bool = False,
    wait_for_selector: str = "body",
) -> None:
    with browse(url, size, dark) as page:
        page.wait_for(wait_for_selector)
        time.sleep(0.8)  # the chart draws in the next animation frames
        page.picture(path)
