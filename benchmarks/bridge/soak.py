"""24 hours of boards' time at 100 times the pace: what a day leaves in memory.

python -m benchmarks.bridge.soak --hours 24 --speed 100
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

from benchmarks.bridge.measured import Usage
from benchmarks.bridge.running import Bridge, counts, mosquitto, played

POINTS = 24


def soak(folder: Path, hours: float, speed: float, boards: int) -> list[Usage]:
    """RSS after the first minutes and then POINTS times, printed as they come.

    A board says one reading a second and a record a minute of its own time; `speed` times that on
    the line. Bounds that hold by the clock (charts, pauses) run at the clock's pace.
    """
    ports = [str(folder / str(n)) for n in range(boards)]
    words = ("--boards", boards, "--period-s", 1 / speed, "--decide-s", 60 / speed)
    found = []
    with mosquitto(folder) as broker, played("on_serial", folder, *words) as players:
        toml = (
            f'ports = {ports}\n[mqtt]\nurl = "mqtt://127.0.0.1:{broker}"\n'
            f'[file]\npath = "{folder}/records.jsonl"\nkinds = ["decisions"]\n'
        )
        with Bridge(folder, toml) as bridge:
            bridge.wait_online(boards)
            begun = time.monotonic()
            for point in range(POINTS + 1):
                until = begun + point / POINTS * hours * 3600 / speed
                time.sleep(max(0.0, until - time.monotonic()))
                usage = bridge.usage()
                found.append(usage)
                passed = (time.monotonic() - begun) * speed / 3600
                stored = bridge.get("/api/boards")["stored"]
                print(f"{passed:5.1f} h  {usage.rss_mb:6.1f} MB  {stored} records", flush=True)
        print(counts(players))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--speed", type=float, default=100)
    parser.add_argument("--boards", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), given.hours, given.speed, given.boards)
    hour = min(POINTS, math.ceil(POINTS / given.hours))
    start, first, last = found[0].rss_mb, found[hour].rss_mb, found[-1].rss_mb
    print(f"RSS: {start:.1f} MB at the start, {first:.1f} after an hour, {last:.1f} at the end")


if __name__ == "__main__":
    main()
