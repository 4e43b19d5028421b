"""A record's explanation in words and units."""

from dataclasses import dataclass
from typing import Any

from agent.rare.words import WORDS
from explain.errors import RecordError
from explain.shapley import name_of

Json = dict[str, Any]


@dataclass(frozen=True)
class Contribution:
    """One feature's share: `value` in `unit` (K for forecasts, score points for the score)."""

    name: str
    words: str
    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.words} {self.value:+.1f} {self.unit}"


def contributions(record: Json) -> list[Contribution]:
    """The shares of a record's phi block, largest first. Raises RecordError without one."""
    phi = record.get("phi")
    if not isinstance(phi, dict):
        raise RecordError(f"{name_of(record)} carries no phi block: no model decided it")
    factor, unit = _factor(phi)
    try:
        shares = [
            Contribution(name, WORDS.get(name, name), num * factor, unit)
            for name, num in zip(phi["names"], phi["num"], strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{name_of(record)}: its phi block is damaged ({error})") from error
    return sorted(shares, key=lambda share: -abs(share.value))


def base(record: Json) -> float:
    """What the model says of usual operation, in the unit of `contributions`."""
    factor, _ = _factor(record["phi"])
    return float(record["phi"]["base_num"]) * factor


def sentence(record: Json, most: int = 3) -> str:
    """One sentence: where the explained value comes from."""
    shares = contributions(record)
    usual = base(record)
    total = usual + sum(share.value for share in shares)
    named = [str(share) for share in shares[:most] if abs(share.value) >= 0.05]
    rest = sum(share.value for share in shares[len(named) :])
    unit = shares[0].unit
    if record["phi"].get("of") == "score":
        head = f"Score {total:.0f}: {usual:.0f} in usual operation"
    else:
        head = f"{total:+.1f} {unit} within a minute with the fan off: {usual:+.1f} {unit} usually"
    parts = [head, *named]
    if abs(rest) >= 0.05:
        parts.append(f"all else {rest:+.1f} {unit}")
    return ", ".join(parts)


def _factor(phi: Json) -> tuple[float, str]:
    try:
        factor = float(phi["lsb"]) / int(phi["den"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise RecordError(f"a phi block is damaged ({error})") from error
    if phi.get("unit") == "mK":
        return factor / 1000.0, "K"
    return factor, "points"
