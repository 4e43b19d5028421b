"""Classical methods on the same features: what a network has to beat to be worth its cost."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ridge:
    """Linear regression with a small penalty on standardised columns; the action is one of them."""

    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float

    @classmethod
    def fit(cls, columns: Floats, target: Floats, penalty: float = 1.0) -> "Ridge":
        mean, scale = columns.mean(axis=0), columns.std(axis=0) + 1e-9
        x = (columns - mean) / scale
        gram = x.T @ x + penalty * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x.T @ (target - target.mean()))
        return cls(mean, scale, weights, float(target.mean()))

    def predict(self, columns: Floats) -> Floats:
        return (columns - self.mean) / self.scale @ self.weights + self.intercept


@dataclass(frozen=True)
class PcaMonitor:
    """Principal components: Hotelling's T² inside and Q (squared residual) outside the subspace.

    `score` is the larger of the two, each over its 99.9 % quantile on training data (MacGregor
    & Kourti, Control Engineering Practice 3, 1995).
    """

    mean: Floats
    scale: Floats
    axes: Floats
    variances: Floats
    t2_limit: float
    q_limit: float

    @classmethod
    def fit(cls, columns: Floats, keep: float = 0.9) -> "PcaMonitor":
        mean, scale = columns.mean(axis=0), columns.std(axis=0) + 1e-9
        x = (columns - mean) / scale
        values, vectors = np.linalg.eigh(np.cov(x.T))
        order = np.argsort(values)[::-1]
        values, vectors = values[order], vectors[:, order]
        count = int(np.searchsorted(np.cumsum(values) / values.sum(), keep)) + 1
        first = cls(mean, scale, vectors[:, :count], values[:count], 1.0, 1.0)
        t2, q = first._parts(columns)
        limits = float(np.quantile(t2, 0.999)), float(np.quantile(q, 0.999))
        return cls(mean, scale, first.axes, first.variances, *limits)

    def _parts(self, columns: Floats) -> tuple[Floats, Floats]:
        x = (columns - self.mean) / self.scale
        inside = x @ self.axes
        t2 = (inside**2 / self.variances).sum(axis=1)
        q = ((x - inside @ self.axes.T) ** 2).sum(axis=1)
        return t2, q

    def score(self, columns: Floats) -> Floats:
        t2, q = self._parts(columns)
        return np.maximum(t2 / self.t2_limit, q / self.q_limit)
