"""Where records are kept, and for how long."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StoreConfig:
    path: Path = Path("run-state/fanwise.db")
    max_age_days: int = 365
    max_mb: int = 512
    telemetry_every_s: int = 10
