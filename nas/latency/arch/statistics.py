"""Rank correlation of latencies."""

from __future__ import annotations

import numpy as np

from nas.latency.times import FloatArray


def spearman(a: FloatArray, b: FloatArray) -> float | None:
    """Spearman's rank correlation of two arrays of shape `(n,)`, ties at their mean rank; None without variation."""
    from scipy.stats import rankdata

    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
