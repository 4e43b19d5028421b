"""The gate a model passes before it is released."""

import pytest

from host import reference
from tests.engine.conftest import model_path

needs_tflm = pytest.mark.skipif(
    not reference.reference_available(), reason="the tflite-micro package is not installed"
)


@needs_tflm
@pytest.mark.parametrize(("name", "rows"), [("hello_world", 200), ("ad01", 20)])
def test_identical(name, rows):
    report = reference.compare(model_path(name).read_bytes(), n_random=rows, seed=3)
    assert report.identical
    assert (report.rows, report.differing, report.first_difference) == (rows + 8, 0, None)


@needs_tflm
def test_a_wrong_engine_is_found(monkeypatch):
    """One unit off in one rounding, which few rows reveal."""
    from agent.cognition.engine.ops import fully_connected

    right = fully_connected.requantize

    def wrong(acc, y, o, units, first, high, low, *rest):
        right(acc, y, o, units, first, [h - 1 for h in high], low, *rest)

    monkeypatch.setattr(fully_connected, "requantize", wrong)
    report = reference.compare(model_path("ad01").read_bytes(), n_random=10)
    assert 0 < report.differing <= report.rows
    assert not report.identical
    assert report.first_difference is not None
    assert report.first_difference["engine"] != report.first_difference["reference"]


@needs_tflm
def test_refused_model():
    with pytest.raises(reference.ReferenceFailed, match="refused"):
        reference.run_reference(b"not a model", [])


def test_missing_reference_is_an_error_not_a_pass(monkeypatch):
    monkeypatch.setattr(reference, "reference_available", lambda: False)
    with pytest.raises(reference.ReferenceUnavailable, match="cannot be checked"):
        reference.compare(model_path("hello_world").read_bytes())
