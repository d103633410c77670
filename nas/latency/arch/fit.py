"""Fitting a predictor of latency from (arch, latency) pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from nas.errors import NasError
from nas.latency.arch.cell import connected
from nas.latency.arch.model import ArchModel, fit_model
from nas.latency.arch.predictor import TREES_FILE, ArchLatencyPredictor, own_terms
from nas.latency.arch.report import ArchProbe, ArchReport, MemberReport, TreesReport
from nas.latency.arch.statistics import spearman
from nas.latency.arch.terms import arch_terms
from nas.latency.predictor import pack
from nas.latency.report import DataFacts, Errors
from nas.latency.rows import IntArray
from nas.latency.times import FloatArray
from nas.latency.validation import interval_of
from nas.space.batch import ArchBatch
from nas.space.space import Space

LEAST_PAIRS = 5
_FEW = 20  # pairs below which each is a fold of its own
_SOME = 200
_PROBES = 3
UNSTATED = DataFacts(file="", sha256="", source="not stated", licence="not stated", units=0)


def fit_arch_predictor(
    space: Space,
    batch: ArchBatch,
    ms: FloatArray,
    *,
    seed: int = 0,
    others: Mapping[str, FloatArray] | None = None,
    name: str = "archs",
    data: DataFacts = UNSTATED,
) -> ArchLatencyPredictor:
    """Fit from pairs, and measure how far held-out pairs are off.

    Cells without a path from input to output are left out and counted.

    Args:
        space: of the archs; it needs no network behind it.
        batch: archs, 5 or more; 10 tell something, from 50 on XGBoost helps.
        ms: their latencies, shape `(n,)`, above 0.
        seed: of the folds and of XGBoost's subsamples.
        others: by device, known latencies of the same archs in ms, shape `(n,)`: few-shot transfer. They
            are needed for every arch that is predicted.
        name: the predictor's name.
        data: where the latencies come from.

    Raises:
        NasError: too few pairs, or latencies that are not positive.
    """
    import xgboost

    kept = np.flatnonzero(connected(batch))
    times = _checked(np.asarray(ms, dtype=np.float64), len(batch))[kept]
    if len(kept) < LEAST_PAIRS:
        raise NasError(f"{len(kept)} pairs of arch and latency are too few: {LEAST_PAIRS} are needed.")
    used = batch[kept]
    terms = arch_terms(used, {device: np.asarray(known)[kept] for device, known in (others or {}).items()})
    model, held_out = fit_model(terms, times, _folds(len(times), seed), seed)
    report = ArchReport(
        name=name,
        space=space.name,
        space_hash=space.hash,
        data=data.model_copy(update={"units": len(kept)}),
        left_out=len(batch) - len(kept),
        others=list(others or {}),
        seed=seed,
        libraries={"xgboost": xgboost.__version__, "numpy": np.__version__},
        members=_members(model),
        trees=_trees(model),
        probe=_probe(used),
        errors=Errors.of(times, held_out),
        spearman=spearman(times, held_out),
        interval=interval_of(times, held_out),
    )
    return ArchLatencyPredictor(report, space, model)


def _checked(ms: FloatArray, count: int) -> FloatArray:
    if ms.shape != (count,):
        raise NasError(f"{count} archs need {count} latencies, not an array of shape {ms.shape}.")
    bad = np.flatnonzero(~(np.isfinite(ms) & (ms > 0)))
    if len(bad):
        raise NasError(
            f"the latency of arch {bad[0]} is {ms[bad[0]]}; a finite number of ms above 0 is needed."
        )
    return ms


def _folds(count: int, seed: int) -> IntArray:
    folds = count if count < _FEW else 10 if count < _SOME else 5
    return np.random.default_rng(seed).permutation(count) % folds


def _members(model: ArchModel) -> list[MemberReport]:
    return [
        MemberReport(
            form=member.law.form,
            groups=member.law.groups,
            strength=member.law.strength,
            share=share,
            weights=dict(member.weights),
        )
        for share, member in zip(model.shares, model.members)
    ]


def _trees(model: ArchModel) -> TreesReport | None:
    if model.booster is None:
        return None
    digest = hashlib.sha256(pack(model.booster)).hexdigest()
    return TreesReport(features=model.features, scale=model.scale, file=TREES_FILE, sha256=digest)


def _probe(batch: ArchBatch) -> ArchProbe:
    chosen = batch[np.linspace(0, len(batch) - 1, _PROBES).astype(int)]
    terms = own_terms(arch_terms(chosen))
    return ArchProbe(archs=chosen.to_dicts(), terms={name: values.tolist() for name, values in terms.items()})
