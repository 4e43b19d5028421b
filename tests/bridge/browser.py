"""Headless Chromium for tests, through its debugging protocol."""

import base64
import contextlib
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.bridge.waiting import PATIENCE_S, eventually

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0",
]  # fmt: skip

# What an expression brings that a new page overtook.
BETWEEN_PAGES = ("context was destroyed", "navigated or closed", "Cannot find default execution")


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
            message = json.loads(self._socket.recv(timeout=PATIENCE_S))
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

    def wait_for(self, selector: str, timeout_s: float = PATIENCE_S) -> None:
        """Until `selector` matches an element. Raises AssertionError with the page's text."""
        self.until(f"document.querySelector({json.dumps(selector)}) !== null", timeout_s)

    def until(self, expression: str, timeout_s: float = PATIENCE_S) -> None:
        """Until it is true. Raises AssertionError with the page's text."""

        def true() -> bool:
            try:
                return bool(self.js(expression))
            except RuntimeError as error:
                if any(words in str(error) for words in BETWEEN_PAGES):
                    return False
                raise

        eventually(true, timeout_s, Shown(self, expression))

    def picture(self, path: Path, whole: bool = False) -> None:
        result = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(result["data"]))


class Shown:
    """What a page shows, for the words of a failure."""

    def __init__(self, page: Page, wanted: str) -> None:
        self._page, self._wanted = page, wanted

    def __str__(self) -> str:
        shown = str(self._page.js("document.body?.innerText"))[:1500]
        return f"{self._wanted} on the page: {self._page.errors}\n{shown}"


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
            target = eventually(lambda: _target(Path(profile)), what="Chromium has started")
            with connect(
                target, max_size=64 << 20, open_timeout=PATIENCE_S, ping_interval=None
            ) as socket:
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
                # An extension's pages are there once it is loaded, a moment after the first tab.
                eventually(lambda: "errorText" not in page.call("Page.navigate", url=url), what=url)
                yield page
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def extension_id(folder: Path) -> str:
    """The id Chromium gives an unpacked extension: its path's hash in the letters a to p."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    return "".join(chr(ord("a") + int(digit, 16)) for digit in digest)


def _target(profile: Path) -> str | None:
    """WebSocket address of the first tab; None if there is none yet."""
    import urllib.request

    with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
        port = int((profile / "DevToolsActivePort").read_text().split()[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=20) as answer:
            pages = json.load(answer)
        return next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
    return None
