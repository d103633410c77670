"""ElasticViT's published evolution as a preset of NSGA-II (fact sheet §5).

512 first candidates, 256 kept, then 40 generations of 128 mutants and 128 children: 10,752 evaluations. With fewer,
first and kept candidates are the same shares of them, so that most of a small budget is not drawn at random. A mutant
changes each decision with probability 0.2 (depths 0.4); a changed decision takes a random value with probability 0.45,
else its smallest. Children take each decision from either parent. The published fitness is accuracy inside a
window of MACs: give it as constraints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas.metrics import Direction
from nas.search.strategies.base import Cheap, check_ranges
from nas.search.strategies.nsga2 import NSGA2, OVERSAMPLE
from nas.space.batch import ArchBatch, concatenate
from nas.space.space import Space

FIRST, PUBLISHED, LEAST = 512, 10_752, 10
"""First candidates, all evaluations, and first candidates of the smallest budgets."""
CHANGE, CHANGE_DEPTH, RANDOM_VALUE = 0.2, 0.4, 0.45


class ElasticViTEvolution(NSGA2):
    """Half mutants, half children of the kept candidates, parents drawn uniformly.

    Args:
        first: candidates before the first generation; None: the published share of the budget, 10 to 512.
        kept: candidates that have children; None: half of the first.
        budget: planned evaluations; None: as published.
    """

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        *,
        seed: int = 0,
        cheap: Cheap | None = None,
        first: int | None = None,
        kept: int | None = None,
        budget: int | None = None,
    ) -> None:
        check_ranges({"first": first, "kept": kept}, {"first": (2, np.inf), "kept": (2, np.inf)})
        if first is None:
            first = FIRST if budget is None else min(max(round(budget * FIRST / PUBLISHED), LEAST), FIRST)
        population = max(first // 2, 2) if kept is None else kept
        super().__init__(space, directions, seed=seed, cheap=cheap, population=population, budget=budget)
        self.first = first

    def aim(self) -> str:
        if self.budget is None or self.first < self.budget:
            return ""
        return (
            f"{self.first} first candidates are not fewer than the {self.budget} evaluations: this is random search. "
            "Set search.options.first to less, or leave it out."
        )

    def propose(self, n: int) -> ArchBatch:
        if len(self.archs) < self.first:
            return self.fresh(n)
        count = OVERSAMPLE * n
        batch = concatenate([self._mutants(count // 2), self._crossed(count - count // 2)]).unique()
        batch = self.within(batch[self.rng.permutation(len(batch))])
        return batch[np.argsort(self.violation(batch) > 0, kind="stable")]

    def _mutants(self, n: int) -> ArchBatch:
        parents = self.archs.codes[self.rng.choice(self.survivors, size=n)].astype(np.int64)
        sizes = np.array([len(d) for d in self.space.decisions])
        depth = np.array([d.name.endswith(".depth") for d in self.space.decisions])
        changes = self.rng.random(parents.shape) < np.where(depth, CHANGE_DEPTH, CHANGE)
        anew = np.where(
            self.rng.random(parents.shape) < RANDOM_VALUE, self.rng.integers(0, sizes, size=parents.shape), 0
        )
        codes: Any = np.where(changes, anew, parents)
        return self.space.repair(ArchBatch(self.space, codes))

    def _crossed(self, n: int) -> ArchBatch:
        mothers, fathers = (self.archs[self.rng.choice(self.survivors, size=n)] for _ in range(2))
        return self.space.crossover(mothers, fathers, self.rng)
