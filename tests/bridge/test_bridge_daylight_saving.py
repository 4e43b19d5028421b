"""Times where clocks are put forward and back: stored and exported in UTC, read without a doubt."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from host.bridge.clock import wall_clock
from host.bridge.store import Store
from host.gateways.payloads import iso
from tests.bridge import browser
from tests.bridge.conftest import Bridge
from tests.bridge.fake_board import FakeBoard
from tests.bridge.test_bridge_store import item, keys

HOUR_S = 3600
BERLIN, LORD_HOWE, ST_JOHNS = "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"
# Zone, a moment, what a console and what the page shows.
SHOWN = [
    (BERLIN, "2026-10-24T23:59:59Z", "01:59:59", "01:59:59"),
    (BERLIN, "2026-10-25T00:00:00Z", "02:00:00 +0200", "02:00:00 UTC+2"),
    (BERLIN, "2026-10-25T00:59:59Z", "02:59:59 +0200", "02:59:59 UTC+2"),
    (BERLIN, "2026-10-25T01:00:00Z", "02:00:00 +0100", "02:00:00 UTC+1"),
    (BERLIN, "2026-10-25T01:59:59Z", "02:59:59 +0100", "02:59:59 UTC+1"),
    (BERLIN, "2026-10-25T02:00:00Z", "03:00:00", "03:00:00"),
    (BERLIN, "2026-03-29T00:59:59Z", "01:59:59", "01:59:59"),
    (BERLIN, "2026-03-29T01:00:00Z", "03:00:00", "03:00:00"),
    (BERLIN, "2026-10-24T22:00:00Z", "00:00:00", "00:00:00"),
    (LORD_HOWE, "2026-04-04T14:45:00Z", "01:45:00 +1100", "01:45:00 UTC+11"),
    (LORD_HOWE, "2026-04-04T15:15:00Z", "01:45:00 +1030", "01:45:00 UTC+10:30"),
    (ST_JOHNS, "2026-11-01T04:00:00Z", "01:30:00 -0230", "01:30:00 UTC−2:30"),
    (ST_JOHNS, "2026-11-01T05:00:00Z", "01:30:00 -0330", "01:30:00 UTC−3:30"),
    ("UTC", "2026-10-25T00:30:00Z", "00:30:00", "00:30:00"),
]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Moves this machine into a time zone."""

    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


@pytest.mark.parametrize(("zone", "moment", "console", "page"), SHOWN)
def test_a_moment_on_the_console_and_in_exports(
    here: Callable[[str], None], zone: str, moment: str, console: str, page: str
) -> None:
    here(zone)
    assert wall_clock(seconds(moment)) == console
    assert iso(seconds(moment)) == moment


@pytest.mark.parametrize("change", ["2026-10-25T01:00:00Z", "2026-03-29T01:00:00Z"])
def test_a_day_of_age_is_24_hours(here: Callable[[str], None], tmp_path: Path, change: str) -> None:
    here(BERLIN)
    store, at = Store(tmp_path / "s.db"), seconds(change)
    received = [at + hours * HOUR_S for hours in (-13, -11, 0, 11)]
    store.add([item("a", 1, n, received=when) for n, when in enumerate(received, 1)])
    store.add_telemetry(("a", when, {"at": when}) for when in received)
    store.prune(24 * HOUR_S, 10**9, at + 12 * HOUR_S)
    assert keys(store) == [("a", 1, 2), ("a", 1, 3), ("a", 1, 4)]
    assert [reading["at"] for reading in store.telemetry("a", 0)] == received[1:]
    store.close()


@pytest.mark.skipif(not browser.CHROMIUM, reason="Chromium is not installed")
def test_a_moment_on_the_page(bridge: Bridge, board: FakeBoard) -> None:
    """In the reader's time, wherever the bridge is."""
    bridge.start("--port", str(board.path))
    with browser.browse(bridge.url) as page:
        page.wait_for("#stream[data-state='live']")
        for zone, moment, _, shown in SHOWN:
            page.call("Emulation.setTimezoneOverride", timezoneId=zone)
            clock = f"import('/static/js/format.js').then(f => f.clock({seconds(moment)}))"
            assert page.js(clock) == shown, (zone, moment)
        page.call("Emulation.setTimezoneOverride", timezoneId=BERLIN)
        minutes = f"import('/static/js/format.js').then(f => f.clock({seconds(SHOWN[1][1])}, ''))"
        assert page.js(minutes) == "02:00 UTC+2"
