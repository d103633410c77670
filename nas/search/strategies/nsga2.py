"""NSGA-II over arch batches, with variation by decision type.

Source: Deb et al. 2002 (fast non-dominated sorting, crowding distance, constraint dominance). A child takes each
decision from any of several parents (gene pool recombination, Mühlenbein and Voigt 1996), each the winner of a
tournament; variation is `Space.mutate` (geometric steps on ordinal decisions, another value on categorical ones). Both
are followed by repair.

A changed categorical decision is worse more often than an ordinal one moved by a step, the more so the better it was:
where decisions are categorical, half of the children that are new already are left as recombination made them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.metrics import Direction
from nas.search.pareto import constrained_ranks, crowding_distance
from nas.search.strategies.base import Cheap, Floats, Strategy, check_ranges
from nas.space.batch import ArchBatch
from nas.space.space import Space
from nas.space.variation import recombine

OVERSAMPLE = 3
FEWEST, MOST, GROWTH = 10, 50, 0.6
"""Population by default: `GROWTH` times the square root of the budget for each objective, within bounds. A fifth of the
budget reaches less at 250 evaluations; 20 at any budget less at 2,000 with noise, or with three objectives
(`benchmarks/search`)."""
PARENTS = 8
"""Two reach less at each budget on integer ZDT1, DTLZ2 and ElasticViT's space, sixteen as much."""
UNCHANGED = 0.5
"""Share of new children that stay as they are where all decisions are categorical: 0.37 to 0.8 do equally well."""


class NSGA2(Strategy):
    """Integer NSGA-II.

    Args:
        population: survivors of each selection; also how many uniform draws come first. None: it grows with the
            square root of the budget, within 10 and 50.
        budget: planned evaluations.
        crossover: probability that a child has several parents.
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
        crossover: float = 1.0,
        mutation: float | None = None,
        budget: int | None = None,
    ) -> None:
        super().__init__(space, directions, seed=seed, cheap=cheap)
        if population is None:
            population = _population(budget, len(directions))
        check_ranges(
            {"population": population, "crossover": crossover, "mutation": mutation},
            {"population": (2, np.inf), "crossover": (0, 1), "mutation": (0, 1)},
        )
        self.population, self.crossover, self.mutation = population, crossover, mutation
        self.budget = budget
        self.survivors: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def aim(self) -> str:
        if self.budget is None or self.population < self.budget:
            return ""
        return (
            f"a population of {self.population} is not smaller than the {self.budget} evaluations: this is random "
            "search. More --n-trials, or a smaller search.options.population, let it evolve."
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
        parents = np.stack([self._tournament(n, ranks, crowding) for _ in range(PARENTS)])
        parents = np.where(self.rng.random(n) < self.crossover, parents, parents[0])
        children = recombine(self.archs, parents, self.rng)
        changed = self.space.mutate(children, self.rng, self.mutation)
        known = np.isin(children.hashes, self._asked)
        stays = ~known & (self.rng.random(n) < UNCHANGED * self._categorical)
        return ArchBatch(self.space, np.where(stays[:, None], children.codes, changed.codes))

    @cached_property
    def _categorical(self) -> float:
        """Share of the decisions that are categorical, of those with several values."""
        kinds = [decision.kind == "categorical" for decision in self.space.decisions if len(decision) > 1]
        return float(np.mean(kinds)) if kinds else 0.0

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


def _population(budget: int | None, objectives: int) -> int:
    """Survivors where nobody says how many."""
    return MOST if budget is None else min(max(round(GROWTH * objectives * budget**0.5), FEWEST), MOST)
