"""Loads: each runs a bridge for some seconds and says what it cost."""

import http.client
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bridge.measured import CORES, Usage, percentile
from benchmarks.bridge.running import Bridge, counts, mosquitto, played

SETTLE_S = 5.0
PAUSE_S = 0.004
SOON_MS = 20


@dataclass
class Cost:
    """What a bridge used in `wall_s`, and how long frames took, in ms, by who saw them."""

    wall_s: float
    cpu_s: float
    queued_s: float
    usage: Usage
    counted: dict[str, int]
    took_ms: dict[str, list[float]] = field(default_factory=dict)

    @property
    def percent(self) -> float:
        """Of all CORES."""
        return 100 * self.cpu_s / self.wall_s / CORES

    def within(self) -> float:
        """Part of all frames seen within SOON_MS."""
        took = [each for seen in self.took_ms.values() for each in seen]
        return sum(each <= SOON_MS for each in took) / max(1, len(took))

    def told(self) -> str:
        queued = 100 * self.queued_s / self.wall_s
        lines = [
            f"{self.percent:.1f} % CPU of {CORES} cores, {self.usage.rss_mb:.0f} MB RSS"
            f" (peak {self.usage.peak_mb:.0f}), {queued:.0f} % of the time waiting"
            " for a core"
        ]
        for where, took in self.took_ms.items():
            if took:
                parts = [percentile(took, part) for part in (0.5, 0.99)]
                within = 100 * sum(each <= SOON_MS for each in took) / len(took)
                lines.append(
                    f"    {where}: {len(took)} seen, median {parts[0]:.1f} ms, 99 %"
                    f" {parts[1]:.1f} ms, {within:.2f} % within {SOON_MS} ms"
                )
        return "\n".join(lines)


def start_up(folder: Path, times: int = 3) -> tuple[float, float]:
    """(seconds, CPU seconds) until a bridge with page and MQTT answers; the best of `times`."""
    found = []
    with mosquitto(folder) as port:
        for _ in range(times):
            toml = f'ports = ["{folder}/none"]\n[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\n'
            with Bridge(folder, toml) as bridge:
                found.append((bridge.start_s, bridge.start_cpu_s))
    return min(found)


def opcua_start(folder: Path) -> list[float]:
    """Milliseconds each of the requests took that were made while the OPC UA server starts."""
    took = []
    with Bridge(folder, f'ports = ["{folder}/none"]\n', "--opcua", "127.0.0.1:0") as bridge:
        page = http.client.HTTPConnection(bridge.url.rpartition("/")[2])
        while "opcua ready" not in (folder / "log").read_text():
            for _ in range(10):
                begun = time.monotonic()
                page.request("GET", "/health")
                page.getresponse().read()
                took.append(1000 * (time.monotonic() - begun))
                time.sleep(PAUSE_S)
        page.close()
    return took


def serial(folder: Path, boards: int, seconds: float) -> Cost:
    """Boards on ptys at 1 Hz; MQTT gateway with a subscriber, and one open page."""
    ports = [str(folder / str(n)) for n in range(boards)]
    with mosquitto(folder) as broker, played("on_serial", folder, "--boards", boards) as players:
        toml = f'ports = {ports}\n[mqtt]\nurl = "mqtt://127.0.0.1:{broker}"\n'
        with Bridge(folder, toml) as bridge:
            bridge.wait_online(boards)
            web = bridge.url.rpartition(":")[2]
            with (
                played("watch", "mqtt", broker) as at_mqtt,
                played("watch", "page", web) as at_page,
            ):
                cost = _measured(bridge, seconds, at_mqtt, at_page)
                for name, seen in (("MQTT", counts(at_mqtt)), ("page", counts(at_page))):
                    cost.took_ms |= {f"{what} at {name}": took for what, took in seen.items()}
            cost.counted = counts(players)
    return cost


def behind_a_broker(
    folder: Path, boards: int, seconds: float, page: bool = False, decide_s: float = 60.0
) -> Cost:
    """Boards behind a broker at 1 Hz; MQTT gateway on the same broker with a subscriber."""
    with mosquitto(folder) as broker:
        url = f'url = "mqtt://127.0.0.1:{broker}"\n'
        with (
            Bridge(folder, f"[mqtt_boards]\n{url}[mqtt]\n{url}") as bridge,
            played("on_mqtt", broker, "--boards", boards, "--decide-s", decide_s) as players,
        ):
            bridge.wait_online(boards)
            web = bridge.url.rpartition(":")[2]
            watch = ("page", web) if page else ("mqtt", broker)
            with played("watch", *watch) as watcher:
                cost = _measured(bridge, seconds, watcher)
                seen = counts(watcher)
                cost.took_ms = {f"{what} at {watch[0]}": took for what, took in seen.items()}
            cost.counted = counts(players)
    return cost


def saturated(folder: Path, boards: int, seconds: float) -> Cost:
    """Records on ptys as fast as they are acknowledged; `counted["stored"]` in the time taken."""
    ports = [str(folder / str(n)) for n in range(boards)]
    words = ("--boards", boards, "--saturate", "--period-s", 0)
    with (
        played("on_serial", folder, *words) as players,
        Bridge(folder, f"ports = {ports}\n") as bridge,
    ):
        bridge.wait_online(boards)
        time.sleep(SETTLE_S)
        before = bridge.get("/api/boards")["stored"]
        cost = _measured(bridge, seconds)
        stored = bridge.get("/api/boards")["stored"] - before
        cost.counted = counts(players) | {"stored": stored}
    return cost


def _measured(bridge: Bridge, seconds: float, *watchers: object) -> Cost:
    time.sleep(SETTLE_S)
    for watcher in watchers:
        watcher.stdin.write("\n")  # type: ignore[attr-defined]
        watcher.stdin.flush()  # type: ignore[attr-defined]
    begun, before = time.monotonic(), bridge.usage()
    time.sleep(seconds)
    after, wall_s = bridge.usage(), time.monotonic() - begun
    cpu_s, queued_s = after.cpu_s - before.cpu_s, after.queued_s - before.queued_s
    return Cost(wall_s, cpu_s, queued_s, after, {})
