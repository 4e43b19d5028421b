"""Recorded data for tests: the files of a set, or a skip that says why."""

from pathlib import Path

import pytest

from training import datasets


def need(source: str) -> list[Path]:
    """Files of a recorded set on this machine; tests never download."""
    paths = datasets.find(source)
    if paths is None:
        pytest.skip(f"recorded set {source} is not on this machine (set FANWISE_DATA)")
    return paths
