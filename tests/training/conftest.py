"""What several training tests share."""

import os
from pathlib import Path

import pytest

from training.bundle import Bundle, load_bundle

# TensorFlow looks at this once, whichever test of a process is the first to import it; what it
# would say depends on how busy the machine is and what memory is free.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHIPPED = Path(__file__).resolve().parents[2] / "training" / "bundles"


@pytest.fixture(scope="session")
def shipped() -> dict[str, Bundle]:
    return {role: load_bundle(SHIPPED / role) for role in ("cooling", "anomaly")}
