"""How far off predictions of each kind of unit are, from few units: own errors, drawn to those of all kinds.

A device's attention may be harder to predict than its convolutions, but four units of a kind say little about their
kind. The scale of a kind's errors is therefore the root mean square of its own and of `PRIOR` units that are as far off
as all units are on average; which multiple of it holds 90 % is the quantile of all units' errors over their scale,
each without the unit itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.latency.statistics import upper_quantile
from nas.latency.times import FloatArray

PRIOR = 3.0
_LEAST = 1e-6


def half_widths(
    errors: FloatArray, of_kind: NDArray[np.str_], doubt: float = 1.0
) -> tuple[dict[str, float], NDArray[np.bool_]]:
    """Half the 90 % interval of each kind, in the errors' scale, and which errors lie inside the one made without them.

    Args:
        errors: of left-out units, logarithms of ratios, shape `(n,)`, n ≥ 2.
        of_kind: kind of each unit, shape `(n,)`.
        doubt: how many times as far off as these a new unit is.
    """
    kinds, kind = np.unique(of_kind, return_inverse=True)
    squares = np.maximum(errors**2, _LEAST**2)
    count = np.bincount(kind).astype(np.float64)
    total = np.bincount(kind, squares).astype(np.float64)
    scale = _scale(total, count, total.sum() / len(errors))
    others = (total.sum() - squares) / (len(errors) - 1)
    without = _scale(total[kind] - squares, count[kind] - 1, others)
    scaled = np.sqrt(squares) / without
    inside = [one <= doubt * upper_quantile(np.delete(scaled, index)) for index, one in enumerate(scaled)]
    factor = doubt * upper_quantile(scaled)
    return {str(name): float(factor * one) for name, one in zip(kinds, scale)}, np.array(inside)


def _scale(total: FloatArray, count: FloatArray, all_kinds: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt((total + PRIOR * all_kinds) / (count + PRIOR)))
