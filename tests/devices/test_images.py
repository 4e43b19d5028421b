"""Where images come from, and that a changed one is refused: against a real HTTPS server."""

import hashlib
import io
import json
import socket
import threading
from pathlib import Path

import pytest
from https_site import OPENSSL, HttpsSite
from image_builder import image, program

from host.devices import image_lock, images
from host.devices.boards import load_board
from host.devices.console import Console
from host.devices.errors import DownloadError, ImageError
from host.devices.image_lock import Entry
from host.devices.images import Site, listed, resolve

ESP32 = load_board("esp32")
C3 = load_board("esp32-c3")
GOOD = image()
PAGE = """
<a href="/resources/firmware/ESP32_GENERIC-20241129-v1.24.1.bin">v1.24.1 .bin</a>
<a href="/resources/firmware/ESP32_GENERIC-20241129-v1.24.1.app-bin">.app-bin</a>
<a class="x" href='https://micropython.org/resources/firmware/ESP32_GENERIC-20250415-v1.25.0.bin'>
<a href="/resources/firmware/ESP32_GENERIC-20240602-v1.23.0.bin">
<a href="/resources/firmware/ESP32_GENERIC-20250601-v1.26.0-preview.123.gabcdef.bin">
<a href="/resources/firmware/ESP32_GENERIC-SPIRAM-20250415-v1.25.0.bin">
<a href="/resources/firmware/MY_ESP32_GENERIC-20290101-v9.0.0.bin">
"""


def test_releases_on_the_download_page():
    assert listed(PAGE, ESP32.image) == {
        "1.24.1": "20241129",
        "1.25.0": "20250415",
        "1.23.0": "20240602",
    }
    assert listed(PAGE, load_board("esp32-wrover").image) == {"1.25.0": "20250415"}
    assert listed(PAGE, C3.image) == {}


class World:
    """A site, a lock, a cache, and a verb's voice for programs."""

    def __init__(self, server: HttpsSite, folder: Path) -> None:
        self.server = server
        self.lock = folder / "images.lock"
        self.cache = folder / "cache"
        self.out = io.StringIO()

    def resolve(self, board=ESP32, site=None, **options):
        console = Console(as_json=True, out=self.out)
        places = {"lock": self.lock, "cache": self.cache, "site": site or self.server.site}
        return resolve(board, console=console, **places, **options)

    def offer(self, version="1.25.0", date="20250415", data=None):
        path = f"/resources/firmware/ESP32_GENERIC-{date}-v{version}.bin"
        self.server.answers[path] = image(version=version) if data is None else data
        self.server.answers["/download/ESP32_GENERIC/"] = PAGE.encode()
        return path


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if OPENSSL is None:
        pytest.skip("the program openssl is not installed, so there is no certificate to test with")
    found = HttpsSite(tmp_path_factory.mktemp("https"))
    yield found
    found.close()


@pytest.fixture
def world(server, tmp_path, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server.clear()
    return World(server, tmp_path)


def test_the_newest_is_fetched_once_and_locked(world):
    path = world.offer()
    found = world.resolve()
    assert found.version == "1.25.0"
    assert found.path.read_bytes() == GOOD
    assert found.sha256 == hashlib.sha256(GOOD).hexdigest()
    assert world.server.asked == ["/download/ESP32_GENERIC/", path]
    assert image_lock.read(world.lock) == [
        Entry("ESP32_GENERIC", "1.25.0", world.server.base + path, found.sha256)
    ]
    assert world.resolve() == found
    assert len(world.server.asked) == 2
    assert [p.name for p in world.cache.iterdir()] == [found.path.name]
    events = [json.loads(line) for line in world.out.getvalue().splitlines()]
    assert {event["event"] for event in events} == {"step", "progress"}
    assert events[-2]["sha256"] == found.sha256


@pytest.mark.parametrize(
    ("version", "asked"),
    [
        ("1.24.1", ["page", "20241129-v1.24.1"]),
        ("newest", ["page", "20250415-v1.25.0"]),
        ("1.25", ["page", "20250415-v1.25.0"]),
        # With the date the page need not be understood.
        ("20250809-v1.26.0", ["20250809-v1.26.0"]),
    ],
)
def test_a_version_by_hand(world, version, asked):
    for number, date in (("1.24.1", "20241129"), ("1.25.0", "20250415"), ("1.26.0", "20250809")):
        world.offer(number, date)
    found = world.resolve(version=version)
    names = [
        "page" if "/download/" in path else path.rpartition("/")[2][14:-4]
        for path in world.server.asked
    ]
    assert names == asked
    assert found.version == asked[-1][10:]


def test_the_lock_decides_until_newest_is_asked_for(world):
    world.offer("1.24.1", "20241129")
    world.offer("1.25.0")
    world.resolve(version="1.24.1")
    assert world.resolve().version == "1.24.1"
    assert world.resolve(version="newest").version == "1.25.0"
    assert world.resolve().version == "1.25.0"


def test_another_machine_with_the_lock_only_gets_the_same_bytes(world):
    path = world.offer()
    found = world.resolve()
    found.path.unlink()
    assert world.resolve() == found
    assert world.server.asked.count(path) == 2


def test_a_damaged_cache_is_fetched_anew(world):
    world.offer()
    found = world.resolve()
    found.path.write_bytes(b"x")
    assert world.resolve().path.read_bytes() == GOOD


def test_what_changed_on_the_server_is_refused(world):
    world.offer()
    found = world.resolve()
    before = world.lock.read_text()
    found.path.unlink()
    world.offer(data=image(app=program((b"MPY version : v1.25.0 on evil",))))
    with pytest.raises(ImageError, match=f"has changed.*the lock says {found.sha256}.*Do not use"):
        world.resolve()
    assert not found.path.exists()
    assert world.lock.read_text() == before


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>log in</html>", "does not begin like an image"),
        (image(chip=5, offset=0), "for the ESP32-C3"),
        (image(version="1.24.1"), "holds MicroPython 1.24.1: not what its name says"),
    ],
)
def test_what_is_no_image_is_neither_kept_nor_locked(world, data, words):
    world.offer(data=data)
    with pytest.raises(ImageError, match=words):
        world.resolve()
    assert not world.lock.exists()
    assert list(world.cache.iterdir()) == []


def redirect(url):
    return (302, {"Location": url}, b"")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, {}, b""), "the server says 404"),
        ((500, {}, b""), "the server says 500"),
        ((200, {"Content-Length": "99999"}, GOOD[:9]), "cut off after 9 of 99,999"),
        ((200, {}, GOOD.ljust(images.MAX_IMAGE + 1)), "more than 16,777,216 bytes"),
        (redirect("http://localhost/a.bin"), "leads to 'http://localhost/a.bin', which is not"),
        (redirect("file:///etc/passwd"), "file:///etc/passwd. is not allowed"),
    ],
)
def test_downloads_that_fail_say_what_to_do(world, answer, words):
    world.offer(data=answer)
    with pytest.raises(DownloadError, match=f"(?s)({words}).*by hand from https://.*--image FILE"):
        world.resolve()
    assert not world.lock.exists()
    assert list(world.cache.glob("*")) == []


def test_a_redirect_to_https_is_followed(world):
    path = world.offer()
    world.server.answers["/elsewhere.bin"] = GOOD
    world.server.answers[path] = redirect("/elsewhere.bin")
    assert world.resolve().path.read_bytes() == GOOD


def test_a_certificate_of_nobody_we_trust(world):
    world.offer()
    with pytest.raises(DownloadError, match=r"certificate is not trusted.*--image FILE"):
        world.resolve(site=Site(world.server.base))
    assert world.server.asked == []


def test_offline(world):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        refused = r"Connection refused.*ESP32_GENERIC-DATE-vVERSION.bin"
        with pytest.raises(DownloadError, match=refused):
            world.resolve(site=Site(f"https://127.0.0.1:{port}"))
    with pytest.raises(DownloadError, match=r"http://127.0.0.1:9/.* is not https"):
        world.resolve(site=Site("http://127.0.0.1:9"))


def test_the_proxy_of_the_environment_is_used(world, monkeypatch):
    heard = []

    def proxy(listener):
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.recv(1000).split(b"\r\n")[0])
            connection.sendall(b"HTTP/1.1 403 No\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=proxy, args=(listener,))
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(DownloadError, match="403"):
            world.resolve()
        thread.join(10)
    assert heard[0].startswith(b"CONNECT localhost:")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.23.0", "esp32 needs MicroPython 1.24 or newer: not 1.23.0"),
        ("v1.25", "'v1.25' is no version"),
        ("1.30.0", r"offers no ESP32_GENERIC 1.30.0 \(it offers: 1.23.0, 1.24.1, 1.25.0\)"),
    ],
)
def test_versions_that_are_refused(world, version, words):
    world.offer()
    with pytest.raises(ImageError, match=words):
        world.resolve(version=version)


def test_a_page_that_looks_different(world):
    world.server.answers["/download/ESP32_GENERIC/"] = b"<h1>new design</h1>"
    with pytest.raises(ImageError, match=r"offers: none\).*give the date too: --version 2025"):
        world.resolve()


def test_a_file_of_ones_own(world, tmp_path):
    own = tmp_path / "own.bin"
    own.write_bytes(GOOD)
    found = world.resolve(image=own)
    assert (found.path, found.version) == (own, "1.25.0")
    assert world.server.asked == []
    assert not world.lock.exists()
    with pytest.raises(ImageError, match="give --image or --version, not both"):
        world.resolve(image=own, version="1.25.0")
    with pytest.raises(ImageError, match=r"nothing.bin cannot be read"):
        world.resolve(image=tmp_path / "nothing.bin")
    own.write_bytes(bytes(images.MAX_IMAGE + 1))
    with pytest.raises(ImageError, match="no image is larger than"):
        world.resolve(image=own)


def test_a_file_that_passes_for_the_official_one(world, tmp_path):
    world.offer()
    official = world.resolve()
    copy = tmp_path / official.path.name
    copy.write_bytes(GOOD)
    assert world.resolve(image=copy).sha256 == official.sha256
    copy.write_bytes(image(app=program((b"other",))))
    with pytest.raises(ImageError, match=r"differs from the official image.*another name"):
        world.resolve(image=copy)
