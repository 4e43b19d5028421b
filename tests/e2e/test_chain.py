"""The whole chain, every part the real one: firmware in the VM on ptys, bridge, store, page.

One run; the bridge is killed in the middle while the boards have something to decide.
"""

import itertools
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explain.shapley import check
from host.simulation.fleet import BUNDLES, Fleet
from tests.bridge.browser import CHROMIUM, browse
from tests.bridge.conftest import Bridge, eventually
from training.bundle import load_bundle

pytestmark = [pytest.mark.e2e, pytest.mark.vm, pytest.mark.timeout(900)]

SPEED = 20.0
KILL_AFTER_S = 120.0
BLIND_S = 240.0
"""Simulated seconds without a bridge."""
PATIENCE_S = 240
"""Real seconds, for what takes a few on a quiet machine."""


class Chain:
    """A fleet with a bridge, and what the bridge has stored."""

    def __init__(self, folder: Path) -> None:
        (folder / "boards").mkdir()
        (folder / "bridge").mkdir()
        self.fleet = Fleet(folder / "boards", speed=SPEED)
        self.bridge = Bridge(folder / "bridge")

    def start_bridge(self) -> None:
        ports = [f"--port={port}" for port in self.fleet.ports]
        broker = ["--embedded-broker", "--embedded-port=0"]
        self.bridge.start(*ports, *broker, f"--keepalive-s={10 / SPEED}")

    def now_s(self) -> float:
        return self.fleet.simulation.clock.now_us / 1e6

    def pass_time(self, seconds: float) -> None:
        until_s = self.now_s() + seconds
        eventually(lambda: self.now_s() >= until_s, PATIENCE_S, "time passes")

    def stored(self) -> list[dict[str, Any]]:
        """Everything durable in the store, with `dev`, `boot` and `seq`."""
        if not self.bridge.store.exists():
            return []
        with sqlite3.connect(f"file:{self.bridge.store}?mode=ro", uri=True, timeout=60) as db:
            rows = db.execute("select device, boot, seq, body from records order by id")
            return [
                {**json.loads(body), "dev": device, "boot": boot, "seq": seq}
                for device, boot, seq, body in rows
            ]

    def decisions(self) -> list[dict[str, Any]]:
        return [record for record in self.stored() if record["t"] == "dec"]

    def without_gaps(self) -> list[dict[str, Any]] | None:
        """What is stored, unless something is missing: on its way, or lost."""
        stored = self.stored()
        for device in self.fleet.boards:
            seqs = {record["seq"] for record in stored if record["dev"] == device}
            if seqs != set(range(1, len(seqs) + 1)):
                return None
        return stored


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The run, and what was seen on the way."""
    chain = Chain(tmp_path_factory.mktemp("chain"))
    simulation = chain.fleet.simulation
    seen: dict[str, Any] = {"chain": chain}
    try:
        simulation.start()
        chain.start_bridge()
        explained = lambda: {r["dev"] for r in chain.decisions() if r["phi"]}  # noqa: E731
        eventually(
            lambda: len(explained()) == 3, PATIENCE_S, "an explained decision from each board"
        )
        chain.pass_time(KILL_AFTER_S)

        chain.bridge.process.kill()
        chain.bridge.process.wait()
        seen["stored_at_kill"] = len(chain.stored())
        before = {n: t.switches for n, t in chain.fleet.tallies.items()}
        chain.fleet.switch_fault("overload", True)
        chain.pass_time(BLIND_S)
        seen["switched_blind"] = {
            name: tally.switches - before[name] for name, tally in chain.fleet.tallies.items()
        }
        seen["hottest_c"] = {name: t.hottest_c for name, t in chain.fleet.tallies.items()}
        chain.fleet.switch_fault("overload", False)
        seen["back_s"] = chain.now_s()
        chain.start_bridge()
        eventually(lambda: recent(chain, seen["back_s"]), PATIENCE_S, "decisions after the restart")
        chain.pass_time(60)
        seen["stored"] = eventually(chain.without_gaps, PATIENCE_S, "all records arrive")
        seen["crashes"] = {name: board.crashes for name, board in chain.fleet.boards.items()}
        seen["resets"] = {name: sum(b.resets.values()) for name, b in chain.fleet.boards.items()}
        yield seen
    finally:
        if chain.bridge.process and chain.bridge.process.poll() is None:
            chain.bridge.process.terminate()
            chain.bridge.process.wait()
        simulation.stop()


def recent(chain: Chain, since_s: float) -> bool:
    """Whether every board has stored a decision made after `since_s` of simulated time."""
    made = {r["dev"] for r in chain.decisions() if r["ms"] / 1000 > since_s}
    return len(made) == 3


def decisions(ran: dict[str, Any]) -> list[dict[str, Any]]:
    return [record for record in ran["stored"] if record["t"] == "dec"]


def test_boards_go_on_cooling_without_a_bridge(ran: dict[str, Any]) -> None:
    assert all(count > 0 for count in ran["switched_blind"].values()), ran["switched_blind"]
    for name, hottest_c in ran["hottest_c"].items():
        # The overload is a little more than the smallest machine's fan can carry away.
        assert hottest_c < ran["chain"].fleet.tallies[name].limit_c + 2.0, name


def test_what_was_decided_blind_arrives_exactly_once(ran: dict[str, Any]) -> None:
    keys = [(record["dev"], record["boot"], record["seq"]) for record in ran["stored"]]
    assert len(keys) == len(set(keys))
    assert len(keys) > ran["stored_at_kill"]
    for device in ran["chain"].fleet.boards:
        boots = {boot for name, boot, _ in keys if name == device}
        assert len(boots) == 1, "no board restarted"


def test_no_board_crashed_or_restarted(ran: dict[str, Any]) -> None:
    assert set(ran["crashes"].values()) == {0}
    assert set(ran["resets"].values()) == {1}


def test_relay_keeps_its_minimum_times(ran: dict[str, Any]) -> None:
    """Between two changes of the set state at least min_on/min_off (30 s) pass, as recorded."""
    by_board: dict[str, list[dict[str, Any]]] = {}
    for record in sorted(decisions(ran), key=lambda r: (r["dev"], r["seq"])):
        by_board.setdefault(record["dev"], []).append(record)
    for name, records in by_board.items():
        switched_ms = None
        for earlier, later in itertools.pairwise(records):
            if earlier["set"] == later["set"] or later["rule"] in ("overtemp", "sensor_loss"):
                continue
            if switched_ms is not None:
                assert later["ms"] - switched_ms >= 30_000, (name, later)
            switched_ms = later["ms"]
        assert switched_ms is not None, f"{name} never switched"


def test_fans_that_obey_raise_no_alarm(ran: dict[str, Any]) -> None:
    alarms = [record for record in ran["stored"] if record["t"] == "alarm"]
    raised = {(r["dev"], r["kind"], r["why"]) for r in alarms if r["on"]}
    assert {kind for _, kind, _ in raised} <= {"anomaly"}, raised


def test_explanations_are_what_the_model_says(ran: dict[str, Any]) -> None:
    bundle = load_bundle(BUNDLES / "cooling")
    explained = [record for record in decisions(ran) if record["phi"]]
    assert len(explained) >= 9
    for record in explained:
        assert record["phi"]["err"] == 0
        result = check(record, bundle)
        assert result.ok, str(result)


def test_every_decision_has_a_reason(ran: dict[str, Any]) -> None:
    assert all("because" in record["why"] for record in decisions(ran))


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_page_shows_a_decision_with_its_reason(ran: dict[str, Any], tmp_path: Path) -> None:
    with browse(ran["chain"].bridge.url) as page:
        page.wait_for(".decision .phi-bar")
        reasons = "[...document.querySelectorAll('.reason')].map(e => e.textContent)"
        boards = "[...document.querySelectorAll('.board')].map(e => e.dataset.device)"
        names = sorted(ran["chain"].fleet.boards)
        eventually(lambda: sorted(page.js(boards)) == names, PATIENCE_S, "all boards on the page")
        eventually(
            lambda: any("because" in each for each in page.js(reasons)), PATIENCE_S, "a reason"
        )
        assert page.errors == []
