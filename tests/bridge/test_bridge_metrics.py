"""/metrics as promtool reads it; dashboard and alert rules ask only for what is there."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from host.bridge import config
from host.bridge.service import Service
from host.gateways import prometheus
from tests.bridge.conftest import ROOT, Bridge, eventually
from tests.bridge.fake_board import FakeBoard
from tests.bridge.mosquitto import Mosquitto, needs_mosquitto
from tests.provision import find_peer

PROMTOOL = find_peer("promtool")
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "fanwise.json"
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def scraped(bridge: Bridge, board: FakeBoard, mosquitto: Mosquitto) -> tuple[str, Samples]:
    bridge.start("--port", str(board.path), "--broker", f"mqtt://127.0.0.1:{mosquitto.port}")
    eventually(lambda: bridge.status("box-one") == "online")
    board.tel(case_mc=44310, fan=1, power_mw=5120)
    board.volatile(
        "health", free=40960, min_free=20480, loop_ms=250, late=0, crashes=0, err=0, up_s=60
    )
    board.durable("alarm", kind="fan", on=1, why="it stands still", val=0)
    for sensor in ("case", "ambient"):  # two lost are two series: one would be refused as double
        board.durable("alarm", kind="sensor", of=sensor, on=1, why="no answer", val=None)
    board.decide(limit_mc=47000)  # the birth said 45
    eventually(lambda: not board.queue)
    eventually(
        lambda: 'fanwise_alarm_active{device="box-one",kind="fan",of=""} 1.0' in text(bridge)
    )
    eventually(lambda: 'fanwise_gateway_waiting_records{gateway="mqtt:home"} 0.0' in text(bridge))
    found = text(bridge)
    samples: Samples = {}
    for family in text_string_to_metric_families(found):
        for sample in family.samples:
            samples[(sample.name, *sample.labels.values())] = sample.value
    return found, samples


def text(bridge: Bridge) -> str:
    status, found = bridge.request("/metrics")
    assert status == 200
    return str(found)


@needs_mosquitto
@needs_promtool
def test_what_promtool_says(scraped: tuple[str, Samples]) -> None:
    found, samples = scraped
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=found, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    expected = {
        ("fanwise_case_temperature_celsius", "box-one"): 44.31,
        ("fanwise_power_watts", "box-one"): 5.12,
        ("fanwise_fan_on", "box-one"): 1,
        ("fanwise_limit_celsius", "box-one"): 47,
        ("fanwise_alarm_active", "box-one", "sensor", "case"): 1,
        ("fanwise_alarm_active", "box-one", "sensor", "ambient"): 1,
        ("fanwise_board_up", "box-one"): 1,
        ("fanwise_board_status", "box-one", "online"): 1,
        ("fanwise_board_status", "box-one", "lost"): 0,
        ("fanwise_board_heap_free_bytes", "box-one"): 40960,
        ("fanwise_board_loop_worst_seconds", "box-one"): 0.25,
        ("fanwise_records_stored_total",): 4,
        ("fanwise_store_up",): 1,
    }
    assert {key: samples.get(key) for key in expected} == expected
    asked = set(re.findall(r"fanwise_[a-z_]+", ALERTS.read_text() + DASHBOARD.read_text()))
    known = {name for name, *_ in samples}
    assert asked <= known, asked - known


@needs_promtool
def test_alert_rules_are_rules() -> None:
    done = subprocess.run([str(PROMTOOL), "check", "rules", str(ALERTS)], capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_one() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])


def test_readings_of_a_board_that_is_gone_are_no_readings(
    bridge: Bridge, board: FakeBoard, tmp_path: Path
) -> None:
    bridge.start("--port", str(board.path))
    eventually(lambda: bridge.status("box-one") == "online")
    board.tel()
    eventually(lambda: "fanwise_case_temperature_celsius{" in text(bridge))
    board.close()
    eventually(lambda: 'fanwise_board_up{device="box-one"} 0.0' in text(bridge))
    assert "fanwise_case_temperature_celsius{" not in text(bridge)


def test_a_scrape_of_thousands_of_boards_lets_others_have_their_turn(tmp_path: Path) -> None:
    async def scenario() -> int:
        flags = {"port": ["/dev/ptmx"], "store": str(tmp_path / "s.db")}
        service = Service(config.load(None, flags))
        for number in range(2000):
            service.core.registry.claim(f"box-{number}", None)
        scrape = asyncio.create_task(prometheus.metrics(service.core))
        turns = 0
        while not scrape.done():
            await asyncio.sleep(0)
            turns += 1
        assert b'fanwise_board_up{device="box-1999"}' in await scrape
        await service.core.writer.drain()
        return turns

    assert asyncio.run(scenario()) > len(prometheus.READINGS)
