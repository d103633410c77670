"""The best architecture within limits on its costs, proven: an integer programme over tables.

What an architecture is worth and what it costs are sums of tables over few decisions. So NVIDIA's Puzzle (Bercovich et
al. 2024, arXiv 2411.19146) and LANA (Molchanov et al. 2021, arXiv 2107.10624) choose the blocks of large networks. Here
tables may couple decisions, and rules tie them.

Without limits the best is found by one pass over a tree of clusters (`nas.search.clusters`). Prices on the costs make
it keep the limits and give an upper bound on what any architecture within them is worth (Lagrangian relaxation,
Geoffrion 1974; the prices by cutting planes, Kelley 1960, which serve every further limit). What cannot be part of
anything as good as the bound less a gap is left out; HiGHS proves the best of the little that remains, and what it
finds proves the gap, or widens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from nas.costs.extremes import Table
from nas.errors import NasError
from nas.search.clusters import Pass, Scope, Tree
from nas.space.elimination import spread

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Allowed = tuple[Scope, NDArray[np.bool_]]

MOST_CELLS = 4_000_000
"""Of all tables together: 32 MB for each cost."""
TOO_LARGE = "the costs and rules of this space couple too many decisions for an integer programme."


class TooLargeError(NasError):
    """A programme of more combinations than can be solved."""


@dataclass(frozen=True)
class Optimum:
    """A solution.

    Attributes:
        codes: of each decision, int64 `(decisions,)`.
        worth: of them.
        costs: `(costs,)`.
        proven: whether none within the limits is worth more; False: the proof was cut off.
    """

    codes: Ints
    worth: float
    costs: Floats
    proven: bool


@dataclass(frozen=True)
class Group:
    """Decisions that tables couple: those shared with other groups, then its own.

    Attributes:
        shared, own: decisions.
        costs: of each combination, `(combinations of shared, of own, costs)`.
        allowed: which combinations rules leave, `(combinations of shared, of own)`.
    """

    shared: Scope
    own: Scope
    costs: Floats
    allowed: NDArray[np.bool_]


class Programme:
    """Costs and rules of a space, ready for worths.

    Args:
        sizes: number of values of each decision.
        costs: each a sum of tables.
        allowed: tables that are true where rules hold.

    Raises:
        TooLargeError: tables of too many combinations.
    """

    def __init__(
        self, sizes: Sequence[int], costs: Sequence[Sequence[Table]], allowed: Sequence[Allowed]
    ) -> None:
        self.sizes = tuple(sizes)
        tied = [(scope, table) for scope, table in allowed if not table.all()]
        scopes = [scope for tables in costs for scope, _ in tables] + [scope for scope, _ in tied]
        self._scopes = _widest([*scopes, *((d,) for d in range(len(sizes)))])
        if sum(prod(self.sizes[d] for d in scope) for scope in self._scopes) > MOST_CELLS:
            raise TooLargeError(TOO_LARGE)
        self._holding: dict[int, list[int]] = {}
        for position, scope in enumerate(self._scopes):
            for decision in scope:
                self._holding.setdefault(decision, []).append(position)
        every = [self.summed(tables) for tables in costs]
        forbidden = self.summed([(scope, np.where(table, 0.0, 1.0)) for scope, table in tied])
        self.groups = [
            Group(*self._split(scope), _stacked([column[i] for column in every], part), part == 0)
            for i, (scope, part) in enumerate(zip(self._scopes, forbidden))
        ]
        self.tree = Tree(self.sizes, [group.shared for group in self.groups])
        if self.tree.too_large:
            raise TooLargeError(TOO_LARGE)

    def summed(self, tables: Sequence[Table]) -> list[Floats]:
        """Sums of tables by group, `(combinations of shared, of own)` each.

        Each table's decisions must lie in one group; a single decision always does.
        """
        axes = [shared + own for shared, own in map(self._split, self._scopes)]
        totals = [np.zeros([self.sizes[d] for d in each]) for each in axes]
        for scope, table in tables:
            home = self._home(scope)
            totals[home] += spread(np.asarray(table, dtype=np.float64), scope, axes[home])
        split = map(self._split, self._scopes)
        return [t.reshape(prod(self.sizes[d] for d in shared), -1) for t, (shared, _) in zip(totals, split)]

    def passed(self, values: Sequence[Floats]) -> Pass:
        """Values of the combinations of each group, as of `summed`, added up along the tree."""
        tables = [
            np.where(group.allowed, value, -np.inf).max(axis=1).reshape([self.sizes[d] for d in group.shared])
            for group, value in zip(self.groups, values)
        ]
        return Pass(self.tree, tables)

    def completed(self, codes: dict[int, int], values: Sequence[Floats]) -> Ints:
        """The best combination of each group with these codes of the shared decisions, `(groups,)`."""
        rows = []
        for group, value in zip(self.groups, values):
            at = flat([codes[d] for d in group.shared], [self.sizes[d] for d in group.shared])
            best = np.where(group.allowed[at], value[at], -np.inf).argmax()
            rows.append(at * value.shape[1] + int(best))
        return np.array(rows, dtype=np.int64)

    def optimum(self, rows: Ints, worths: Sequence[Floats], proven: bool) -> Optimum:
        """A combination of each group, consistent with one another, as a solution."""
        codes, worth, costs = np.zeros(len(self.sizes), dtype=np.int64), 0.0, []
        for group, value, row in zip(self.groups, worths, rows):
            axes = (*group.shared, *group.own)
            codes[list(axes)] = np.unravel_index(row, [self.sizes[d] for d in axes])
            worth += float(value.reshape(-1)[row])
            costs.append(group.costs.reshape(value.size, -1)[row])
        return Optimum(codes, worth, np.sum(costs, axis=0), proven)

    def _split(self, scope: Scope) -> tuple[Scope, Scope]:
        """Decisions that other groups have, too, and the others."""
        shared = tuple(d for d in scope if len(self._holding[d]) > 1)
        return shared, tuple(d for d in scope if d not in shared)

    def _home(self, scope: Scope) -> int:
        """The first group that holds a table's decisions; that of a constant is the first of all."""
        near = min((self._holding[d] for d in scope), key=len, default=[0])
        return next(i for i in near if set(scope) <= set(self._scopes[i]))


def flat(codes: Sequence[int], sizes: Sequence[int]) -> int:
    """Position of a combination among all, the last decision counting fastest."""
    position = 0
    for code, size in zip(codes, sizes):
        position = position * size + code
    return position


def _widest(scopes: Sequence[Scope]) -> list[Scope]:
    """Scopes that lie in no other, in the order of their decisions."""
    sets = sorted({frozenset(scope) for scope in scopes}, key=lambda s: (-len(s), sorted(s)))
    kept: list[frozenset[int]] = []
    holding: dict[int, list[int]] = {}
    for each in sets:
        near = min((holding.get(d, []) for d in each), key=len, default=[])
        if each and not any(each <= kept[i] for i in near):
            for decision in each:
                holding.setdefault(decision, []).append(len(kept))
            kept.append(each)
    return sorted(tuple(sorted(each)) for each in kept)


def _stacked(columns: Sequence[Floats], like: Floats) -> Floats:
    return np.stack(columns, axis=-1) if columns else np.zeros((*like.shape, 0))
