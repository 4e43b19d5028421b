"""What several training tests share."""

from pathlib import Path

import pytest

from training.bundle import Bundle, load_bundle

SHIPPED = Path(__file__).resolve().parents[2] / "training" / "bundles"


@pytest.fixture(scope="session")
def shipped() -> dict[str, Bundle]:
    return {role: load_bundle(SHIPPED / role) for role in ("cooling", "anomaly")}
