"""A decision as a waterfall: from usual operation to what the model says now. Needs matplotlib."""

import io
from typing import Any

from explain.errors import ExplainError
from explain.shapley import name_of
from explain.text import base, contributions

Json = dict[str, Any]


def waterfall(record: Json, title: str = "") -> bytes:
    """A PNG of the shares of a record's phi block. Raises RecordError, ExplainError."""
    shares = contributions(record)
    plt = _pyplot()
    at = base(record)
    figure, axes = plt.subplots(figsize=(7.5, 0.45 * len(shares) + 1.9))
    labels = ["usual operation"]
    axes.barh(0, at, color="0.6")
    axes.annotate(f" {at:+.2f}", (max(at, 0.0), 0), va="center", fontsize=9)
    values = record.get("in") or {}
    for row, share in enumerate(shares, start=1):
        colour = "tab:red" if share.value > 0 else "tab:blue"
        axes.barh(row, share.value, left=at, color=colour)
        axes.plot([at, at], [row - 1.4, row + 0.4], color="0.5", lw=0.8)
        edge = max(at, at + share.value)
        axes.annotate(f" {share.value:+.2f}", (edge, row), va="center", fontsize=9)
        at += share.value
        labels.append(f"{share.words} ({_reading(share.name, values.get(share.name))})")
    axes.barh(len(shares) + 1, at, color="0.3")
    axes.annotate(f" {at:+.2f}", (max(at, 0.0), len(shares) + 1), va="center", fontsize=9)
    labels.append("score" if record["phi"].get("of") == "score" else "forecast change")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.use_sticky_edges = False  # bars would keep the labels from their margin
    axes.margins(x=0.15)
    axes.axvline(0.0, color="0.2", lw=0.8)
    axes.set_xlabel(
        f"{shares[0].unit} (red warms, blue cools)" if shares[0].unit == "K" else "points"
    )
    axes.set_title(title or name_of(record), fontsize=10, loc="left", wrap=True)
    figure.tight_layout()
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=90)
    plt.close(figure)
    return sink.getvalue()


def _reading(name: str, value: object) -> str:
    if not isinstance(value, int):
        return "?"
    if name.endswith("_mc"):
        return f"{value / 1000:.1f} °C"
    if name.endswith("_mk"):
        return f"{value / 1000:+.1f} K"
    if name.endswith("_mw"):
        return f"{value / 1000:.1f} W"
    if name.endswith("_pm"):
        return f"{value / 10:.0f} %"
    return f"{value} rpm" if name.endswith("_rpm") else str(value)


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise ExplainError(
            f"matplotlib is not installed ({error}): `./run train` installs it"
        ) from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt
