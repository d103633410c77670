"""Values between timed ones that no timed unit has: how far trees are off there.

Random folds keep, beside each unit left out, others with the same resolution or width; they say nothing of a
resolution that was never timed. So the values of each size are left out of the fit as a whole, in up to eight groups
whose neighbours stay, and predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.latency.model import TreeOptions, fit_unit_model
from nas.latency.report import Errors, GapReport, Interval
from nas.latency.rows import IntArray
from nas.latency.signature import sizes_of, words
from nas.latency.statistics import upper_quantile
from nas.latency.times import FloatArray
from nas.latency.validation import LEAST_UNITS, interval_of

_GROUPS = 8
_LEAST_GROUPS = 2  # of values, from which more is known between values than outside them
_SHARED = 0.5
_LEAST_HALF = 0.2  # of the pooled interval's half
_NARROWEST = 1e-9


@dataclass(frozen=True)
class LeftOut:
    """Units whose value of a size was left out of the fit that predicts them.

    Attributes:
        group: values with the same number were left out together, shape `(n,)`.
        true, predicted: ms, shape `(n,)`.
    """

    group: IntArray
    true: FloatArray
    predicted: FloatArray

    @property
    def groups(self) -> IntArray:
        """The groups there are."""
        return np.unique(self.group)

    def at(self, mask: NDArray[np.bool_]) -> LeftOut:
        """The units for which `mask`, shape `(n,)`, holds."""
        return LeftOut(self.group[mask], self.true[mask], self.predicted[mask])


def gaps_of(
    kind: str, rows: IntArray, ms: FloatArray, fold: IntArray, outside: Interval, trees: TreeOptions
) -> dict[str, GapReport]:
    """For each size whose values units share: the values, and what holds between them.

    Args:
        kind: kind of unit.
        rows, ms: timed units, shapes `(n, k)` and `(n,)`.
        fold: each unit's fold of the cross-validation, shape `(n,)`.
        outside: the interval just outside the fitted ranges, for sizes of which too few values can be left out.
        trees: how the trees are grown.
    """
    found: dict[str, GapReport] = {}
    measured: dict[bytes, GapReport] = {}
    for size, column in sizes_of(kind, rows).items():
        values, position = np.unique(column, return_inverse=True)
        if words(kind, size) or len(values) < 2 or not _shared(position, fold):
            continue
        key = position.tobytes()
        if key not in measured:
            measured[key] = _report(leave_groups_out(kind, rows, ms, position, trees), outside)
        found[size] = measured[key].model_copy(update={"values": values.tolist()})
    return found


def leave_groups_out(
    kind: str, rows: IntArray, ms: FloatArray, position: IntArray, trees: TreeOptions
) -> LeftOut:
    """Units with a value between others, predicted by fits without their value; there may be none.

    Args:
        kind: kind of unit.
        rows, ms: timed units, shapes `(n, k)` and `(n,)`.
        position: of each unit's value among the values, shape `(n,)`.
        trees: how the trees are grown.
    """
    last = int(position.max())
    group = np.where((position > 0) & (position < last), (position - 1) % min(max(last - 1, 1), _GROUPS), -1)
    predicted = np.full(len(ms), np.nan)
    for number in range(int(group.max()) + 1):
        out = group == number
        if len(ms) - out.sum() >= LEAST_UNITS:
            predicted[out] = fit_unit_model(kind, rows[~out], ms[~out], trees).predict(rows[out])
    known = np.isfinite(predicted)
    return LeftOut(group[known], ms[known], predicted[known])


def interval_between(left_out: LeftOut) -> Interval:
    """The 90 % interval for a value that no timed unit has, from values left out; two groups or more.

    The errors at one value resemble each other, and a new value's may lie further out than the pooled ones of all
    others. The pooled interval is widened by the factor that, for each group in turn, that of the others would have
    needed.
    """
    pooled = interval_of(left_out.true, left_out.predicted)
    needed = [_needed(left_out, left_out.group == group, pooled) for group in left_out.groups]
    factor = max(upper_quantile(np.concatenate(needed)), 1.0)
    middle, half = _middle_and_half(np.array(pooled.low), np.array(pooled.high))
    low, high = np.exp(middle - factor * half), np.exp(middle + factor * half)
    return Interval(edges=pooled.edges, low=low.tolist(), high=high.tolist())


def coverage_between(left_out: LeftOut) -> float | None:
    """Share of the units inside the interval that the other groups give; None for fewer than three groups."""
    if len(left_out.groups) <= _LEAST_GROUPS:
        return None
    inside = 0
    for group in left_out.groups:
        own, others = left_out.at(left_out.group == group), left_out.at(left_out.group != group)
        low, high = interval_between(others).ends(own.predicted)
        inside += int(((low <= own.true) & (own.true <= high)).sum())
    return inside / len(left_out.true)


def _report(left_out: LeftOut, outside: Interval) -> GapReport:
    enough = len(left_out.groups) >= _LEAST_GROUPS
    return GapReport(
        values=[],
        errors=Errors.of(left_out.true, left_out.predicted) if len(left_out.true) else None,
        interval=interval_between(left_out) if enough else outside,
        coverage=coverage_between(left_out),
    )


def _needed(left_out: LeftOut, out: NDArray[np.bool_], pooled: Interval) -> FloatArray:
    """How many times as wide the others' interval would have to be to hold each unit left out."""
    own, others = left_out.at(out), left_out.at(~out)
    low, high = interval_of(others.true, others.predicted).ends(own.predicted)
    middle, half = _middle_and_half(low / own.predicted, high / own.predicted)
    # Groups that happen to agree would make the others look infinitely far away.
    least = _LEAST_HALF * _middle_and_half(*pooled.ends(own.predicted))[1]
    return np.asarray(np.abs(np.log(own.true / own.predicted) - middle) / np.maximum(half, least))


def _middle_and_half(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of the logarithm of an interval's ends."""
    return np.log(low * high) / 2, np.maximum(np.log(high / low) / 2, _NARROWEST)


def _shared(position: IntArray, fold: IntArray) -> bool:
    """Whether most units, left out in their fold, leave others with the same value behind."""
    counts = np.bincount(position)
    together = np.zeros((int(fold.max()) + 1, len(counts)), dtype=np.int64)
    np.add.at(together, (fold, position), 1)
    return bool(np.mean(counts[position] > together[fold, position]) >= _SHARED)
