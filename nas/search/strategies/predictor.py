"""Predictor-guided search: XGBoost on evaluations so far, NSGA-II over its predictions, repeated.

Cheap objectives are computed, only expensive ones are predicted. Each round fits the predictor, runs NSGA-II
over predictions from the archs evaluated so far, and evaluates the most promising candidates for real,
spread along the predicted front.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.predictor import ArchPredictor
from nas.metrics import Direction
from nas.search.pareto import crowding_distance, non_dominated_sort
from nas.search.strategies.base import Cheap, Floats, Strategy
from nas.search.strategies.nsga2 import NSGA2
from nas.space.batch import ArchBatch, concatenate
from nas.space.space import Space

POOL = 4_000
ALL = 10_000  # members of a pool that are all looked at


class PredictorSearch(Strategy):
    """Surrogate-assisted search.

    Args:
        first: evaluations spread over the cheap objectives before the first fit.
        generations: of the inner NSGA-II.
        population: of the inner NSGA-II.
        explore: share of each batch drawn at random instead.
    """

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        *,
        seed: int = 0,
        cheap: Cheap | None = None,
        first: int = 30,
        generations: int = 30,
        population: int = 200,
        explore: float = 0.1,
    ) -> None:
        super().__init__(space, directions, seed=seed, cheap=cheap)
        self.first, self.generations, self.population, self.explore = first, generations, population, explore

    def propose(self, n: int) -> ArchBatch:
        if len(self.archs) < self.first or not np.isfinite(self.violations).any():
            return self._spread(n)
        explored = round(self.explore * n)
        candidates, values = self._search()
        ranks = non_dominated_sort(values, self.directions)
        crowding = crowding_distance(values, ranks)
        order = np.lexsort((-crowding, ranks))
        promising = candidates[order].without(self._asked)[: n - explored]
        return concatenate([promising, self.fresh(n - len(promising))])

    def _spread(self, n: int) -> ArchBatch:
        """Feasible draws at evenly spaced quantiles of the first cheap objective's logarithm."""
        pool = self.fresh(POOL)
        if self.cheap is None:
            return pool[:n]
        values, violation = self.cheap(pool)
        column = next((j for j in range(values.shape[1]) if not np.isnan(values[:, j]).any()), None)
        if column is None or len(pool) < n:
            return pool[np.argsort(violation, kind="stable")[:n]]
        cost = np.log(np.maximum(values[:, column], 1e-12))
        targets = self.rng.uniform(cost.min(), cost.max(), size=n)
        nearest = np.abs(cost[None, :] - targets[:, None]).argmin(axis=1)
        chosen: NDArray[np.intp] = np.unique(nearest)
        return pool[chosen]

    def _known(self, batch: ArchBatch) -> tuple[Floats, Floats]:
        if self.cheap is None:
            return np.full((len(batch), len(self.directions)), np.nan), np.zeros(len(batch))
        return self.cheap(batch)

    def _search(self) -> tuple[ArchBatch, Floats]:
        """Candidates of an inner NSGA-II over predictions, with predicted objective values."""
        predict = self._fitted()
        if self.pool is not None and len(self.pool) <= ALL:
            return self._feasible(self.pool.batch, predict(self.pool.batch))
        inner = NSGA2(
            self.space,
            self.directions,
            seed=int(self.rng.integers(2**31)),
            cheap=self.cheap,
            population=self.population,
        )
        if self.pool is not None:
            inner.bind(self.pool.batch)
        start = concatenate([self.archs, self.fresh(self.population)]).unique()
        inner.tell(start, predict(start), self._known(start)[1])
        for _ in range(self.generations):
            batch = inner.ask(self.population)
            if not len(batch):
                break
            inner.tell(batch, predict(batch), self._known(batch)[1])
        feasible = np.flatnonzero(inner.violations <= inner.violations.min())
        return inner.archs[feasible], inner.values[feasible]

    def _feasible(self, batch: ArchBatch, values: Floats) -> tuple[ArchBatch, Floats]:
        """Those that violate least."""
        violations = self._known(batch)[1]
        least = np.flatnonzero(violations <= violations.min())
        return batch[least], values[least]

    def _fitted(self) -> Any:
        known, _ = self._known(self.archs)
        expensive = [j for j in range(len(self.directions)) if np.isnan(known[:, j]).any()]
        cheap = [j for j in range(len(self.directions)) if j not in expensive]
        models = {}
        for j in expensive:
            models[j] = ArchPredictor(seed=int(self.rng.integers(2**31)))
            models[j].fit(self.archs, self.values[:, j], extra_features(known, cheap))

        def predict(batch: ArchBatch) -> Floats:
            values, _ = self._known(batch)
            extra = extra_features(values, cheap)
            for j, model in models.items():
                values[:, j] = model.predict(batch, extra)
            return values

        return predict


def extra_features(values: Floats, cheap: Sequence[int]) -> Floats | None:
    """Logarithms of the cheap objectives as features."""
    return np.log(np.maximum(values[:, list(cheap)], 1e-12)) if cheap else None
