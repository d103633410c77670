"""Kinds of unit of which few units were timed: by trees, or better by the kernel model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nas.latency.fit_kind import FittedKind
from nas.latency.kernel_model import Units, leave_units_out
from nas.latency.report import Errors, TimedByKernels
from nas.latency.shrunk import half_widths
from nas.latency.statistics import NORMAL, log_ratio
from nas.latency.times import FloatArray
from nas.latency.validation import HeldOut

_LEAST_ERRORS = 9  # that a 90 % interval is taken from
_LEAST_OWN = 5  # units of a kind below which its trees are not asked: their left-out errors are luck
_CLEARLY = 0.8  # of the trees' error, which suffers more from each unit left out


def by_kernels(units: Units, fitted: Mapping[str, FittedKind], enough: int) -> dict[str, HeldOut]:
    """The kinds that the kernel model times better than their trees, or that have none, units left out in turn.

    Args:
        units: sizes `(n, k)` and ms `(n,)` by kind of unit.
        fitted: kinds with trees.
        enough: units of a kind from which its trees are kept without asking.

    Returns:
        By kind what the kernel model says of units it was not fitted on; none where those are fewer than nine, too
        few to tell how far it is off.
    """
    asked = [kind for kind, (_, ms) in units.items() if kind not in fitted or len(ms) < enough]
    if sum(len(units[kind][1]) for kind in asked) < _LEAST_ERRORS:
        return {}
    predicted = leave_units_out(units, asked)
    chosen = [kind for kind in asked if _better(units[kind][1], predicted[kind], fitted.get(kind))]
    ratios = {kind: log_ratio(units[kind][1], predicted[kind]) for kind in asked}
    of_kind = np.repeat(asked, [len(ratios[kind]) for kind in asked])
    half, inside = half_widths(np.concatenate(list(ratios.values())), of_kind)
    return {
        kind: HeldOut(
            *units[kind], predicted[kind], predicted[kind] * half[kind] / NORMAL, inside[of_kind == kind]
        )
        for kind in chosen
    }


def _better(ms: FloatArray, by_kernels: FloatArray, by_trees: FittedKind | None) -> bool:
    """Whether the kernel model's times of left-out units are the better ones."""
    if by_trees is None or len(ms) < _LEAST_OWN:
        return True
    return Errors.of(ms, by_kernels).mean < _CLEARLY * by_trees.report.errors.mean


def timed_by_kernels(held: Mapping[str, HeldOut]) -> dict[str, TimedByKernels]:
    """What a report says of the kinds that `by_kernels` found."""
    return {
        kind: TimedByKernels(
            errors=Errors.of(one.true, one.predicted),
            log_half=float(one.sigma[0] / one.predicted[0] * NORMAL),
        )
        for kind, one in held.items()
    }
