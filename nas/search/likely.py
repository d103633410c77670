"""How likely candidates are to keep constraints on what only an evaluation tells, such as an accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nas.search.objective import Constraint

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """Constraints on predicted values.

    Attributes:
        constraints: each with the column of its metric.
    """

    constraints: tuple[tuple[int, Constraint], ...] = ()

    @classmethod
    def of(cls, constraints: Sequence[Constraint], columns: Sequence[str]) -> Limits:
        """Those of the constraints that need an evaluation, their metrics being among the columns."""
        expensive = [constraint for constraint in constraints if not constraint.cheap]
        return cls(tuple((columns.index(each.metric), each) for each in expensive))

    def chance(self, mean: Floats, std: Floats) -> Floats:
        """Probability that candidates keep all of them, `(n,)`; independent normal values `(n, m)`."""
        chance = np.ones(len(mean))
        for column, limit in self.constraints:
            apart = (limit.bound - mean[:, column]) * (1.0 if limit.upper else -1.0)
            spread = std[:, column]
            known = spread > 0
            chance[known] *= ndtr(apart[known] / spread[known])
            chance[~known] *= apart[~known] >= 0
        return chance

    def violation(self, mean: Floats) -> Floats:
        """By how much expected values `(n, m)` miss them together, relative to their bounds, `(n,)`."""
        total = np.zeros(len(mean))
        for column, limit in self.constraints:
            total += limit.violation(mean[:, column])
        return total
