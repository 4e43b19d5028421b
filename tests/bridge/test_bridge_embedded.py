"""The status element on somebody else's page, and the extension, in a real Chromium."""

import http.server
import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bridge import browser
from tests.bridge.conftest import ROOT, Bridge, eventually, refused
from tests.bridge.fake_board import FakeBoard

needs_chromium = pytest.mark.skipif(not browser.CHROMIUM, reason="Chromium is not installed")
EXTENSION = ROOT / "deploy" / "chrome-extension"
TOKEN = "a-viewer-for-the-wiki"
# Whatever a bridge that is killed was just answering.
EXPECTED = "net::ERR_|favicon.ico"
REASON = "Fan on because the case would reach 45.4 C"


@pytest.fixture
def wiki(tmp_path: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    """Another site: serves `page.html` from the test's folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path / "wiki"))

        def log_message(self, *_: Any) -> None:
            pass

    (tmp_path / "wiki").mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def start(bridge: Bridge, board: FakeBoard, folder: Path, origin: str) -> None:
    (folder / "token").write_text(TOKEN)
    file = folder / "bridge.toml"
    file.write_text(
        f"[web]\nembed = ['{origin}']\n"
        f"[[users]]\nname = 'wiki'\nrole = 'viewer'\ntoken_file = '{folder / 'token'}'\n"
    )
    bridge.start("--config", str(file), "--port", str(board.path))
    eventually(lambda: board.commands("rebirth"))
    board.tel(case_mc=44310, fan=1)
    board.decide()
    eventually(lambda: not board.queue)


def page_with(bridge: Bridge, folder: Path, name: str, attributes: str) -> str:
    (folder / "wiki" / name).write_text(
        f"<!doctype html><title>wiki</title><script type=module "
        f"src={bridge.url}/static/cooling-status.js></script>"
        f"<cooling-status {attributes}></cooling-status>"
    )
    return name


ELEMENT = "document.querySelector('cooling-status')"
SHOWN = f"{ELEMENT}?.shadowRoot?.textContent || ''"


def until_shown(page: browser.Page, words: str) -> str:
    page.until(f"({SHOWN}).includes({json.dumps(words)})")
    return str(page.js(SHOWN))


@needs_chromium
def test_the_element_on_another_page(
    bridge: Bridge, board: FakeBoard, wiki: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    origin = f"http://127.0.0.1:{wiki.server_port}"
    start(bridge, board, tmp_path, origin)
    good = page_with(bridge, tmp_path, "good.html", f"board=box-one token={TOKEN}")
    with browser.browse(f"{origin}/{good}") as page:
        text = until_shown(page, "44.3 °C")
        assert "fan on" in text
        assert REASON in text
        board.decide(why="<img src=x onerror=alert(1)>")
        board.durable("alarm", kind="fan", on=1, why="Fan stands still", val=0)
        until_shown(page, "Fan stands still")
        assert page.js(f"{ELEMENT}.shadowRoot.querySelector('img')") is None
        page.picture(tmp_path / "element.png")
        bridge.kill()
        until_shown(page, "bridge not reachable")
        bridge.start("--config", str(tmp_path / "bridge.toml"), "--port", str(board.path))
        until_shown(page, "online")
        assert [e for e in page.errors if not re.search(EXPECTED, e)] == []
    for attributes, words in (
        ("board=box-one", "asks for a token"),
        (f"board=nobody token={TOKEN}", 'no board "nobody"'),
    ):
        name = page_with(bridge, tmp_path, "bad.html", attributes)
        with browser.browse(f"{origin}/{name}") as page:
            until_shown(page, words)


def test_only_configured_origins_may_read(bridge: Bridge, board: FakeBoard, tmp_path: Path) -> None:
    start(bridge, board, tmp_path, "https://wiki.example")
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    for origin, allowed in (("https://wiki.example", True), ("https://evil.example", False)):
        for path in ("/api/status/box-one", "/api/boards"):
            given = allowed_origin(bridge, path, {**bearer, "Origin": origin})
            assert (given == origin) == (allowed and path != "/api/boards"), (origin, path)


def allowed_origin(bridge: Bridge, path: str, headers: dict[str, str]) -> str | None:
    asked = urllib.request.Request(bridge.url + path, headers=headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return answer.headers.get("Access-Control-Allow-Origin")


def test_an_origin_is_an_origin(tmp_path: Path) -> None:
    error = refused(tmp_path, "[web]\nembed = ['https://wiki.example/page', '*']\n")
    assert len(error.problems) == 2


@needs_chromium
def test_the_extension(bridge: Bridge, board: FakeBoard, tmp_path: Path) -> None:
    start(bridge, board, tmp_path, "https://wiki.example")
    home = f"chrome-extension://{browser.extension_id(EXTENSION)}"
    with browser.browse(f"{home}/options.html", extension=EXTENSION) as page:
        page.wait_for("button:not([disabled])")
        for field, value in (("bridge", bridge.url), ("token", TOKEN), ("board", "box-one")):
            page.js(f"document.getElementById('{field}').value = {json.dumps(value)}")
        page.js("document.querySelector('button').click()")
        said = "document.getElementById('said').textContent"
        page.until(f"{said} === 'Saved. The bridge knows 1 board.'")
        page.call("Page.navigate", url=f"{home}/popup.html")
        page.wait_for("article[data-device='box-one'][data-fan='ON']")
        text = page.js("document.body.innerText")
        assert "44.3 °C" in text
        assert REASON in text
        badge = "chrome.action.getBadgeText({}).then(text => text === '{0}')"
        page.until(badge.replace("{0}", "44°"))
        board.durable("alarm", kind="fan", on=1, why="Fan stands still", val=0)
        page.wait_for("article[data-state='alarm'] .alarm")
        page.until(badge.replace("{0}", "!"))
        page.picture(tmp_path / "popup.png")
        bridge.kill()
        page.until("document.body.innerText.includes('cannot be reached')")
        page.until(badge.replace("{0}", "?"))
        assert [e for e in page.errors if not re.search(EXPECTED, e)] == []


def test_the_extension_asks_for_little() -> None:
    manifest = json.loads((EXTENSION / "manifest.json").read_text())
    assert set(manifest["permissions"]) == {"storage", "alarms"}
    for host in manifest["host_permissions"]:
        assert re.fullmatch(r"http://(127\.0\.0\.1|localhost)/\*", host)
    for icon in manifest["icons"].values():
        assert (EXTENSION / icon).is_file()
    for file in EXTENSION.rglob("*.html"):
        assert not re.search(r"https?://(?!127)|<script(?![^>]*src=)|\son\w+=", file.read_text())
