"""Candidates as points of a plane, in the units they are shown in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.metrics import Direction, Metric
from nas.report.candidates import Candidate
from nas.report.units import Scale

Floats = NDArray[np.float64]
Metrics = Callable[[Candidate], Mapping[str, Metric]]


@dataclass(frozen=True)
class Axis:
    """A metric as an axis.

    Attributes:
        name: of the metric.
        title: what it is called, without its unit.
        provenances: how the numbers on it were obtained, in order of first appearance.
        bounds: constraints on it, in shown units.
        span: (low, high) of what is worth seeing, in shown units.
    """

    name: str
    title: str
    direction: Direction
    scale: Scale
    provenances: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    span: tuple[float, float] | None = None


@dataclass(frozen=True)
class Points:
    """n candidates in a plane.

    Attributes:
        x, y: float64 (n,), in shown units.
        x_span, y_span: float64 (n, 2), low and high end of the interval; NaN for exact numbers.
        provenances: (of x, of y) for each.
    """

    candidates: list[Candidate]
    x: Floats
    y: Floats
    x_span: Floats
    y_span: Floats
    provenances: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.candidates)

    def where(self, mask: Sequence[bool]) -> Points:
        """Those whose mask is set."""
        rows = np.flatnonzero(np.asarray(mask, dtype=np.bool_))
        return Points(
            [self.candidates[row] for row in rows],
            self.x[rows],
            self.y[rows],
            self.x_span[rows],
            self.y_span[rows],
            [self.provenances[row] for row in rows],
        )


def place(candidates: Sequence[Candidate], x: Axis, y: Axis, metrics: Metrics) -> Points:
    """The candidates that have a number for both axes.

    Args:
        metrics: which of a candidate's metrics to show.
    """
    found = [(candidate, metrics(candidate)) for candidate in candidates]
    kept = [(candidate, have) for candidate, have in found if x.name in have and y.name in have]
    xs, ys = [have[x.name] for _, have in kept], [have[y.name] for _, have in kept]
    return Points(
        [candidate for candidate, _ in kept],
        values(xs) * x.scale.factor,
        values(ys) * y.scale.factor,
        spans(xs) * x.scale.factor,
        spans(ys) * y.scale.factor,
        [(one.provenance, other.provenance) for one, other in zip(xs, ys)],
    )


def values(metrics: Sequence[Metric]) -> Floats:
    """float64 (n,): the values, in stored units."""
    return np.array([metric.value for metric in metrics], dtype=np.float64)


def spans(metrics: Sequence[Metric]) -> Floats:
    """float64 (n, 2): low and high ends in stored units, NaN for exact numbers."""
    ends = [(metric.low, metric.high) for metric in metrics]
    return np.array(ends, dtype=np.float64).reshape(len(metrics), 2)
