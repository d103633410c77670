"""How far a latency model is off: cross-validation, and the edges of what it was fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.latency.model import TreeOptions, fit_unit_model
from nas.latency.report import Interval
from nas.latency.rows import IntArray
from nas.latency.statistics import interval_ends
from nas.latency.times import FloatArray

_MAGNITUDES = 4
_UNITS_PER_MAGNITUDE = 100
LEAST_UNITS = 3
_UNKNOWN_FACTOR = 2.0


@dataclass(frozen=True)
class HeldOut:
    """Timed units of one kind, predicted by models that had not seen them.

    Attributes:
        rows: sizes, shape `(n, k)`.
        true, predicted: ms, shape `(n,)`.
        sigma: the prediction's standard deviation in ms, shape `(n,)`.
        inside: whether the truth lies inside the interval made without it, shape `(n,)`.
    """

    rows: IntArray
    true: FloatArray
    predicted: FloatArray
    sigma: FloatArray
    inside: NDArray[np.bool_]

    @property
    def columns(self) -> FloatArray:
        """What networks add up, shape `(n, 4)`: true and predicted ms, σ, σ²."""
        return np.stack([self.true, self.predicted, self.sigma, self.sigma**2], axis=1)


def fold_of(units: int, folds: int, seed: int) -> IntArray:
    """The fold of each unit, shape `(units,)`: a random permutation dealt out evenly.

    With fewer than two units per fold every unit is a fold of its own.
    """
    return np.random.default_rng(seed).permutation(units) % (folds if units >= 2 * folds else units)


def cross_validate(
    kind: str, rows: IntArray, ms: FloatArray, fold: IntArray, options: TreeOptions
) -> FloatArray:
    """Predictions in ms, shape `(n,)`, of every unit by a model fitted on the other folds.

    Args:
        kind: kind of unit.
        rows, ms: timed units, shapes `(n, k)` and `(n,)`.
        fold: each unit's fold, shape `(n,)`.
        options: how the trees are grown.
    """
    predicted = np.empty(len(ms))
    for held_out in (fold == number for number in np.unique(fold)):
        model = fit_unit_model(kind, rows[~held_out], ms[~held_out], options)
        predicted[held_out] = model.predict(rows[held_out])
    return predicted


def leave_edges_out(
    kind: str, rows: IntArray, ms: FloatArray, options: TreeOptions
) -> tuple[FloatArray, FloatArray]:
    """True and predicted ms of units just outside the range of the fit.

    For each size with three or more values, the units with its largest value, and then those with its
    smallest, are predicted by a model fitted without them, if at least three units remain. None may.
    """
    true, predicted, seen = [np.zeros(0)], [np.zeros(0)], set()
    for column in rows.T:
        if len(np.unique(column)) < 3:
            continue
        for edge in (column == column.max(), column == column.min()):
            if edge.tobytes() in seen or len(ms) - edge.sum() < LEAST_UNITS:
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
    factors = [interval_ends((true / predicted)[at == magnitude]) for magnitude in range(magnitudes)]
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


def outside_of(interval: Interval, true: FloatArray, predicted: FloatArray) -> Interval:
    """The interval outside the fitted range: encloses `interval` and that of the edges left out.

    Args:
        interval: inside the range.
        true, predicted: ms of the edges, shape `(n,)`; with none, a factor of two either way is taken.
    """
    if not len(true):
        return widest(interval, Interval(edges=[], low=[1 / _UNKNOWN_FACTOR], high=[_UNKNOWN_FACTOR]))
    return widest(interval, interval_of(true, predicted))


def widest(a: Interval, b: Interval) -> Interval:
    """One pair of factors that encloses those of both intervals."""
    return Interval(edges=[], low=[min(a.low + b.low)], high=[max(a.high + b.high)])
