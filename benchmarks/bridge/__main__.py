"""Prints what the bridge costs: `python -m benchmarks.bridge`. Linux, with mosquitto installed."""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.bridge import in_process, loads, thingsboard
from benchmarks.bridge.measured import CORES, percentile
from benchmarks.bridge.running import MOSQUITTO

ROWS = ("start", "opcua", "serial", "mqtt", "saturated", "thingsboard")
THINGSBOARD_BOARDS = 200


def main() -> None:
    parser = argparse.ArgumentParser(prog="invoke bench --bridge", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--times", type=int, default=3, help="of which the best counts")
    parser.add_argument("--only", choices=ROWS, action="append", help="one of the rows")
    parser.add_argument("--thingsboard", type=Path, help="virtual environment it is installed in")
    given = parser.parse_args()
    if MOSQUITTO is None:
        raise SystemExit("mosquitto is not installed: apt install mosquitto")
    print(
        f"CPU: user and system time of the bridge's process, by time on the clock, by {CORES}"
        f" cores. Best of {given.times}; load of this machine now: {os.getloadavg()[0]:.1f}\n"
    )
    for row in given.only or ROWS:
        ROW[row](given)


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fanwise-bench-")


def best(given: argparse.Namespace, work: Callable[[Path], loads.Cost]) -> loads.Cost:
    """Of several: a machine's other work only ever adds. How long frames took is the best run's."""
    found = []
    for _ in range(given.times):
        with _folder() as folder:
            found.append(work(Path(folder)))
    cheapest = min(found, key=lambda cost: (cost.cpu_s, cost.queued_s))
    cheapest.took_ms = max(found, key=lambda cost: cost.within()).took_ms
    return cheapest


def start(given: argparse.Namespace) -> None:
    with _folder() as folder:
        wall_s, cpu_s = loads.start_up(Path(folder), given.times)
    print(f"start until it answers: {wall_s:.2f} s, {cpu_s:.2f} s of CPU")


def opcua(given: argparse.Namespace) -> None:
    runs = []
    for _ in range(given.times):
        with _folder() as folder:
            runs.append(loads.opcua_start(Path(folder)))
    took = min(runs, key=max)
    median, most = percentile(took, 0.5), percentile(took, 0.99)
    print(
        f"{len(took)} requests while the OPC UA server starts: median {median:.1f} ms,"
        f" 99 % {most:.1f} ms, at most {max(took):.1f} ms"
    )


def serial(given: argparse.Namespace) -> None:
    cost = best(given, lambda folder: loads.serial(folder, 200, given.seconds))
    print(f"200 boards on ptys at 1 Hz: {cost.told()}")


def mqtt(given: argparse.Namespace) -> None:
    cost = best(given, lambda folder: loads.behind_a_broker(folder, 2000, given.seconds))
    print(f"2000 boards behind mosquitto at 1 Hz: {cost.told()}")


def saturated(given: argparse.Namespace) -> None:
    core = max(in_process.records_per_cpu_s() for _ in range(given.times))
    print(f"records parsed, checked and stored in one process: {core:,.0f} per second of CPU")
    cost = best(given, lambda folder: loads.saturated(folder, 200, given.seconds))
    stored = cost.counted["stored"]
    print(
        f"200 boards on ptys, saturated: {stored / cost.wall_s:,.0f} records/s stored and"
        f" acknowledged, {stored / cost.cpu_s:,.0f} per second of CPU; {cost.told()}"
    )


def beside(given: argparse.Namespace) -> None:
    if given.thingsboard is None:
        print("ThingsBoard Gateway: left out, --thingsboard names no virtual environment with it")
        return
    boards = THINGSBOARD_BOARDS
    ours = best(
        given, lambda folder: loads.behind_a_broker(folder, boards, given.seconds, decide_s=1e9)
    )
    theirs: list[Any] = []
    for _ in range(given.times):
        with _folder() as folder:
            theirs.append(
                thingsboard.measured(Path(folder), given.thingsboard, boards, given.seconds)
            )
    their_s, their_usage = min(theirs, key=lambda each: each[0])
    our_s = ours.cpu_s / (boards * ours.wall_s)
    print(
        f"{boards} boards at 1 Hz, ThingsBoard Gateway beside the bridge: "
        f"{their_s / our_s:.2f} times the CPU per reading"
        f" ({their_s * 1e6:.0f} and {our_s * 1e6:.0f} us), "
        f"{their_usage.rss_mb / ours.usage.rss_mb:.2f} times the memory"
        f" ({their_usage.rss_mb:.0f} and {ours.usage.rss_mb:.0f} MB)"
    )


ROW = {
    "start": start, "opcua": opcua, "serial": serial, "mqtt": mqtt, "saturated": saturated,
    "thingsboard": beside,
}  # fmt: skip

if __name__ == "__main__":
    main()
