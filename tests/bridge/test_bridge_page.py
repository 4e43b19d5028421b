"""The page by itself: what it asks for, how it writes, what comes while it reads."""

import json
import re
import shutil
import subprocess

import pytest

from host.gateways.web import app
from tests.bridge import browser
from tests.bridge.conftest import Bridge, eventually
from tests.bridge.fake_board import FakeBoard

HOLD = """
window.held = [];
const real = window.fetch;
window.fetch = async (...asked) => {
  const answer = await real(...asked);
  await new Promise((go) => window.held.push(go));
  return answer;
};
"""
READ_ANEW = "document.querySelector('#kind').dispatchEvent(new Event('change'))"
SHOWN = "[...document.querySelectorAll('.decision')].map(each => each.dataset.seq).join()"


@pytest.mark.skipif(not browser.CHROMIUM, reason="Chromium is not installed")
def test_a_decision_that_comes_while_the_list_is_read(bridge: Bridge, board: FakeBoard) -> None:
    bridge.start("--port", str(board.path))
    eventually(lambda: bridge.status("box-one") == "online")
    board.decide()
    eventually(lambda: board.acked)
    with browser.browse(bridge.url) as page:
        page.wait_for(".decision[data-seq='1']")
        page.wait_for("#stream[data-state='live']")
        page.js(HOLD)
        page.js(READ_ANEW)
        page.until("held.length === 2")  # decisions and alarms, as they were
        board.decide()
        page.until(f"{SHOWN} === '2,1'")
        page.js("held.splice(0).forEach(go => go())")
        page.js("new Promise(done => setTimeout(done, 100))")
        assert page.js(SHOWN) == "2,1"
        # Of two readings the one that was asked for last counts, whichever is answered first.
        page.js(READ_ANEW)
        page.until("held.length === 2")
        page.js("document.querySelector('#kind').value = 'alarms'")
        page.js(READ_ANEW)
        page.until("held.length === 3")
        page.js("held.pop()()")
        page.until(f"{SHOWN} === ''")
        page.js("held.splice(0).forEach(go => go())")
        page.js("new Promise(done => setTimeout(done, 100))")
        assert page.js(SHOWN) == ""


def test_the_page_needs_nothing_from_elsewhere() -> None:
    for file in app.STATIC.rglob("*"):
        if file.suffix in (".html", ".css", ".js"):
            outside = re.findall(
                r"(?:src|href|url|import|fetch)\W{1,3}(?:https?:)?//", file.read_text()
            )
            assert not outside, file
        if file.suffix == ".html":
            text = file.read_text()
            assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=", text), file


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_numbers_as_people_read_them() -> None:
    module = app.STATIC / "js" / "format.js"
    cases = (
        "[f.number(null), f.number(-0.04), f.number(-1.25, 2), f.signed(0.001), f.signed(0.4),"
        "f.signed(-0.4), f.celsius(41250), f.celsius(undefined), f.duration(59), f.duration(600),"
        "...['box-10', 'box-9', 'attic'].sort(f.byName)]"
    )
    source = json.dumps(module.as_uri())
    script = f"const f = await import({source}); console.log(JSON.stringify({cases}))"
    command = ["node", "--input-type=module", "-e", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [
        "–", "0.0", "−1.25", "0.00", "+0.40", "−0.40", "41.3", "–", "59 s", "10 min",
        "attic", "box-9", "box-10",
    ]  # fmt: skip
