"""Simple laws of the latency of archs; a model averages several of them.

A `sum` is `ms = Σ w·term` with `w ≥ 0`, fitted to the relative error; a few outliers do not bend it. A `product`
is `ms = exp(c + Σ w·log term)` over other devices' latencies, its exponents drawn towards equal ones that add up
to 1: proportional to the geometric mean of the other devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nas.latency.arch.terms import CONSTANT, OTHER, Terms, group_of
from nas.latency.times import FloatArray

Form = Literal["sum", "product"]
_FLOOR_MS = 1e-6
_REWEIGHTINGS = 5
_INLIER = 1.5  # an outlier begins at this many times the median error
_LEAST_ERROR = 0.01


@dataclass(frozen=True)
class Law:
    """What a member is made of: terms of these groups, in this form, drawn to its prior by `strength`."""

    form: Form
    groups: tuple[str, ...]
    strength: float = 0.0

    @property
    def label(self) -> str:
        """For people: `sum of used, alone`."""
        return f"{self.form} of {', '.join(self.groups)}"


@dataclass(frozen=True)
class Member:
    """A fitted law: a weight per term."""

    law: Law
    weights: Mapping[str, float]

    def log_ms(self, terms: Mapping[str, FloatArray]) -> FloatArray:
        """Logarithm of the predicted ms, shape `(n,)`."""
        count = len(terms[CONSTANT])
        if self.law.form == "product":
            logs = [
                w * (np.ones(count) if t == CONSTANT else np.log(terms[t])) for t, w in self.weights.items()
            ]
            return np.asarray(np.sum(logs, axis=0))
        total = np.zeros(count)
        for term, weight in self.weights.items():
            total += weight * terms[term]
        return np.asarray(np.log(np.maximum(total, _FLOOR_MS)))


LAWS = (
    Law("sum", ("ops",)),
    Law("sum", ("used",)),
    Law("sum", ("used", "alone")),
    Law("sum", ("ops", "used", "alone")),
    Law("sum", ("work",)),
    Law("sum", ("choice",)),
    Law("sum", ("work", "choice")),
    Law("sum", (OTHER,)),
    Law("sum", (OTHER, "ops")),
    Law("sum", (OTHER, "used", "alone")),
    Law("sum", (OTHER, "work")),
    Law("sum", (OTHER, "choice")),
    Law("product", (OTHER,), 0.1),
    Law("product", (OTHER,), 1.0),
)


def laws_for(terms: Terms) -> list[Law]:
    """The laws whose groups are all there; without any, the constant alone."""
    there = {_base(group_of(term)) for term in terms}
    return [law for law in LAWS if there.issuperset(law.groups)] or [Law("sum", ())]


def fit_member(law: Law, terms: Terms, ms: FloatArray) -> Member:
    """Fit one law to latencies in ms, shape `(n,)`, above 0."""
    names = [term for term in terms if term == CONSTANT or _base(group_of(term)) in law.groups]
    if law.form == "product":
        return Member(law, _fit_product(names, terms, ms, law.strength))
    weights = _fit_sum(np.stack([terms[name] for name in names], axis=1), ms)
    return Member(law, {name: float(weight) for name, weight in zip(names, weights) if weight > 0})


def _base(group: str) -> str:
    return group.rstrip("0123456789")


def _fit_sum(columns: FloatArray, ms: FloatArray) -> FloatArray:
    """Weights ≥ 0 of the columns `(n, k)` by reweighted non-negative least squares of the relative error."""
    from scipy.optimize import nnls

    scale = np.maximum(np.abs(columns).max(axis=0), 1e-12)
    relative, trust = columns / scale / ms[:, None], np.ones(len(ms))
    weights = np.zeros(columns.shape[1])
    for _ in range(_REWEIGHTINGS):
        weights, _ = nnls(relative * trust[:, None], trust, maxiter=100 * len(scale))
        error = np.abs(relative @ weights - 1)
        inlier = max(_INLIER * float(np.median(error)), _LEAST_ERROR)
        trust = np.sqrt(np.minimum(1, inlier / np.maximum(error, 1e-12)))
    return np.asarray(weights / scale)


def _fit_product(names: list[str], terms: Terms, ms: FloatArray, strength: float) -> dict[str, float]:
    names = [name for name in names if name != CONSTANT]
    logs = np.log(np.stack([terms[name] for name in names], axis=1))
    rest = np.log(ms) - logs.mean(axis=1)
    middle, centre = logs.mean(axis=0), float(rest.mean())
    centred = logs - middle
    normal = centred.T @ centred + strength * np.eye(len(names))
    exponents = np.linalg.solve(normal, centred.T @ (rest - centre)) + 1 / len(names)
    constant = centre + float(middle.mean()) - float(middle @ exponents)
    return {CONSTANT: constant, **{name: float(weight) for name, weight in zip(names, exponents)}}
