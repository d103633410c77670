"""Small statistics of ratios between true and predicted times."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEVEL = 0.90
NORMAL = 1.6448536269514722  # half width of the normal's 90 % interval, in standard deviations
_SOME = 39  # ratios below which the two ranks of a 90 % interval are the extremes or lie beyond them
_FEW = 9  # values below which the one rank lies beyond them


def log_ratio(true: FloatArray, predicted: FloatArray) -> FloatArray:
    """`log(true / predicted)`, shape `(n,)`."""
    return np.log(true / predicted)


def student_quantile(freedom: float) -> float:
    """Half width of Student's 90 % interval with `freedom` degrees of freedom, in standard deviations."""
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, freedom))


def interval_ends(ratios: FloatArray) -> tuple[float, float]:
    """Ends of the interval a new ratio true / predicted falls into with 90 %.

    Split-conformal ranks; for fewer than 39 ratios, where those would be the extremes, the rank of the
    logarithm's size, around 1 (`upper_quantile`).

    Args:
        ratios: shape `(n,)`, n ≥ 1, above 0.
    """
    count, tail = len(ratios), (1 - LEVEL) / 2
    if count < _SOME:
        half = upper_quantile(np.abs(np.log(ratios)))
        return math.exp(-half), math.exp(half)
    ordered = np.sort(ratios)
    below, above = math.floor((count + 1) * tail), math.ceil((count + 1) * (1 - tail))
    return float(ordered[below - 1]), float(ordered[above - 1])


def upper_quantile(values: FloatArray) -> float:
    """What a new value stays below with 90 %: split-conformal rank, or Student's t of the RMS below nine values.

    The rank `⌈0.9 (n + 1)⌉` holds a new value at least as often as it says, whatever the distribution (Vovk et
    al., Algorithmic Learning in a Random World, 2005); of fewer than nine values no rank does.

    Args:
        values: absolute errors in some scale, shape `(n,)`, n ≥ 1.
    """
    count = len(values)
    if count < _FEW:
        return student_quantile(count) * float(np.sqrt(np.mean(values**2)))
    return float(np.sort(values)[math.ceil((count + 1) * LEVEL) - 1])
