"""From feature columns to raw int8 rows, from raw outputs to units: docs/bundle.md in arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.cognition.features import UNITS
from training.features import choose_scale, scaled

Ints = NDArray[np.int64]
Bytes = NDArray[np.int8]

ACTION_Q = (-64, 64)
"""Raw input of the action behind the features: off, on."""


@dataclass(frozen=True)
class Feature:
    """One entry of a manifest's `features`."""

    name: str
    offset: int
    mul: int
    shift: int

    def entry(self) -> dict[str, object]:
        return {
            "name": self.name,
            "unit": UNITS[self.name],
            "offset": self.offset,
            "mul": self.mul,
            "shift": self.shift,
        }

    def step(self) -> float:
        """What one int8 step is worth, in the feature's unit."""
        return float(1 << self.shift) / self.mul


def spread(name: str, low: float, high: float) -> Feature:
    """A feature whose int8 range covers low..high."""
    return Feature(name, *choose_scale(low, high))


def rows(features: list[Feature], columns: dict[str, Ints], at: Ints | None = None) -> Bytes:
    """Raw int8 rows, one per sample (of the samples `at`)."""
    picked = [columns[f.name] if at is None else columns[f.name][at] for f in features]
    return np.stack(
        [scaled(c, f.offset, f.mul, f.shift) for c, f in zip(picked, features, strict=True)], axis=1
    )


def with_action(features: Bytes, action: Ints) -> Bytes:
    """Rows with the action's raw value behind the features; `action` is 0 or 1 per row."""
    q = np.where(action > 0, ACTION_Q[1], ACTION_Q[0]).astype(np.int8)
    return np.concatenate([features, q[:, None]], axis=1)


@dataclass(frozen=True)
class OutputScale:
    """value = (q - zero_point) * num >> shift, rounded half up."""

    num: int
    shift: int

    @classmethod
    def of(cls, lsb: float) -> "OutputScale":
        """The integers nearest to `lsb` units per output step, num below 2^21."""
        shift = 1
        while lsb * (1 << (shift + 1)) < (1 << 21) and shift < 24:
            shift += 1
        return cls(round(lsb * (1 << shift)), shift)

    def value(self, q: Bytes, zero_point: int) -> Ints:
        """Values in the output's unit, the rounding of the board."""
        return (
            (q.astype(np.int64) - zero_point) * self.num + (1 << (self.shift - 1))
        ) >> self.shift
