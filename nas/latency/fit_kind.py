"""Fitting the trees of one kind of unit, with every figure that says how far they are off."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nas.latency.gaps import gaps_of
from nas.latency.model import TreeOptions, UnitModel, fit_unit_model, free_sizes
from nas.latency.predictor import pack
from nas.latency.report import Errors, KindReport, Probe
from nas.latency.rows import IntArray
from nas.latency.signature import format_signature, sizes_of, words
from nas.latency.times import CODES, FloatArray, UnitTimes
from nas.latency.validation import (
    HeldOut,
    cross_validate,
    fold_of,
    inside,
    interval_of,
    leave_edges_out,
    outside_of,
)

_PROBES = 3
_LEAST_MONOTONE = 10


@dataclass(frozen=True)
class FittedKind:
    """Trees of one kind of unit, their report, and what fits without each unit predict for it."""

    model: UnitModel
    report: KindReport
    held: HeldOut


def fit_kind(
    kind: str, rows: IntArray, ms: FloatArray, folds: int, seed: int, trees: TreeOptions
) -> FittedKind:
    """Fit the trees of one kind.

    Args:
        kind: kind of unit.
        rows, ms: timed units, shapes `(n, k)` and `(n,)`, n ≥ 3.
        folds, seed: of the cross-validation.
        trees: how they are grown.
    """
    fold = fold_of(len(rows), folds, seed)
    chosen = _constrained(kind, rows, ms, fold, trees)
    predicted, edges, trees = chosen.predicted, chosen.edges, chosen.trees
    model = fit_unit_model(kind, rows, ms, trees)
    interval, held, sizes = interval_of(ms, predicted), inside(ms, predicted, fold), sizes_of(kind, rows)
    outside = outside_of(interval, *edges)
    worded = {key: values for key, values in sizes.items() if words(kind, key)}
    report = KindReport(
        ranges={key: (int(v.min()), int(v.max())) for key, v in sizes.items() if key not in worded},
        square=bool((sizes["h"] == sizes["w"]).all()),
        words={key: [words(kind, key)[code] for code in np.unique(v)] for key, v in worded.items()},
        work=dict(model.work),
        features=list(model.features),
        probe=_probe(model, rows),
        errors=Errors.of(ms, predicted),
        interval=interval,
        coverage=float(held.mean()),
        outside=Errors.of(*edges) if len(edges[0]) else None,
        outside_interval=outside,
        gaps=gaps_of(kind, rows, ms, fold, outside, trees),
        monotone=list(trees.monotone),
        monotone_errors=dict(chosen.tried),
        file=f"{kind}.ubj.gz",
        sha256=hashlib.sha256(pack(model.booster)).hexdigest(),
    )
    codes = np.full(len(ms), CODES["predicted"], dtype=np.uint8)
    sigma = UnitTimes(predicted, codes, *interval.ends(predicted)).sigma
    return FittedKind(model, report, HeldOut(rows, ms, predicted, sigma, held))


@dataclass(frozen=True)
class _Chosen:
    """Which constraints were kept, and what the trees under them predict for units left out.

    Attributes:
        trees: how trees are grown, constraints included.
        predicted: held-out ms, shape `(n,)`.
        edges: true and predicted ms outside the fitted range.
        tried: mean held-out error with each size constrained alone.
    """

    trees: TreeOptions
    predicted: FloatArray
    edges: tuple[FloatArray, FloatArray]
    tried: Mapping[str, float]


def _constrained(kind: str, rows: IntArray, ms: FloatArray, fold: IntArray, trees: TreeOptions) -> _Chosen:
    """The constraints that raise neither the held-out error nor the one outside the fitted range."""

    def predict(monotone: tuple[str, ...]) -> tuple[float, FloatArray]:
        predicted = cross_validate(kind, rows, ms, fold, replace(trees, monotone=monotone))
        return Errors.of(ms, predicted).mean, predicted

    free, predicted = predict(())
    edges = leave_edges_out(kind, rows, ms, trees)
    sizes = free_sizes(kind, rows) if len(rows) >= _LEAST_MONOTONE else []
    tried = {size: predict((size,))[0] for size in sizes}
    kept = sorted((size for size in sizes if tried[size] <= free), key=lambda size: tried[size])
    for monotone in dict.fromkeys((tuple(kept), tuple(kept[:1]))):
        error, constrained = predict(monotone) if monotone else (np.inf, predicted)
        if error <= free:
            options = replace(trees, monotone=monotone)
            beyond = leave_edges_out(kind, rows, ms, options)
            if _mean_error(beyond) <= _mean_error(edges):
                return _Chosen(options, constrained, beyond, tried)
    return _Chosen(trees, predicted, edges, tried)


def _mean_error(edges: tuple[FloatArray, FloatArray]) -> float:
    return Errors.of(*edges).mean if len(edges[0]) else 0.0


def _probe(model: UnitModel, rows: IntArray) -> Probe:
    chosen = rows[np.linspace(0, len(rows) - 1, _PROBES).astype(int)]
    inputs, _ = model.inputs(chosen)
    return Probe(units=[format_signature(model.kind, row) for row in chosen], inputs=inputs.tolist())
