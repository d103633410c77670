"""How far a latency model is off: cross-validation, and the edges of what it was fitted on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.latency.model import TreeOptions, fit_unit_model
from nas.latency.report import Interval
from nas.latency.rows import IntArray
from nas.latency.times import FloatArray

LEVEL = 0.90
_MAGNITUDES = 4
_UNITS_PER_MAGNITUDE = 100


def fold_of(units: int, folds: int, seed: int) -> IntArray:
    """The fold of each unit, shape `(units,)`: a random permutation dealt out evenly."""
    return np.random.default_rng(seed).permutation(units) % folds


def cross_validate(
    kind: str, rows: IntArray, ms: FloatArray, fold: IntArray, options: TreeOptions
) -> FloatArray:
    """Predictions in ms, shape `(n,)`, of every unit by a model fitted on the other folds.

    Args:
        kind: kind of unit.
        rows, ms: timed units, shapes `(n, k)` and `(n,)`.
        fold: each unit's fold, shape `(n,)`.
        options: how the trees are grown.

    Raises:
        NasError: fewer than two units per fold.
    """
    folds = np.unique(fold)
    if len(rows) < 2 * len(folds):
        raise NasError(f"{len(rows)} timed units of kind {kind!r} are too few: {2 * len(folds)} are needed.")
    predicted = np.empty(len(ms))
    for held_out in (fold == number for number in folds):
        model = fit_unit_model(kind, rows[~held_out], ms[~held_out], options)
        predicted[held_out] = model.predict(rows[held_out])
    return predicted


def leave_edges_out(
    kind: str, rows: IntArray, ms: FloatArray, options: TreeOptions
) -> tuple[FloatArray, FloatArray]:
    """True and predicted ms of units just outside the range of the fit.

    For each size with three or more values, the units with its largest value, and then those with its
    smallest, are predicted by a model fitted without them.
    """
    true, predicted, seen = [], [], set()
    for column in rows.T:
        if len(np.unique(column)) < 3:
            continue
        for edge in (column == column.max(), column == column.min()):
            if edge.tobytes() in seen:
                continue
            seen.add(edge.tobytes())
            model = fit_unit_model(kind, rows[~edge], ms[~edge], options)
            true.append(ms[edge])
            predicted.append(model.predict(rows[edge]))
    return np.concatenate(true), np.concatenate(predicted)


def interval_of(true: FloatArray, predicted: FloatArray) -> Interval:
    """The interval that held 90 % of the truth, as factors on predictions, by quarters of magnitude.

    Args:
        true, predicted: ms, shape `(n,)`. With fewer than 400 units there is one magnitude.
    """
    magnitudes = _MAGNITUDES if len(true) >= _MAGNITUDES * _UNITS_PER_MAGNITUDE else 1
    edges = np.quantile(predicted, np.arange(1, magnitudes) / magnitudes)
    at = np.searchsorted(edges, predicted)
    factors = [_ends(np.sort((true / predicted)[at == magnitude])) for magnitude in range(magnitudes)]
    return Interval(
        edges=[float(edge) for edge in edges],
        low=[low for low, _ in factors],
        high=[high for _, high in factors],
    )


def inside(true: FloatArray, predicted: FloatArray, fold: IntArray) -> NDArray[np.bool_]:
    """Which units lie inside the interval made from the residuals of the other folds; shape `(n,)`."""
    result = np.zeros(len(true), dtype=bool)
    for held_out in (fold == number for number in np.unique(fold)):
        low, high = interval_of(true[~held_out], predicted[~held_out]).ends(predicted[held_out])
        result[held_out] = (low <= true[held_out]) & (true[held_out] <= high)
    return result


def widest(a: Interval, b: Interval) -> Interval:
    """One pair of factors that encloses those of both intervals."""
    return Interval(edges=[], low=[min(a.low + b.low)], high=[max(a.high + b.high)])


def _ends(ratios: FloatArray) -> tuple[float, float]:
    """Ends of the interval a new ratio falls into with 90 %, from sorted ratios (split-conformal ranks)."""
    count, tail = len(ratios), (1 - LEVEL) / 2
    below = max(math.floor((count + 1) * tail), 1)
    above = min(math.ceil((count + 1) * (1 - tail)), count)
    return float(ratios[below - 1]), float(ratios[above - 1])
