"""What a process used, from /proc (Linux)."""

import os
from dataclasses import dataclass
from pathlib import Path

CORES = 2
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU seconds (user and system, all threads), seconds that its threads could have run and the
    machine had no core for them, and resident memory of a process.
    """

    cpu_s: float
    queued_s: float
    rss_mb: float
    peak_mb: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        """Raises OSError when it is gone."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
        kb = {
            name: int(line.split()[1])
            for line in status.splitlines()
            if (name := line.partition(":")[0]) in ("VmRSS", "VmHWM")
        }
        ticks = int(fields[11]) + int(fields[12])
        queued_ns = sum(
            int(each.read_text().split()[1])
            for each in Path(f"/proc/{pid}/task").glob("*/schedstat")
        )
        return cls(ticks * TICK_S, queued_ns / 1e9, kb["VmRSS"] / 1024, kb["VmHWM"] / 1024)


def percentile(values: list[float], part: float) -> float:
    """The smallest value that `part` of all do not exceed; nan of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
