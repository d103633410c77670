"""The tables that are left while variables are eliminated, by the variables they are over."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import NDArray

Scope = tuple[int, ...]
Counts = NDArray[Any]


class Pool:
    """Tables over a few variables each.

    What depends on a table is brought up to date when it comes or goes, so that eliminating a variable costs what
    its own tables cost, however many there are.

    Args:
        sizes: number of values of each variable.
        tables: scopes and tables, one axis per variable of the scope.
    """

    def __init__(self, sizes: Sequence[int], tables: Iterable[tuple[Scope, Counts]]) -> None:
        self._sizes = sizes
        self._over: list[dict[int, tuple[Scope, Counts]]] = [{} for _ in sizes]
        self._together: list[dict[int, int]] = [{v: 1} for v in range(len(sizes))]
        self._cells = list(sizes)
        self._left = set(range(len(sizes)))
        self._heap: list[tuple[int, int]] = []
        self.total, self._serial = 1, 0
        for scope, table in tables:
            self._put(scope, table)
        for variable in self._left:
            self._push(variable)

    def cheapest(self) -> int:
        """The variable whose tables together are smallest; the last of several."""
        while True:
            cells, negative = heapq.heappop(self._heap)
            if -negative in self._left and cells == self._cells[-negative]:
                return -negative

    def take(self, variable: int) -> list[tuple[Scope, Counts]]:
        """The tables over a variable, which leave the pool, as it does itself."""
        taken = self._over[variable]
        self._over[variable] = {}
        self._left.discard(variable)
        for serial, (scope, _) in taken.items():
            for other in scope:
                self._over[other].pop(serial, None)
            self._count(scope, -1)
        return list(taken.values())

    def add(self, scope: Scope, table: Counts) -> None:
        """One more table. One over no variable is a factor of `total`."""
        self._put(scope, table)
        for variable in scope:
            self._push(variable)

    def _put(self, scope: Scope, table: Counts) -> None:
        if not scope:
            self.total *= int(table[()])
        for variable in scope:
            self._over[variable][self._serial] = (scope, table)
        self._serial += 1
        self._count(scope, 1)

    def _push(self, variable: int) -> None:
        heapq.heappush(self._heap, (self._cells[variable], -variable))

    def _count(self, scope: Scope, change: int) -> None:
        """Count one table more or less in which the variables of `scope` stand together."""
        for variable in scope:
            together = self._together[variable]
            for other in scope:
                before = together.get(other, 0)
                together[other] = before + change
                if before == 0:
                    self._cells[variable] *= self._sizes[other]
                elif before + change == 0:
                    del together[other]
                    self._cells[variable] //= self._sizes[other]
