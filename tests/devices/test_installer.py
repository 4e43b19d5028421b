"""The browser's installer: what it offers, its flasher under node, the page in Chromium.

Under node, and in Chromium, the vendored esptool-js talks to our boot loader (rom/) over a socket
in the place of Web Serial. It has not been run against a chip.
"""

import asyncio
import hashlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from host.devices import image_lock
from host.devices.boards import load_board
from host.devices.errors import DeviceError
from host.devices.image_lock import Entry
from host.gateways.web.app import STATIC
from host.gateways.web.installer import Installer
from tests.bridge import browser
from tests.bridge.conftest import Bridge
from tests.devices.rom import image, slip
from tests.devices.rom.chips import CHIPS
from tests.devices.rom.loader import Loader

SCRIPT = Path(__file__).parent / "rom" / "installer.mjs"
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
needs_chromium = pytest.mark.skipif(not browser.CHROMIUM, reason="Chromium is not installed")


@pytest.fixture
def made(tmp_path: Path) -> Installer:
    """With images for two boards, two versions of one."""
    lock, cache = tmp_path / "images.lock", tmp_path / "images"
    cache.mkdir()
    for stem, chip, offset, version in (
        ("ESP32_GENERIC", 0, 0x1000, "1.25.0"),
        ("ESP32_GENERIC", 0, 0x1000, "1.26.1"),
        ("ESP32_GENERIC_C3", 5, 0, "1.25.0"),
    ):
        data = image.merged(chip, offset, version=version)
        name = f"{stem}-20250415-v{version}.bin"
        (cache / name).write_bytes(data)
        url = f"https://micropython.org/resources/firmware/{name}"
        image_lock.add(lock, Entry(stem, version, url, hashlib.sha256(data).hexdigest()))
    return Installer(lock, cache)


def newest(tmp_path: Path) -> Path:
    return tmp_path / "images" / "ESP32_GENERIC-20250415-v1.26.1.bin"


def ask(handler: Callable[[Request], Awaitable[Response]], **path: object) -> Response:
    scope = {"type": "http", "path_params": path}
    return asyncio.run(handler(Request(scope)))  # type: ignore[arg-type]


def test_offers_only_what_is_on_this_machine(made: Installer) -> None:
    offers = {each["name"]: each for each in json.loads(ask(made.boards).body)["boards"]}
    assert "simulated" not in offers
    assert offers["esp32"]["version"] == "1.26.1"
    assert {"usbVendorId": 0x10C4, "usbProductId": 0xEA60} in offers["esp32"]["usb"]
    assert offers["esp32-s3"]["version"] is None
    assert "./run flash --board esp32-s3 --dry-run" in offers["esp32-s3"]["problem"]
    for answer in (
        ask(made.manifest, board="esp32-s3"),
        ask(made.manifest, board="../esp32"),
        ask(made.part, board="nothing", offset=0),
        ask(made.part, board="esp32", offset=77),
    ):
        assert answer.status_code == 404
        assert json.loads(answer.body)["error"]


def test_manifest_and_parts_are_the_image(made: Installer, tmp_path: Path) -> None:
    manifest = json.loads(ask(made.manifest, board="esp32").body)
    (build,) = manifest["builds"]
    assert (manifest["version"], build["chipFamily"]) == ("1.26.1", "ESP32")
    content = newest(tmp_path).read_bytes()
    for part in build["parts"]:
        assert part["path"] == f"{part['offset']}.bin"
        data = bytes(ask(made.part, board="esp32", offset=part["offset"]).body)
        assert (len(data), hashlib.md5(data).hexdigest()) == (part["size"], part["md5"])
        start = part["offset"] - 0x1000
        assert content[start : start + len(data)] == data[: len(content) - start]


def test_a_damaged_image_is_not_offered(made: Installer, tmp_path: Path) -> None:
    newest(tmp_path).write_bytes(newest(tmp_path).read_bytes()[:-1] + b"?")
    with pytest.raises(DeviceError, match="damaged"):
        made.ready(load_board("esp32"))


@contextmanager
def listening(loader: Loader) -> Iterator[tuple[str, int]]:
    """The boot loader at a TCP address, for one connection after another."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line = server.accept()[0]
            except OSError:
                return
            decoder = slip.Decoder()
            with line:
                while data := line.recv(65536):
                    for packet in decoder.feed(data):
                        for answer in loader.packet(packet):
                            line.sendall(slip.encode(answer))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def run_node(loader: Loader, folder: Path) -> dict[str, object]:
    with listening(loader) as (host, port):
        command = ["node", str(SCRIPT), host, str(port), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def folder(made: Installer, tmp_path: Path) -> Path:
    """Manifest and parts for the ESP32 as files."""
    folder = tmp_path / "parts"
    folder.mkdir()
    manifest = bytes(ask(made.manifest, board="esp32").body)
    (folder / "manifest.json").write_bytes(manifest)
    for part in json.loads(manifest)["builds"][0]["parts"]:
        data = bytes(ask(made.part, board="esp32", offset=part["offset"]).body)
        (folder / part["path"]).write_bytes(data)
    return folder


@needs_node
def test_the_browsers_flasher_writes_every_byte_and_keeps_files(
    folder: Path, tmp_path: Path
) -> None:
    loader = Loader(CHIPS["esp32"])
    loader.flash[0x300000] = 0
    told = run_node(loader, folder)
    assert "error" not in told, told
    content = newest(tmp_path).read_bytes()
    assert loader.flash[0x1000 : 0x1000 + len(content)] == content
    assert loader.flash[0x300000] == 0xFF
    assert told["progress"][-1] == [told["written"]] * 2  # type: ignore[index]

    loader.reset()
    loader.flash[0x300000] = 0
    before = loader.written
    told = run_node(loader, folder)
    assert (told.get("error"), told["written"], loader.written) == (None, 0, before)
    assert loader.flash[0x300000] == 0


@needs_node
@pytest.mark.parametrize(
    ("chip", "flash_kb", "words"),
    [
        ("esp32c3", 4096, "WrongBoard|has an ESP32-C3, the one you chose an ESP32\\."),
        ("esp32", 2048, "flash has 2MB, this kind needs 4MB"),
    ],
)
def test_the_browsers_flasher_refuses(chip: str, flash_kb: int, words: str, folder: Path) -> None:
    loader = Loader(CHIPS[chip], flash_kb)
    error = str(run_node(loader, folder)["error"])
    assert any(word.replace("\\", "") in error for word in words.split("|"))
    assert loader.written == 0


@needs_node
def test_the_browsers_flasher_notices_a_worn_flash(folder: Path) -> None:
    loader = Loader(CHIPS["esp32"])
    loader.bad_sector = 0x11000
    assert "MD5 of file does not match" in str(run_node(loader, folder)["error"])


@contextmanager
def served(made: Installer, loader: Loader | None = None) -> Iterator[str]:
    """The page alone, over HTTP; and `loader` for the port of fake_serial.js."""

    async def board(line: WebSocket) -> None:
        assert loader
        await line.accept()
        decoder = slip.Decoder()
        async for data in line.iter_bytes():
            for packet in decoder.feed(data):
                for answer in loader.packet(packet):
                    await line.send_bytes(slip.encode(answer))

    routes: list[BaseRoute] = [*made.routes, Mount("/static", StaticFiles(directory=STATIC))]
    routes.append(WebSocketRoute("/board", board))
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@needs_chromium
def test_the_page_offers_boards_where_the_browser_can(made: Installer, tmp_path: Path) -> None:
    with served(made) as url, browser.browse(url + "/install") as page:
        page.wait_for(".kind[data-board='esp32']")
        ready = "[...document.querySelectorAll('.kind[data-ready=\"1\"]')]"
        assert "esp32-c3" in page.js(f"{ready}.map(e => e.dataset.board)")
        able = bool(page.js("'serial' in navigator"))
        assert page.js(f"{ready}.every(e => e.querySelector('button').disabled)") is not able
        assert page.js("document.querySelectorAll('[data-ready=\"0\"] button:enabled').length") == 0
        assert page.js("document.querySelector('#unable').hidden") is able
        page.picture(tmp_path / "installer.png", whole=True)
        assert page.errors == []


@needs_chromium
def test_a_click_installs(made: Installer, tmp_path: Path) -> None:
    """In Chromium, to the last byte; only the port is not Web Serial's."""
    loader = Loader(CHIPS["esp32"])
    source = SCRIPT.with_name("fake_serial.js").read_text()
    with served(made, loader) as url, browser.browse("about:blank") as page:
        page.call("Page.addScriptToEvaluateOnNewDocument", source=source)
        page.call("Page.navigate", url=url + "/install/")
        for kind, end, words in (
            (
                "esp32-c3",
                "failed",
                "has an ESP32, the one you chose an ESP32-C3. Nothing was changed",
            ),
            ("esp32", "done", "MicroPython 1.26.1 written and verified"),
        ):
            page.wait_for(f".kind[data-board='{kind}'] button:enabled")
            page.js(f"document.querySelector('.kind[data-board=\"{kind}\"] button').click()")
            page.wait_for(f"#work[data-state='{end}']", 120)
            assert words in page.js("document.querySelector('#state').textContent")
        page.picture(tmp_path / "done.png")
        assert page.errors == []
    content = newest(tmp_path).read_bytes()
    assert loader.flash[0x1000 : 0x1000 + len(content)] == content


WITHOUT = "delete Navigator.prototype.serial"
INSECURE = "Object.defineProperty(window, 'isSecureContext', { value: false })"


@needs_chromium
@pytest.mark.parametrize(
    ("change", "words"),
    [(WITHOUT, "no Web Serial. Take Chrome"), (INSECURE, "http://localhost:")],
)
def test_the_page_says_what_the_browser_lacks(change: str, words: str, made: Installer) -> None:
    with served(made) as url, browser.browse("about:blank", size=(360, 740), dark=True) as page:
        page.call("Page.addScriptToEvaluateOnNewDocument", source=change)
        page.call("Page.navigate", url=url + "/install/")
        page.wait_for(".kind[data-board='esp32']")
        assert words in page.js("document.querySelector('#unable').innerText")
        assert page.js("document.querySelectorAll('button:enabled').length") == 0
        assert page.js("document.documentElement.scrollWidth") <= 360


@needs_chromium
def test_the_bridge_serves_it_under_its_rules(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path).start("--port", str(tmp_path / "board"))
    try:
        under_its_rules(bridge.url + "/install")
    finally:
        bridge.stop()


def under_its_rules(url: str) -> None:
    with browser.browse(url) as page:
        page.wait_for(".kind[data-board='esp32']")
        kind = "import('/static/vendor/esptool-js.min.js').then(m => typeof m.ESPLoader)"
        assert page.js(kind) == "function"
        assert page.errors == []
