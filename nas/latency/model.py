"""The latency model of one kind of unit: time proportional to work, corrected by XGBoost.

`log ms = log(w · work) + trees(sizes, work, log(w · work))`. The weights `w ≥ 0` (ms per multiply-accumulate,
per element, …) minimise the relative error over the timed units; the trees learn what the straight line
misses. The line carries the prediction where sizes lie outside the timed ones, which trees alone cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.latency.features import shape_features, work_terms
from nas.latency.rows import IntArray
from nas.latency.times import FloatArray

_FLOOR_MS = 1e-6
_WORK_FEATURE = "log_work_ms"


@dataclass(frozen=True)
class TreeOptions:
    """How the trees are grown.

    Attributes:
        rounds: number of trees; `few_rounds` for kinds with fewer than `few_units` timed units.
        depth: depth of a tree.
        rate: learning rate.
        min_child_weight: least number of units in a leaf.
    """

    rounds: int = 200
    few_rounds: int = 40
    few_units: int = 500
    depth: int = 5
    rate: float = 0.1
    min_child_weight: float = 2.0

    def parameters(self) -> dict[str, Any]:
        """XGBoost's parameters. One thread and no subsampling, so that the fit is reproducible."""
        return {
            "objective": "reg:squarederror",
            "tree_method": "hist",
            "base_score": 0.0,
            "max_depth": self.depth,
            "eta": self.rate,
            "min_child_weight": self.min_child_weight,
            "nthread": 1,
            "seed": 0,
        }

    def rounds_for(self, units: int) -> int:
        """Number of trees for a kind with `units` timed units."""
        return self.rounds if units >= self.few_units else self.few_rounds


@dataclass(frozen=True)
class UnitModel:
    """A fitted model of one kind of unit.

    Attributes:
        kind: kind of unit.
        work: ms per amount of each work term.
        features: names of the trees' inputs, in order.
        booster: the trees (`xgboost.Booster`).
    """

    kind: str
    work: Mapping[str, float]
    features: tuple[str, ...]
    booster: Any

    def predict(self, rows: IntArray) -> FloatArray:
        """Times in ms, shape `(n,)`, of units with these sizes, shape `(n, k)`."""
        if len(rows) == 0:
            return np.zeros(0)
        inputs, log_work = self.inputs(rows)
        return np.asarray(np.exp(log_work + self.booster.inplace_predict(inputs).astype(np.float64)))

    def inputs(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """The trees' inputs `(n, f)`, and the logarithm of the linear part's ms `(n,)`."""
        terms = work_terms(self.kind, rows)
        log_work = _log_work(terms, self.work)
        columns = {**shape_features(self.kind, rows), **terms, _WORK_FEATURE: log_work}
        return np.stack([columns[name] for name in self.features], axis=1), log_work


def fit_unit_model(kind: str, rows: IntArray, ms: FloatArray, options: TreeOptions) -> UnitModel:
    """Fit the model of one kind.

    Args:
        kind: kind of unit.
        rows: sizes of the timed units, shape `(n, k)`.
        ms: their times, shape `(n,)`, above 0.
        options: how the trees are grown.
    """
    import xgboost

    terms = _distinct(work_terms(kind, rows))
    work = _fit_work(terms, ms)
    columns = {**shape_features(kind, rows), **terms, _WORK_FEATURE: _log_work(terms, work)}
    features = tuple(name for name, values in columns.items() if np.ptp(values) > 0)
    model = UnitModel(kind, work, features, None)
    inputs, log_work = model.inputs(rows)
    data = xgboost.DMatrix(inputs, label=np.log(ms) - log_work)
    booster = xgboost.train(options.parameters(), data, options.rounds_for(len(ms)))
    return UnitModel(kind, work, features, booster)


def _distinct(terms: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The terms that are not 0 throughout and not a multiple of an earlier one."""
    kept: dict[str, FloatArray] = {}
    shapes: list[FloatArray] = []
    for name, values in terms.items():
        if not values.any():
            continue
        shape = values / values.max()
        if not any(np.allclose(shape, other, rtol=1e-9) for other in shapes):
            kept[name] = values
            shapes.append(shape)
    return kept


def _fit_work(terms: Mapping[str, FloatArray], ms: FloatArray) -> dict[str, float]:
    from scipy.optimize import nnls

    relative = np.stack(list(terms.values()), axis=1) / ms[:, None]
    scale = relative.max(axis=0)
    weights, _ = nnls(relative / scale, np.ones(len(ms)), maxiter=100 * len(scale))
    return {name: float(weight) for name, weight in zip(terms, weights / scale) if weight > 0}


def _log_work(terms: Mapping[str, FloatArray], work: Mapping[str, float]) -> FloatArray:
    total = sum(weight * terms[name] for name, weight in work.items())
    return np.log(np.maximum(total, _FLOOR_MS))
