"""Small statistics of ratios between true and predicted times."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEVEL = 0.90
NORMAL = 1.6448536269514722  # half width of the normal's 90 % interval, in standard deviations
_FEW = 39  # ratios below which the ranks of a 90 % interval are the extremes or lie beyond them


def log_ratio(true: FloatArray, predicted: FloatArray) -> FloatArray:
    """`log(true / predicted)`, shape `(n,)`."""
    return np.log(true / predicted)


def student_quantile(freedom: float) -> float:
    """Half width of Student's 90 % interval with `freedom` degrees of freedom, in standard deviations."""
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, freedom))


def interval_ends(ratios: FloatArray) -> tuple[float, float]:
    """Ends of the interval a new ratio true / predicted falls into with 90 %.

    Split-conformal ranks; for fewer than 39 ratios, where those would be the extremes, Student's interval of
    the logarithm around 1.

    Args:
        ratios: shape `(n,)`, n ≥ 1, above 0.
    """
    count, tail = len(ratios), (1 - LEVEL) / 2
    if count < _FEW:
        half = student_quantile(count) * float(np.sqrt(np.mean(np.log(ratios) ** 2)))
        return math.exp(-half), math.exp(half)
    ordered = np.sort(ratios)
    below, above = math.floor((count + 1) * tail), math.ceil((count + 1) * (1 - tail))
    return float(ordered[below - 1]), float(ordered[above - 1])


def upper_quantile(values: FloatArray) -> float:
    """What a new value stays below with 90 %: split-conformal rank, Student's t of the RMS for few values.

    Args:
        values: absolute errors in some scale, shape `(n,)`, n ≥ 1.
    """
    count = len(values)
    if count < _FEW:
        return student_quantile(count) * float(np.sqrt(np.mean(values**2)))
    return float(np.sort(values)[min(math.ceil((count + 1) * LEVEL), count) - 1])
