"""Random search: uniform draws, feasible ones first."""

from __future__ import annotations

from nas.search.strategies.base import Strategy
from nas.space.batch import ArchBatch


class RandomSearch(Strategy):
    """Uniform over the distinct valid architectures."""

    def propose(self, n: int) -> ArchBatch:
        return self.fresh(n)
