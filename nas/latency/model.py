"""The latency model of one kind of unit: time proportional to work, corrected by XGBoost.

`log ms = log(w · work) + trees(sizes, work, log(w · work))`. The weights `w ≥ 0` (ms per multiply-accumulate,
per element, …) minimise the relative error over the timed units; the trees learn what the straight line
misses. The line carries the prediction where sizes lie outside the timed ones, which trees alone cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nas.latency.features import Amounts, shape_features, work_terms
from nas.latency.rows import IntArray
from nas.latency.signature import by_head, sizes_of, words
from nas.latency.times import FloatArray

_FLOOR_MS = 1e-6
_WORK_FEATURE = "log_work_ms"
_WORK_ENDINGS = ("_macs", "_out", "params", "elements_in")


@dataclass(frozen=True)
class TreeOptions:
    """How the trees are grown.

    Attributes:
        rounds: number of trees; `few_rounds` for kinds with fewer than `few_units` timed units.
        depth: depth of a tree.
        rate: learning rate.
        min_child_weight: least number of units in a leaf.
        monotone: sizes (`free_sizes`) in which no prediction may fall, all others equal.
    """

    rounds: int = 200
    few_rounds: int = 40
    few_units: int = 500
    depth: int = 5
    rate: float = 0.1
    min_child_weight: float = 2.0
    monotone: tuple[str, ...] = ()

    def numbers(self) -> dict[str, int | float]:
        """All but the monotone sizes, which each kind of unit has of its own."""
        return {name: value for name, value in asdict(self).items() if name != "monotone"}

    def parameters(self, features: Sequence[str] = ()) -> dict[str, Any]:
        """XGBoost's parameters. One thread and no subsampling, so that the fit is reproducible.

        Args:
            features: names of the trees' inputs; those that grow with a monotone size are constrained.
        """
        signs = [int(bool(self.monotone) and _grows(name, self.monotone)) for name in features]
        return {
            **({"monotone_constraints": tuple(signs)} if any(signs) else {}),
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
        columns = Amounts(len(rows), {**shape_features(self.kind, rows), **terms, _WORK_FEATURE: log_work})
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
    features = tuple(
        name for name, values in columns.items() if np.ptp(values) > 0 and not _jumps(name, options.monotone)
    )
    model = UnitModel(kind, work, features, None)
    inputs, log_work = model.inputs(rows)
    data = xgboost.DMatrix(inputs, label=np.log(ms) - log_work)
    booster = xgboost.train(options.parameters(features), data, options.rounds_for(len(ms)))
    return UnitModel(kind, work, features, booster)


def free_sizes(kind: str, rows: IntArray) -> list[str]:
    """Sizes that a unit's work can only grow with, and that vary among `rows`, shape `(n, k)`.

    `h` stands for both sides of the map. Not among them: activations and norms; values per head; the stride;
    and the widths of a block whose shortcut is free where they are equal.
    """
    sizes = sizes_of(kind, rows)
    never = {"w", "stride", *(("cin", "cout") if "cout" in sizes else ())}
    return [
        key
        for key, values in sizes.items()
        if key not in never and not words(kind, key) and not by_head(kind, key) and len(np.unique(values)) > 1
    ]


def _jumps(feature: str, monotone: Sequence[str]) -> bool:
    """Whether an input may fall while a monotone size grows: remainders."""
    size, percent, _ = feature.partition("%")
    return bool(percent) and (size in monotone or (size in ("w", "pixels") and "h" in monotone))


def _grows(feature: str, monotone: Sequence[str]) -> bool:
    """Whether an input may grow with a monotone size. All amounts of work may."""
    if feature in ("h", "w", "pixels", "h_out"):
        return "h" in monotone
    if feature == "inner":
        return "expansion" in monotone
    return feature in monotone or feature == _WORK_FEATURE or feature.endswith(_WORK_ENDINGS)


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
