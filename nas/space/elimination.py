"""Exact counting and sampling of constrained choices by variable elimination.

Variables are small finite choices, factors are tables over a few of them that say which combinations are
allowed. Eliminating the variables one by one leaves, for each, a table of how many completions every value
has given the variables that remain: the product of exact counts is the size of the space, and walking the
tables backwards draws uniformly from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.space.pool import Counts, Pool

Codes = NDArray[np.int16]
Chances = Callable[[int, Codes], NDArray[np.float64]]
MAX_CELLS = 2_000_000


class TooCoupledError(Exception):
    """The rules tie too many decisions together for exact elimination."""


@dataclass(frozen=True)
class Factor:
    """Which combinations of a few variables are allowed.

    Attributes:
        scope: variable indices, ascending.
        table: bool, one axis per variable of the scope.
    """

    scope: tuple[int, ...]
    table: NDArray[np.bool_]


@dataclass(frozen=True)
class _Step:
    """Elimination of one variable: completions of its values given `given`, the last axis being its own."""

    variable: int
    given: tuple[int, ...]
    counts: Counts

    @cached_property
    def cumulative(self) -> NDArray[np.float64]:
        """Cumulative probability of the values for each combination of `given`."""
        total = self.counts.sum(axis=-1, keepdims=True)
        share = np.true_divide(self.counts, np.where(total == 0, 1, total)).astype(np.float64)
        cumulative = np.cumsum(share, axis=-1)
        last = cumulative[..., -1:]
        return np.divide(cumulative, np.where(last == 0, 1.0, last))

    @cached_property
    def possible(self) -> NDArray[np.bool_]:
        """Which values have any completion, for each combination of `given`."""
        return (self.counts > 0).astype(bool)


class Elimination:
    """Variables and factors, eliminated.

    Args:
        sizes: number of values of each variable.
        factors: allowed combinations.
        order: order of elimination; by default the one with the smallest tables, greedily.

    Raises:
        TooCoupledError: a table would have more than `MAX_CELLS` cells.
    """

    def __init__(
        self, sizes: Sequence[int], factors: Sequence[Factor], order: Sequence[int] | None = None
    ) -> None:
        self.sizes = tuple(sizes)
        self._steps: list[_Step] = []
        pool = Pool(
            self.sizes, [(f.scope, np.asarray(f.table.astype(object) * 1, dtype=object)) for f in factors]
        )
        for variable in order if order is not None else (pool.cheapest() for _ in self.sizes):
            self._eliminate(variable, pool)
        self.total = pool.total

    def _eliminate(self, variable: int, pool: Pool) -> None:
        touching = pool.take(variable)
        given = tuple(sorted({v for scope, _ in touching for v in scope} - {variable}))
        axes = (*given, variable)
        shape = tuple(self.sizes[v] for v in axes)
        if prod(shape) > MAX_CELLS:
            raise TooCoupledError
        counts: Counts = np.ones(shape, dtype=object)
        for scope, table in touching:
            counts = counts * spread(table, scope, axes)
        self._steps.append(_Step(variable, given, counts))
        pool.add(given, np.asarray(counts.sum(axis=-1), dtype=object))

    def sample(self, n: int, rng: np.random.Generator) -> Codes:
        """`n` independent draws, uniform over all allowed combinations; int16 `(n, variables)`."""
        codes = np.zeros((n, len(self.sizes)), dtype=np.int16)
        for step in reversed(self._steps):
            rows = step.cumulative[tuple(codes[:, v] for v in step.given)]
            u = rng.random(n)
            codes[:, step.variable] = (u[:, None] >= np.atleast_2d(rows)).sum(axis=1)
        return codes

    def sample_each(self, n: int, rng: np.random.Generator) -> Codes:
        """`n` draws, each variable uniform over its values that can still be completed."""
        codes = np.zeros((n, len(self.sizes)), dtype=np.int16)
        for step in reversed(self._steps):
            open_ = np.broadcast_to(
                step.possible[tuple(codes[:, v] for v in step.given)], (n, self.sizes[step.variable])
            )
            pick = (rng.random(n) * open_.sum(axis=1)).astype(np.int64)
            codes[:, step.variable] = (np.cumsum(open_, axis=1) > pick[:, None]).argmax(axis=1)
        return codes

    @property
    def drawing_order(self) -> tuple[int, ...]:
        """The variables in the order in which they are drawn."""
        return tuple(step.variable for step in reversed(self._steps))

    def sample_by(self, n: int, rng: np.random.Generator, chances: Chances) -> Codes:
        """`n` draws, each variable in proportion to `chances` among its values that can still be completed.

        Args:
            chances: positive weights `(n, values)` or `(values,)` of a variable, given what was drawn before it.
        """
        codes = np.zeros((n, len(self.sizes)), dtype=np.int16)
        for step in reversed(self._steps):
            open_ = np.broadcast_to(
                step.possible[tuple(codes[:, v] for v in step.given)], (n, self.sizes[step.variable])
            )
            total = np.cumsum(open_ * chances(step.variable, codes), axis=1)
            pick = rng.random(n) * total[:, -1]
            codes[:, step.variable] = ((total > pick[:, None]) & open_).argmax(axis=1)
        return codes

    def nearest(self, wanted: Codes) -> Codes:
        """Each row moved to allowed combinations: in turn, the nearest value that can be completed.

        Args:
            wanted: int16 `(n, variables)`, each value among those of its variable.
        """
        codes = np.array(wanted, dtype=np.int16)
        for step in reversed(self._steps):
            own, given = codes[:, step.variable], tuple(codes[:, v] for v in step.given)
            closed = np.flatnonzero(~np.broadcast_to(step.possible[(*given, own)], len(codes)))
            if not len(closed):
                continue
            size = self.sizes[step.variable]
            open_ = np.broadcast_to(
                step.possible[tuple(codes[closed, v] for v in step.given)], (len(closed), size)
            )
            distance = np.abs(np.arange(size)[None, :] - own[closed, None].astype(np.int64))
            codes[closed, step.variable] = np.where(open_, distance, size + distance).argmin(axis=1)
        return codes


def spread(table: NDArray[Any], scope: tuple[int, ...], axes: tuple[int, ...]) -> NDArray[Any]:
    """A table over `scope`, ready to be combined with others over `axes`, one axis for each."""
    order = sorted(range(len(scope)), key=lambda i: axes.index(scope[i]))
    moved = table.transpose(order)
    shape = [1] * len(axes)
    for i, source in enumerate(order):
        shape[axes.index(scope[source])] = moved.shape[i]
    return moved.reshape(shape)
