"""Ridge regression for few samples: closed form, every sample's error without it for free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.latency.times import FloatArray


@dataclass(frozen=True)
class Ridge:
    """A fitted line on standardised features.

    Attributes:
        mean, scale: of the features, shape `(f,)`.
        intercept: prediction at the features' means.
        weights: per standardised feature, shape `(f,)`.
    """

    mean: FloatArray
    scale: FloatArray
    intercept: float
    weights: FloatArray

    def predict(self, features: FloatArray) -> FloatArray:
        """Values `(n,)` for features `(n, f)`."""
        weights = self.weights / self.scale
        return np.asarray(features @ weights + (self.intercept - self.mean @ weights))


def fit_ridge(
    features: FloatArray, values: FloatArray, penalty: FloatArray, strengths: Sequence[float]
) -> tuple[Ridge, FloatArray]:
    """The line whose strength of regularisation has the least mean error on samples left out.

    Args:
        features, values: shapes `(n, f)` and `(n,)`.
        penalty: relative, per feature, shape `(f,)`; a constant feature has no weight whatever its penalty.
        strengths: to choose from, per sample.

    Returns:
        The line, and what lines fitted without each sample predict for it, `(n,)`.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9 * (1 + np.abs(mean)), scale, np.inf)
    centred, level, count = (features - mean) / scale, float(values.mean()), len(values)
    best: tuple[float, FloatArray, FloatArray] | None = None
    for strength in strengths:
        gram = centred.T @ centred + np.diag(strength * count * penalty)
        solved = np.linalg.solve(gram, centred.T)
        weights = solved @ (values - level)
        leverage = np.minimum(np.einsum("ij,ji->i", centred, solved) + 1 / count, 1 - 1e-6)
        left_out = values - (values - level - centred @ weights) / (1 - leverage)
        error = float(np.mean(np.abs(values - left_out)))
        if best is None or error < best[0]:
            best = (error, weights, left_out)
    assert best is not None
    return Ridge(mean, np.where(np.isinf(scale), 1.0, scale), level, best[1]), best[2]
