"""What Prometheus scrapes at /metrics of the web gateway: boards, links, store and gateways.

Names and units follow https://prometheus.io/docs/practices/naming/: base units in names, counters
end in _total. A Grafana dashboard and alert rules are in deploy/.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from host.bridge import VERSION
from host.bridge.core import Core
from host.bridge.errors import StoreBusy
from host.bridge.records import Record
from host.bridge.registry import Board, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Family = GaugeMetricFamily | CounterMetricFamily | InfoMetricFamily

# Member of telemetry: metric, help, factor to the unit in the name.
READINGS: dict[str, tuple[str, str, float]] = {
    "case_mc": ("case_temperature_celsius", "Temperature of the case", 0.001),
    "ambient_mc": ("ambient_temperature_celsius", "Temperature of the inlet air", 0.001),
    "power_mw": ("power_watts", "Electrical power of what is cooled", 0.001),
    "supply_mv": ("supply_volts", "Supply voltage", 0.001),
    "fan_rpm": ("fan_speed_rpm", "Speed of the fan in revolutions per minute", 1),
    "fan": ("fan_on", "Whether the fan is switched on", 1),
    "fc_off_mc": ("forecast_off_celsius", "Forecast of the case with the fan off", 0.001),
    "fc_on_mc": ("forecast_on_celsius", "Forecast of the case with the fan on", 0.001),
    "score": ("anomaly_score", "Score of the anomaly model", 1),
    "thr": ("anomaly_threshold", "Score from which it counts as an anomaly", 1),
    "ov": ("override_seconds", "How long a command still overrides the policy", 1),
}
HEALTH: dict[str, tuple[str, str, float]] = {
    "free": ("heap_free_bytes", "Free heap", 1),
    "min_free": ("heap_free_min_bytes", "Least free heap since the start", 1),
    "loop_ms": ("loop_worst_seconds", "Longest control period", 0.001),
    "up_s": ("uptime_seconds", "Time since the board started", 1),
}
LINK_COUNTERS = {
    "frames": "Frames received",
    "durable": "Durable frames received, repeats among them",
    "damaged": "Frames damaged on the way",
    "invalid": "Frames with wrong content",
    "gaps": "Gaps in the numbers of durable frames",
    "duplicates": "Durable frames that came again",
    "volatile_lost": "Telemetry lost on the way",
    "throttled": "Telemetry dropped because it came too fast",
    "writes_dropped": "Frames to the board that it did not take",
    "text_bytes": "Bytes of text outside frames",
    "connects": "Times the link was opened",
}


async def metrics(core: Core) -> bytes:
    """The text of one scrape."""
    waiting: dict[str, int] = {}
    size = None
    try:
        for name, delivery in list(core.deliveries.items()):
            waiting[name] = await delivery.waiting()
        size = await core.writer.call(core.store.used_bytes)
    except StoreBusy:
        pass  # said by fanwise_store_up; what was counted until then is right
    families = []
    for family in _families(core, waiting, size):
        families.append(family)
        # Thousands of boards take half a second: others have their turn in between, and meanwhile.
        await asyncio.sleep(0)
    return await asyncio.to_thread(_text, families)


def _text(families: list[Family]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(families))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> list[Family]:
        return self._families


def _families(core: Core, waiting: dict[str, int], size: int | None) -> Iterator[Family]:
    boards = sorted(core.registry.boards.values(), key=lambda board: board.device)
    yield InfoMetricFamily("fanwise_bridge", "The bridge", {"version": VERSION})
    yield from _boards(boards)
    yield from _links(core)
    yield _gauge("store_up", "Whether the store takes records", [((), not core.writer.problem)])
    if size is not None:
        yield _gauge("store_size_bytes", "Room the records take", [((), size)])
    yield _counter("records_stored", "Durable records stored", [((), core.writer.stored)])
    yield _counter(
        "records_repeated", "Records that were stored before", [((), core.writer.duplicates)]
    )
    yield _gauge(
        "gateway_waiting_records",
        "Records stored that a gateway has not delivered yet",
        [((name,), count) for name, count in sorted(waiting.items())],
        ("gateway",),
    )
    yield _gauge(
        "broker_connected",
        "Whether a gateway's broker takes messages",
        [((name,), works) for name, works in sorted(core.brokers.items())],
        ("gateway",),
    )


def _boards(boards: list[Board]) -> Iterator[Family]:
    yield _gauge(
        "board_status",
        "Status: the one that is 1",
        [((b.device, each.value), b.status is each) for b in boards for each in Status],
        ("device", "status"),
    )
    yield _gauge(
        "board_up",
        "Whether frames come from the board",
        [((board.device,), board.status is Status.ONLINE) for board in boards],
        ("device",),
    )
    yield _gauge(
        "reading_age_seconds",
        "Time since the newest reading",
        [((b.device,), time.time() - b.tel_at) for b in boards if b.tel_at],
        ("device",),
    )
    # What a board said before it went away is no reading of now.
    live = [board for board in boards if board.status is Status.ONLINE]
    for key, (name, text, factor) in READINGS.items():
        yield _gauge(name, text, _values(live, "tel", key, factor), ("device",))
    for key, (name, text, factor) in HEALTH.items():
        yield _gauge(f"board_{name}", text, _values(live, "health", key, factor), ("device",))
    limits = [((b.device,), b.limit_mc / 1000) for b in live if b.limit_mc]
    yield _gauge("limit_celsius", "Limit of the case's temperature", limits, ("device",))
    yield _gauge(
        "alarm_active",
        "Alarms raised and not cleared",
        [((b.device, *_alarm(alarm)), 1) for b in boards for alarm in b.alarms.values()],
        ("device", "kind", "of"),
    )


def _alarm(alarm: Record) -> tuple[str, str]:
    """Its kind, and what it is of: a sensor's alarm names the sensor, and two may be lost."""
    return alarm.body["kind"], alarm.body.get("of") or ""


def _values(
    boards: list[Board], part: str, key: str, factor: float
) -> Iterator[tuple[tuple[str, ...], float]]:
    for board in boards:
        value = getattr(board, part).get(key)
        if value is not None:
            yield (board.device,), round(value * factor, 6)


def _links(core: Core) -> Iterator[Family]:
    labels = ("link", "device")
    found = [((link.path, link.device or ""), link.stats) for link in core.links]
    for key, text in LINK_COUNTERS.items():
        values = [(names, getattr(stats, key)) for names, stats in found]
        yield _counter(f"link_{key}", text, values, labels)
    missing = [(names, stats.missing) for names, stats in found]
    yield _gauge("link_missing_frames", "Durable frames skipped, not yet repeated", missing, labels)


Values = Iterable[tuple[tuple[str, ...], Any]]


def _gauge(name: str, text: str, values: Values, labels: tuple[str, ...] = ()) -> Family:
    family = GaugeMetricFamily(f"fanwise_{name}", text, labels=labels)
    for names, value in values:
        family.add_metric(names, float(value))
    return family


def _counter(name: str, text: str, values: Values, labels: tuple[str, ...] = ()) -> Family:
    family = CounterMetricFamily(f"fanwise_{name}", text, labels=labels)
    for names, value in values:
        family.add_metric(names, float(value))
    return family
