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
    predicted, trees, tried = _constrained(kind, rows, ms, fold, trees)
    edges = leave_edges_out(kind, rows, ms, trees)
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
        monotone_errors=dict(tried),
        file=f"{kind}.ubj.gz",
        sha256=hashlib.sha256(pack(model.booster)).hexdigest(),
    )
    codes = np.full(len(ms), CODES["predicted"], dtype=np.uint8)
    sigma = UnitTimes(predicted, codes, *interval.ends(predicted)).sigma
    return FittedKind(model, report, HeldOut(rows, ms, predicted, sigma, held))


def _constrained(
    kind: str, rows: IntArray, ms: FloatArray, fold: IntArray, trees: TreeOptions
) -> tuple[FloatArray, TreeOptions, Mapping[str, float]]:
    """Held-out predictions with the constraints that raise no held-out error, those, and all that were tried."""

    def predict(monotone: tuple[str, ...]) -> tuple[float, FloatArray]:
        predicted = cross_validate(kind, rows, ms, fold, replace(trees, monotone=monotone))
        return Errors.of(ms, predicted).mean, predicted

    free, predicted = predict(())
    sizes = free_sizes(kind, rows) if len(rows) >= _LEAST_MONOTONE else []
    tried = {size: predict((size,))[0] for size in sizes}
    kept = sorted((size for size in sizes if tried[size] <= free), key=lambda size: tried[size])
    for monotone in (tuple(kept), tuple(kept[:1])):
        error, constrained = predict(monotone) if monotone else (np.inf, predicted)
        if error <= free:
            return constrained, replace(trees, monotone=monotone), tried
    return predicted, trees, tried


def _probe(model: UnitModel, rows: IntArray) -> Probe:
    chosen = rows[np.linspace(0, len(rows) - 1, _PROBES).astype(int)]
    inputs, _ = model.inputs(chosen)
    return Probe(units=[format_signature(model.kind, row) for row in chosen], inputs=inputs.tolist())
