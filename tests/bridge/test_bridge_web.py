"""The live page: what it shows, and whom it lets in."""

import contextlib
import re
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from host.gateways.web.security import Rate
from tests.bridge import browser
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import FakeBoard
from tests.bridge.waiting import PATIENCE_S

needs_chromium = pytest.mark.skipif(not browser.CHROMIUM, reason="Chromium is not installed")
TOKEN = "correct-horse-battery"


@pytest.fixture
def served(bridge: Bridge, board: FakeBoard) -> Bridge:
    """A bridge with one board, two readings and one decision."""
    bridge.start("--port", str(board.path))
    eventually(lambda: bridge.status("box-one") == "online")
    board.tel(case_mc=44100)
    board.tel(case_mc=44310)
    board.decide()
    eventually(lambda: board.acked)
    return bridge


@needs_chromium
def test_a_browser_shows_a_decision_with_its_reason_and_bars(
    served: Bridge, board: FakeBoard, tmp_path: Path
) -> None:
    with browser.browse(served.url) as page:
        page.wait_for(".decision .phi-bar")
        page.until("document.querySelector('.temp span')?.textContent === '44.3'")
        reason = page.js("document.querySelector('.decision .reason').textContent")
        assert reason.startswith("Fan on because the case would reach 45.4 C")
        values = page.js("[...document.querySelectorAll('.phi-value')].map(e => e.textContent)")
        assert values[0] == "+0.82 K"
        assert "−0.29 K" in values
        assert "adds up exactly" in page.js("document.querySelector('.phi-sum').textContent")
        page.wait_for(".chart canvas")
        # Live: what comes now shows up without a reload, and text stays text.
        board.decide(why="<img src=x onerror=alert(1)> on", set=0, rule="thermostat", phi=None)
        page.wait_for(".decision[data-seq='2']")
        assert page.js("document.querySelectorAll('.reason img').length") == 0
        board.durable("alarm", kind="fan", on=1, why="Fan stands still", val=0)
        page.wait_for(".board[data-alarm='1'] .alarm")
        # A command from the page reaches the board.
        page.js("document.querySelector('.actions button').click()")
        page.wait_for(".actions output[data-ok='1']")
        assert board.commands("override")[-1]["args"] == {"fan": 1, "for_s": 600}
        page.picture(tmp_path / "page.png")
        # A restarted bridge is found again, and commands work with its new CSRF token.
        served.stop()
        page.wait_for("#stream[data-state='gone']")
        served.start("--port", str(board.path))
        eventually(lambda: served.status("box-one") == "online")
        page.wait_for("#stream[data-state='live']")
        page.wait_for(".status[data-status='online']")
        page.js("document.querySelectorAll('.actions button')[2].click()")
        eventually(lambda: board.commands("auto"))
        page.wait_for(".actions output[data-ok='1']")
        unexpected = [e for e in page.errors if "Failed to load" not in e and "403" not in e]
        assert unexpected == []
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


@needs_chromium
def test_no_sideways_scrolling_on_a_phone(served: Bridge) -> None:
    with browser.browse(served.url, size=(360, 740), dark=True) as page:
        page.wait_for(".decision .phi-bar")
        assert page.js("document.documentElement.scrollWidth") <= 360


def test_api(served: Bridge, board: FakeBoard) -> None:
    for _ in range(4):
        board.decide()
    eventually(lambda: len(board.acked) == 5)
    decisions = served.get("/api/decisions?device=box-one&limit=3")["decisions"]
    assert [d["seq"] for d in decisions] == [5, 4, 3]
    older = served.get(f"/api/decisions?limit=3&before={decisions[-1]['id']}")["decisions"]
    assert [d["seq"] for d in older] == [2, 1]
    one = served.get("/api/decisions/box-one/7/2")
    assert one["shapley"]["err"] == 0
    total = one["shapley"]["base"] + sum(v["value"] for v in one["shapley"]["values"])
    assert total == pytest.approx(one["shapley"]["total"])
    assert served.get("/api/decisions?device=nobody")["decisions"] == []
    assert served.get("/health") == {"ok": True}


REQUESTS = [
    # path, headers, body, status
    ("/api/decisions/box-one/7/99", {}, None, 404),
    ("/api/decisions/box-one/7/99999999999999999999", {}, None, 404),
    ("/api/decisions?limit=many", {}, None, 400),
    ("/api/decisions?before=99999999999999999999", {}, None, 400),
    ("/api/history/nobody", {}, None, 404),
    ("/static/../app.py", {}, None, 404),
    ("/static/%2e%2e/app.py", {}, None, 404),
    ("/nothing", {}, None, 404),
    ("/api/boards", {"Host": "evil.example"}, None, 421),
    ("/api/boards", {"Host": "evil.example:80"}, None, 421),
    ("/api/boards", {"Host": "localhost"}, None, 200),
    ("/api/boards", {"Host": "192.0.2.1:8080"}, None, 200),
    ("/api/commands", {}, {"device": "box-one", "name": "auto"}, 403),
    ("/api/commands", {"X-Fanwise-CSRF": "x"}, {"device": "box-one", "name": "auto"}, 403),
    ("/api/commands", {}, {"pad": "x" * 5000}, 413),
]


def test_refusals(served: Bridge, board: FakeBoard) -> None:
    for path, headers, body, status in REQUESTS:
        assert served.request(path, body, headers)[0] == status, (path, headers)
    csrf = served.get("/api/session")["csrf"]
    good = {"device": "box-one", "name": "auto", "args": {}}
    own = {"X-Fanwise-CSRF": csrf, "Origin": served.url}
    foreign = {"X-Fanwise-CSRF": csrf, "Origin": "http://evil.example"}
    assert served.request("/api/commands", good, foreign)[0] == 403
    assert board.commands("auto") == []
    assert served.request("/api/commands", ["x"], own)[0] == 400
    assert served.request("/api/commands", {**good, "device": "nobody"}, own)[0] == 404
    assert served.request("/api/commands", good, own)[0] == 200
    with urllib.request.urlopen(served.url, timeout=PATIENCE_S) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_login(bridge: Bridge, board: FakeBoard, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    config = tmp_path / "bridge.toml"
    config.write_text(f"[web]\ntoken_file = '{tmp_path / 'token'}'\nlisten = '0.0.0.0:1'\n")
    bridge.start("--config", str(config), "--port", str(board.path))
    for path in ("/api/boards", "/events", "/api/commands", "/api/session"):
        assert bridge.request(path)[0] == 401, path
    assert bridge.request("/api/boards", headers={"Authorization": "Bearer wrong"})[0] == 401
    begun = time.monotonic()
    assert bridge.request("/api/boards", headers={"Authorization": f"Bearer {TOKEN}x"})[0] == 401
    assert time.monotonic() - begun > 0.4
    assert "wrong token address=127.0.0.1 count=1" in bridge.log.read_text()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert bridge.request("/api/boards", headers=bearer)[0] == 200
    eventually(lambda: board.commands("rebirth"))
    eventually(lambda: bridge.get("/api/boards", **bearer)["boards"])
    body = {"device": "box-one", "name": "auto", "args": {}}
    assert bridge.request("/api/commands", body, bearer)[0] == 200
    assert TOKEN not in bridge.log.read_text()
    if browser.CHROMIUM:
        with browser.browse(bridge.url) as page:
            page.wait_for("#token")
            page.js(f"document.querySelector('#token').value = '{TOKEN}'")
            page.js("document.querySelector('button').click()")
            page.wait_for(".board[data-device='box-one']")
            page.until("document.cookie === ''")
            assert "login who=admin address=127.0.0.1" in bridge.log.read_text()


def test_a_browser_that_reads_nothing_holds_up_nobody(served: Bridge, board: FakeBoard) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for _ in range(60):
            for _ in range(50):
                board.tel()
            time.sleep(0.005)
        board.decide()
        eventually(lambda: (7, 2) in board.acked)
        assert served.get("/health") == {"ok": True}
        served.stop()


START_ERRORS = [
    (["--http", "127.0.0.1:{taken}"], ["live page", "in use", "--http"]),
    (
        ["--embedded-broker", "--embedded-port", "{taken}"],
        ["embedded MQTT broker", "in use", "--embedded-port"],
    ),
    (["--http", "192.0.2.7:8080"], ["needs a login", "token_file"]),
    (["--store", "/proc/nowhere/s.db"], ["/proc/nowhere/s.db", "--store"]),
    (["--broker", "ftp://x"], ["ftp://x", "mqtt://"]),
    (["--port", "/etc/passwd"], ["/etc/passwd", "not a serial device"]),
]


@pytest.mark.parametrize(("arguments", "words"), START_ERRORS)
def test_start_errors_are_one_clear_message(
    bridge: Bridge, board: FakeBoard, arguments: list[str], words: list[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        filled = [each.replace("{taken}", taken) for each in arguments]
        bridge.start("--port", str(board.path), *filled, wait=False)
        assert bridge.process
        assert bridge.process.wait(PATIENCE_S) == 2
    said = bridge.log.read_text()
    assert all(word in said for word in words), said
    assert "Traceback" not in said


@needs_chromium
def test_a_viewer_of_a_fleet(bridge: Bridge, board: FakeBoard, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    file = tmp_path / "bridge.toml"
    file.write_text(
        f"[[users]]\nname = 'vera'\nrole = 'viewer'\ntoken_file = '{tmp_path / 'token'}'\n"
    )
    with contextlib.ExitStack() as stack:
        others = [
            stack.enter_context(FakeBoard(tmp_path / f"rack-{n}", f"rack-{n}", boot=1))
            for n in range(1, 4)
        ]
        ports = [word for each in (board, *others) for word in ("--port", str(each.path))]
        bridge.start("--config", str(file), *ports)
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        eventually(lambda: len(bridge.get("/api/boards", **bearer)["boards"]) == 4)
        others[0].durable("alarm", kind="fan", on=1, why="Fan stands still", val=0)
        others[1].decide()
        with browser.browse(bridge.url) as page:
            page.wait_for("#token")
            page.js(f"document.querySelector('#token').value = '{TOKEN}'")
            page.js("document.querySelector('button').click()")
            page.wait_for(".fleet-tile[data-device='rack-1'][data-alarm='1']")
            page.until("document.querySelectorAll('.fleet-tile').length === 4")
            page.until("document.querySelector('#user').innerText.includes('vera, viewer')")
            page.until("[...document.querySelectorAll('.actions')].every(e => e.hidden)")
            page.js("document.querySelector(\".fleet-tile[data-device='rack-1']\").click()")
            page.wait_for(".decision[data-kind='alarm']")
            shown = "[...document.querySelectorAll('.board')].filter(e => !e.hidden).length"
            page.until(f"{shown} === 1")
            page.until("document.querySelectorAll('.decision').length === 1")
            page.js("document.querySelector('.tile-all').click()")
            page.until("document.querySelectorAll('.decision').length === 2")
            page.js("document.querySelector('#kind').value = 'alarms'")
            page.js("document.querySelector('#kind').dispatchEvent(new Event('change'))")
            page.until("document.querySelectorAll('.decision').length === 1")
            page.js("document.querySelector('#user button').click()")
            page.wait_for("#token")
            assert page.errors == []


def test_an_address_that_asks_too_often_is_slowed_down() -> None:
    rate = Rate(per_s=5, burst=30)
    assert [rate.allows("a", 0.0) for _ in range(31)] == [True] * 30 + [False]
    assert rate.allows("b", 0.0)
    assert [rate.allows("a", 1.0) for _ in range(6)] == [True] * 5 + [False]
    assert sum(rate.allows("a", 100.0) for _ in range(100)) == 30
    for n in range(3000):
        rate.allows(str(n), 200.0)
    assert len(rate._left) <= 1024


def test_guessing_tokens_is_slow(served: Bridge) -> None:
    guess = b"POST /api/commands HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}"
    with socket.create_connection(("127.0.0.1", served.port), PATIENCE_S) as sock:
        # All at once: who takes long over asking would be let through.
        threading.Thread(target=sock.sendall, args=(guess * 300,), daemon=True).start()
        statuses: list[int] = []
        answers = sock.makefile("rb")
        while len(statuses) < 300 and (line := answers.readline()):
            statuses += map(int, re.findall(rb"HTTP/1.1 (\d+)", line))
    assert 429 in statuses
    assert statuses[0] != 429
    assert served.get("/health") == {"ok": True}
