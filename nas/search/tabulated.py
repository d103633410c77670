"""What follows from an architecture alone, as tables over few decisions: what an integer programme is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from nas.costs.extremes import Table
from nas.search.programme import Allowed, Programme
from nas.space.space import Space

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tabulated:
    """Costs that are sums over layers, and the limits on them.

    Attributes:
        sums: tables by metric, a cost being their sum.
        limits: least and largest value that the constraints leave, by metric of `sums`.
        allowed: tables that are true where constraints on the largest of all layers hold.
    """

    sums: Mapping[str, Sequence[Table]]
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    allowed: Sequence[Allowed] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Metrics, in the order of the costs of `programme`."""
        return tuple(self.sums)

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """Least and largest value of each cost, `(costs,)` each; infinite where there is no limit."""
        pairs = [self.limits.get(name, (-inf, inf)) for name in self.sums]
        low, high = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        return low, high

    def programme(self, space: Space) -> Programme | None:
        """The programme of these costs and a space's rules; None where rules are no tables.

        Raises:
            TooLargeError: tables of too many combinations.
        """
        rules = space.local_factors()
        if rules is None:
            return None
        allowed = [*((rule.scope, rule.table) for rule in rules), *self.allowed]
        return Programme([len(d) for d in space.decisions], list(self.sums.values()), allowed)
