"""The latency model of archs: laws averaged by how well each predicts what it has not seen, then XGBoost.

`log ms = Σ share·log law + scale·trees(terms, log base)`. A law's share falls with the fourth power of its
held-out error, so that ten pairs already choose between "every operation costs" and "only used ones do". The
trees learn what the laws miss, from 50 pairs on, and are kept only as far as held-out error falls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.latency.arch.member import Law, Member, fit_member, laws_for
from nas.latency.arch.terms import OTHER, Terms, group_of
from nas.latency.rows import IntArray
from nas.latency.times import FloatArray

TREES_FROM = 50
_ROUNDS = 200
_SCALES = (0.0, 0.5, 1.0)
_LEAST_SHARE = 0.05
_SHARPNESS = 4
_LOG_BASE = "log_base_ms"
_PARAMETERS: dict[str, Any] = {
    "objective": "reg:absoluteerror",
    "tree_method": "hist",
    "max_depth": 3,
    "eta": 0.05,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "min_child_weight": 3.0,
    "lambda": 3.0,
    "nthread": 1,
}


@dataclass(frozen=True)
class ArchModel:
    """A fitted model.

    Attributes:
        members: the laws that have a share, by falling share.
        shares: of each member, adding up to 1.
        features: names of the trees' inputs, in order; empty without trees.
        booster: the trees (`xgboost.Booster`), or None.
        scale: what the trees' output is multiplied with.
    """

    members: tuple[Member, ...]
    shares: tuple[float, ...]
    features: tuple[str, ...] = ()
    booster: Any = None
    scale: float = 0.0

    def predict(self, terms: Terms) -> FloatArray:
        """Latencies in ms, shape `(n,)`."""
        base = self.log_base(terms)
        if self.booster is None or len(base) == 0:
            return np.exp(base)
        outputs = self.booster.inplace_predict(self.inputs(terms)).astype(np.float64)
        return np.asarray(np.exp(base + self.scale * outputs))

    def log_base(self, terms: Terms) -> FloatArray:
        """The laws' average, logarithm of ms, shape `(n,)`."""
        logs = [share * member.log_ms(terms) for share, member in zip(self.shares, self.members)]
        return np.asarray(np.sum(logs, axis=0))

    def inputs(self, terms: Terms) -> FloatArray:
        """The trees' inputs `(n, f)`."""
        return _inputs(self.features, terms, self.log_base(terms))


def fit_model(terms: Terms, ms: FloatArray, fold: IntArray, seed: int) -> tuple[ArchModel, FloatArray]:
    """The model, and what it predicts in ms for each pair by a fit on the other folds, shape `(n,)`.

    Args:
        terms: of the archs (`nas.latency.arch.terms`).
        ms: their latencies, shape `(n,)`, above 0.
        fold: each pair's fold, shape `(n,)`.
        seed: of the trees' subsamples.
    """
    laws = laws_for(terms)
    folds = [fold == number for number in np.unique(fold)]
    fits = [[fit_member(law, _at(terms, ~held), ms[~held]) for law in laws] for held in folds]
    error = _errors(terms, ms, folds, fits)
    shares = _shares(error)
    model = _final(laws, shares, terms, ms)
    base = np.empty(len(ms))
    for held, members in zip(folds, fits):
        chosen = (
            _shares_without(held, fold, laws, terms, ms) if len(ms) < TREES_FROM else _shares(error[~held])
        )
        base[held] = _weighted(chosen, members).log_base(_at(terms, held))
    if len(ms) < TREES_FROM:
        return model, np.exp(base)
    return _with_trees(model, shares, terms, ms, folds, fits, base, seed)


def _errors(
    terms: Terms, ms: FloatArray, folds: list[NDArray[np.bool_]], fits: list[list[Member]]
) -> FloatArray:
    """Absolute held-out errors of each law, logarithm of ms, shape `(n, laws)`."""
    logs = np.empty((len(ms), len(fits[0])))
    for held, members in zip(folds, fits):
        logs[held] = np.stack([member.log_ms(_at(terms, held)) for member in members], axis=1)
    return np.abs(logs - np.log(ms)[:, None])


def _shares(error: FloatArray) -> FloatArray:
    """Shares of the laws from their held-out errors `(n, laws)`; small ones are left out.

    An outlier counts, but does not decide: the mean error, and a third of the root mean square.
    """
    badness = np.maximum(error.mean(axis=0) + np.sqrt((error**2).mean(axis=0)) / 3, 1e-9)
    shares = (badness / badness.min()) ** -_SHARPNESS
    shares /= shares.sum()
    shares[shares < _LEAST_SHARE] = 0.0
    return np.asarray(shares / shares.sum())


def _shares_without(
    held: NDArray[np.bool_], fold: IntArray, laws: list[Law], terms: Terms, ms: FloatArray
) -> FloatArray:
    """Shares chosen as if the held-out pairs did not exist: with few pairs, choosing is most of the error."""
    inner, times, part = fold[~held], ms[~held], _at(terms, ~held)
    folds = [inner == number for number in np.unique(inner)]
    fits = [[fit_member(law, _at(part, ~out), times[~out]) for law in laws] for out in folds]
    return _shares(_errors(part, times, folds, fits))


def _weighted(shares: FloatArray, members: list[Member]) -> ArchModel:
    kept = np.flatnonzero(shares > 0)
    return ArchModel(tuple(members[index] for index in kept), tuple(shares[kept].tolist()))


def _final(laws: list[Law], shares: FloatArray, terms: Terms, ms: FloatArray) -> ArchModel:
    kept = [index for index in np.argsort(-shares, kind="stable") if shares[index] > 0]
    members = tuple(fit_member(laws[index], terms, ms) for index in kept)
    return ArchModel(members, tuple(shares[kept].tolist()))


def _with_trees(
    model: ArchModel,
    shares: FloatArray,
    terms: Terms,
    ms: FloatArray,
    folds: list[NDArray[np.bool_]],
    fits: list[list[Member]],
    base: FloatArray,
    seed: int,
) -> tuple[ArchModel, FloatArray]:
    """The model with its trees, if they help, and its held-out predictions in ms."""
    features = (*[name for name, values in terms.items() if np.ptp(values) > 0], _LOG_BASE)
    output = np.empty(len(ms))
    for held, members in zip(folds, fits):
        part = replace(_weighted(shares, members), features=features)
        booster = _grow(part, _at(terms, ~held), ms[~held], seed)
        output[held] = booster.inplace_predict(part.inputs(_at(terms, held)))
    truth = np.log(ms)
    scale = min(_SCALES, key=lambda scale: float(np.abs(base + scale * output - truth).mean()))
    if scale == 0.0:
        return model, np.exp(base)
    whole = replace(model, features=features, scale=scale)
    whole = replace(whole, booster=_grow(whole, terms, ms, seed))
    return whole, np.exp(base + scale * output)


def _grow(model: ArchModel, terms: Terms, ms: FloatArray, seed: int) -> Any:
    import xgboost

    data = xgboost.DMatrix(model.inputs(terms), label=np.log(ms) - model.log_base(terms))
    return xgboost.train({**_PARAMETERS, "seed": seed}, data, _ROUNDS)


def _inputs(features: tuple[str, ...], terms: Mapping[str, FloatArray], log_base: FloatArray) -> FloatArray:
    columns = []
    for name in features:
        values = log_base if name == _LOG_BASE else terms[name]
        columns.append(np.log(values) if group_of(name) == OTHER else values)
    return np.stack(columns, axis=1) if columns else np.zeros((len(log_base), 0))


def _at(terms: Terms, mask: NDArray[np.bool_]) -> Terms:
    return {name: values[mask] for name, values in terms.items()}
