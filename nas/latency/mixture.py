"""A line around other devices' mean, and one factor on the nearest of them, averaged by their left-out errors.

From ten samples a factor on a device that happens to resemble the new one is hard to beat; where none does it is far
off, and from more samples the line is better. Both are a weighted mean of the other devices' logarithms and a line,
and so is their average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas.latency.ridge import Ridge, fit_ridge
from nas.latency.times import FloatArray

_STRENGTHS: Sequence[float] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_SHARPNESS = 4
_LEAST = 1e-9


@dataclass(frozen=True)
class Mixture:
    """A weighted mean of the sources' logarithms, and a line.

    Attributes:
        shares: of the sources, shape `(s,)`, adding up to 1.
        line: the correction.
    """

    shares: FloatArray
    line: Ridge

    def predict(self, features: FloatArray, logs: FloatArray) -> FloatArray:
        """Logarithms of ms, shape `(n,)`, for features `(n, f)` and the sources' logarithms `(n, s)`."""
        return np.asarray(logs @ self.shares + self.line.predict(features))


def fit_mixture(features: FloatArray, logs: FloatArray, values: FloatArray, penalty: FloatArray) -> Mixture:
    """The average of the line and the factor, each weighing its left-out error to the power of -4.

    Args:
        features: shape `(n, f)`.
        logs: logarithms of the sources' ms, shape `(n, s)`.
        values: logarithms of the ms, shape `(n,)`, n ≥ 2.
        penalty: relative, per feature, shape `(f,)`.
    """
    count, sources = logs.shape
    mean = np.full(sources, 1 / sources)
    line = fit_ridge(features, values - logs @ mean, penalty, _STRENGTHS)
    if sources == 1:
        return Mixture(mean, line)
    ratios = values[:, None] - logs
    factors = np.median(ratios, axis=0)
    off = np.abs(ratios - factors).mean(axis=0)
    nearest = int(off.argmin())
    errors = np.maximum([line.error, off[nearest] * count / (count - 1)], _LEAST) ** -_SHARPNESS
    share = float(errors[0] / errors.sum())
    return Mixture(
        share * mean + (1 - share) * np.eye(sources)[nearest],
        replace(
            line,
            intercept=share * line.intercept + (1 - share) * float(factors[nearest]),
            weights=share * line.weights,
            parameters=share * line.parameters + (1 - share),
        ),
    )


def predict_left_out(
    features: FloatArray, logs: FloatArray, values: FloatArray, penalty: FloatArray, folds: int
) -> FloatArray:
    """What mixtures fitted on the other folds, shares included, predict for each sample, shape `(n,)`.

    Folds take turns, sample by sample; with at most `folds` samples each is left out alone.
    """
    fold, found = np.arange(len(values)) % folds, np.empty(len(values))
    for out in (fold == number for number in np.unique(fold)):
        mixture = fit_mixture(features[~out], logs[~out], values[~out], penalty)
        found[out] = mixture.predict(features[out], logs[out])
    return found
