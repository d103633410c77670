"""Ridge regression for few samples: closed form, its strength chosen by every sample left out."""

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
        parameters: how many it took from the samples, by the trace of the fit: between 1 and the features' number.
        error: mean absolute error on samples left out, for the strength that was chosen by it.
    """

    mean: FloatArray
    scale: FloatArray
    intercept: float
    weights: FloatArray
    parameters: float = 1.0
    error: float = 0.0

    def predict(self, features: FloatArray) -> FloatArray:
        """Values `(n,)` for features `(n, f)`."""
        weights = self.weights / self.scale
        return np.asarray(features @ weights + (self.intercept - self.mean @ weights))


def fit_ridge(
    features: FloatArray, values: FloatArray, penalty: FloatArray, strengths: Sequence[float]
) -> Ridge:
    """The line whose strength of regularisation has the least mean error on samples left out.

    Args:
        features, values: shapes `(n, f)` and `(n,)`.
        penalty: relative, per feature, shape `(f,)`; a constant feature has no weight whatever its penalty.
        strengths: to choose from, per sample.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9 * (1 + np.abs(mean)), scale, np.inf)
    centred, level, count = (features - mean) / scale, float(values.mean()), len(values)
    best, chosen, parameters = np.inf, np.zeros(features.shape[1]), 1.0
    for strength in strengths:
        gram = centred.T @ centred + np.diag(strength * count * penalty)
        solved = np.linalg.solve(gram, centred.T)
        weights = solved @ (values - level)
        leverage = np.minimum(np.einsum("ij,ji->i", centred, solved) + 1 / count, 1 - 1e-6)
        error = float(np.mean(np.abs(values - level - centred @ weights) / (1 - leverage)))
        if error < best:
            best, chosen, parameters = error, weights, float(leverage.sum())
    return Ridge(mean, np.where(np.isinf(scale), 1.0, scale), level, chosen, parameters, best)
