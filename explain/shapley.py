"""Recompute what a board sent: its Shapley values, its forecasts, its score.

The board's own code computes them (agent.cognition), from the bundle and the feature values in the
record; so a record is right exactly when the integers are equal.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from agent.cognition.anomaly import Anomaly
from agent.cognition.cooling import Cooling
from agent.cognition.explainer import Explainer
from explain.errors import RecordError, WrongBundleError
from training.bundle import Bundle

Json = dict[str, Any]
LSB_TOLERANCE = 1e-4
"""Relative: a board prints `lsb` as a single-precision float."""


class _Window:
    """A record's feature values where the board's code expects its window."""

    def __init__(self, values: dict[str, int]):
        self._values = values
        self.case_mc = values.get("case_mc", 0)

    def value(self, name: str) -> int:
        return self._values[name]


class _Loaded:
    """A bundle with the members the board's models read."""

    def __init__(self, bundle: Bundle):
        manifest = bundle.manifest
        self.name = bundle.id
        self.model = bundle.engine()
        self.specs = [(f["name"], f["offset"], f["mul"], f["shift"]) for f in manifest["features"]]
        self.names = [spec[0] for spec in self.specs]
        self.baseline = [tuple(row) for row in manifest["baseline"]]
        if bundle.role == "cooling":
            self.horizon_s = manifest["horizon_s"]
            by_fan = {action["fan"]: action["q"] for action in manifest["actions"]}
            self.off_q, self.on_q = by_fan[0], by_fan[1]
            self.scale_num = manifest["output"]["scale_num"]
            self.scale_shift = manifest["output"]["scale_shift"]
        else:
            self.in_mul = manifest["diff"]["in_mul"]
            self.out_mul = manifest["diff"]["out_mul"]
            self.shift = manifest["diff"]["shift"]


@dataclass(frozen=True)
class Recomputed:
    """What a board must have sent. `phi` is the block of docs/decision-record.md; `values` are its
    Shapley values in `unit`, exactly."""

    phi: Json
    values: dict[str, Fraction]
    base: Fraction
    unit: str
    fc_off_mc: int | None = None
    fc_on_mc: int | None = None
    score: int | None = None


@dataclass(frozen=True)
class Check:
    """`ok`, or every difference in words."""

    differences: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        return "as the board sent it" if self.ok else "; ".join(self.differences)


def recompute(bundle: Bundle, record: Json) -> Recomputed:
    """Run the bundle's model on a record's feature values and explain it.

    Raises RecordError when the record lacks a feature, WrongBundleError when it names another
    bundle.
    """
    _same_bundle(bundle, record)
    loaded = _Loaded(bundle)
    window = _Window(_features(record, loaded.names))
    subject = Cooling(loaded, window) if bundle.role == "cooling" else Anomaly(loaded, window)
    found: Json = {}
    if isinstance(subject, Cooling):
        subject.forecast()
        found = {"fc_off_mc": subject.fc_off_mc, "fc_on_mc": subject.fc_on_mc}
        lsb = Fraction(loaded.scale_num, 1 << loaded.scale_shift)
    else:
        subject.judge()
        found = {"score": subject.score}
        lsb = Fraction(1)
    explainer = Explainer()
    explainer.begin(subject, bytes_as_ints(subject.features.row))
    # One call with room for all coalitions: nothing else needs the processor here.
    phi, _ = explainer.work((len(loaded.baseline) << len(loaded.names)) + 1)
    values = {
        name: Fraction(num, phi["den"]) * lsb
        for name, num in zip(phi["names"], phi["num"], strict=True)
    }
    base = Fraction(phi["base_num"], phi["den"]) * lsb
    return Recomputed(phi, values, base, phi["unit"], **found)


def check(record: Json, bundle: Bundle) -> Check:
    """Is what the board sent right? Compares every integer of its explanation and its forecasts.

    Raises RecordError and WrongBundleError like `recompute`.
    """
    sent = record.get("phi")
    if not isinstance(sent, dict):
        raise RecordError(f"{name_of(record)} carries no phi block: no model decided it")
    right = recompute(bundle, record)
    found = []
    for key in ("of", "unit", "names", "num", "den", "base_num", "err", "bid"):
        if sent.get(key) != right.phi[key]:
            found.append(f"phi.{key} is {sent.get(key)!r}, {right.phi[key]!r} is right")
    lsb = sent.get("lsb")
    if not isinstance(lsb, int | float) or abs(lsb - right.phi["lsb"]) > LSB_TOLERANCE * abs(
        right.phi["lsb"]
    ):
        found.append(f"phi.lsb is {lsb!r}, {right.phi['lsb']!r} is right")
    for key in ("fc_off_mc", "fc_on_mc", "score"):
        value = getattr(right, key)
        if value is not None and key in record and record[key] != value:
            found.append(f"{key} is {record[key]!r}, {value} is right")
    return Check(found)


def additive(phi: Json) -> bool:
    """Does the block say of itself that it adds up?"""
    return phi.get("err") == 0


def bytes_as_ints(row: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in row)


def name_of(record: Json) -> str:
    """A record as people find it again."""
    kind = {"dec": "decision", "alarm": "alarm"}.get(str(record.get("t")), "record")
    return f"{kind} {record.get('boot')}/{record.get('seq')}"


def _same_bundle(bundle: Bundle, record: Json) -> None:
    sent = record.get("phi")
    named = sent.get("bid") if isinstance(sent, dict) else None
    if named is not None and named != bundle.id + "#b":
        raise WrongBundleError(
            f"{name_of(record)} was explained with {str(named)[:40]}, the bundle is {bundle.id}: "
            "give the bundle that was on the board"
        )


def _features(record: Json, names: list[str]) -> dict[str, int]:
    values = record.get("in")
    if not isinstance(values, dict):
        raise RecordError(f"{name_of(record)} carries no feature values (`in`)")
    missing = [n for n in names if not isinstance(values.get(n), int)]
    if missing:
        raise RecordError(f"{name_of(record)} lacks the feature {', '.join(missing)}")
    return {key: value for key, value in values.items() if isinstance(value, int)}
