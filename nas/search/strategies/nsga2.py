"""NSGA-II over arch batches, with variation by decision type.

Source: Deb et al. 2002 (fast non-dominated sorting, crowding distance, constraint dominance). Variation is
`Space.mutate` (geometric steps on ordinal decisions, another value on categorical ones) and uniform crossover,
both followed by repair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.metrics import Direction
from nas.search.pareto import constrained_ranks, crowding_distance
from nas.search.strategies.base import Cheap, Floats, Strategy
from nas.space.batch import ArchBatch
from nas.space.space import Space

OVERSAMPLE = 3
FEWEST, MOST, GENERATIONS = 10, 50, 5
"""Population by default. With a population of the whole budget the search were one of uniform draws."""


class NSGA2(Strategy):
    """Integer NSGA-II.

    Args:
        population: survivors of each selection; also how many uniform draws come first. None: a fifth of the
            budget, so that most of it is left for selection, within 10 and 50.
        budget: planned evaluations.
        crossover: probability that a child has two parents.
        mutation: probability per decision; None: one decision per child on average.
    """

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        *,
        seed: int = 0,
        cheap: Cheap | None = None,
        population: int | None = None,
        crossover: float = 0.9,
        mutation: float | None = None,
        budget: int | None = None,
    ) -> None:
        super().__init__(space, directions, seed=seed, cheap=cheap)
        if population is None:
            population = MOST if budget is None else min(max(budget // GENERATIONS, FEWEST), MOST)
        if population < 2:
            raise NasError(f"search.options.population is {population}; at least 2 are needed.")
        self.population, self.crossover, self.mutation = population, crossover, mutation
        self.budget = budget
        self.survivors: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def aim(self) -> str:
        if self.budget is None or self.population < self.budget:
            return ""
        return (
            f"a population of {self.population} is not smaller than the {self.budget} evaluations: this is random "
            "search. Set search.options.population to less, or leave it out."
        )

    def propose(self, n: int) -> ArchBatch:
        if len(self.archs) < self.population:
            return self.fresh(n)
        children = self.within(self._children(OVERSAMPLE * n).unique())
        return children[np.argsort(self.violation(children) > 0, kind="stable")]

    def tell(
        self,
        batch: ArchBatch,
        values: Any,
        violations: Any = None,
        observations: Mapping[str, Floats] | None = None,
    ) -> None:
        before = len(self.archs)
        super().tell(batch, values, violations)
        pool = np.concatenate([self.survivors, np.arange(before, len(self.archs))])
        order = self._order(pool)
        self.survivors = pool[order[: self.population]]

    def _order(self, pool: NDArray[np.int64]) -> NDArray[np.int64]:
        """Best first: by rank under constraint dominance, then by crowding."""
        ranks, crowding = self._fitness(pool)
        return np.lexsort((-crowding, ranks)).astype(np.int64)

    def _fitness(self, pool: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
        values, violations = self.values[pool], self.violations[pool]
        ranks = constrained_ranks(values, violations, self.directions)
        return ranks, crowding_distance(values, ranks)

    def _children(self, n: int) -> ArchBatch:
        ranks, crowding = self._fitness(self.survivors)
        mothers, fathers = (self._tournament(n, ranks, crowding) for _ in range(2))
        crossed = self.space.crossover(self.archs[mothers], self.archs[fathers], self.rng)
        both = self.rng.random(n) < self.crossover
        codes = np.where(both[:, None], crossed.codes, self.archs.codes[mothers])
        return self.space.mutate(ArchBatch(self.space, codes), self.rng, self.mutation)

    def _tournament(self, n: int, ranks: NDArray[np.int64], crowding: Floats) -> NDArray[np.int64]:
        pairs = self.rng.integers(len(self.survivors), size=(n, 2))
        a, b = pairs[:, 0], pairs[:, 1]
        wins = (ranks[a] < ranks[b]) | ((ranks[a] == ranks[b]) & (crowding[a] >= crowding[b]))
        return self.survivors[np.where(wins, a, b)]

    def state(self) -> dict[str, Any]:
        return {**super().state(), "survivors": self.survivors.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.survivors = np.array(state["survivors"], dtype=np.int64)
