"""The cheapest architecture of a space, exactly, where a cost is a sum over layers.

Variable elimination in the (min, +) semiring: decisions leave one by one, and what is kept of each is the least
cost that it can still add for every combination of the decisions it is tied to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from nas.costs.plan import CostPlan
from nas.costs.window import TooWideError
from nas.space.batch import ArchBatch
from nas.space.elimination import MAX_CELLS, spread
from nas.space.pool import Pool
from nas.space.space import Space

Addend = tuple[CostPlan, str, float]
Table = tuple[tuple[int, ...], NDArray[np.float64]]


@dataclass(frozen=True)
class _Step:
    """Best value of a variable for each combination of `given`."""

    variable: int
    given: tuple[int, ...]
    best: NDArray[np.intp]


def cheapest(
    space: Space, addends: Sequence[Addend], ceilings: Sequence[Addend] = ()
) -> tuple[ArchBatch, float]:
    """The valid architecture with the least weighted sum of costs, a batch of one, and that sum.

    Args:
        addends: plan, name of a sum of it, weight; a negative weight asks for much of it.
        ceilings: plan, name of a maximum of it, its upper bound, which a network keeps where every layer does.

    Returns:
        Infinity, and any architecture, where none keeps the rules and ceilings.

    Raises:
        TooWideError: costs or rules that are no tables over few decisions.
    """
    factors = space.local_factors()
    if factors is None or any(plan.has_direct for plan, _, _ in (*addends, *ceilings)):
        raise TooWideError
    tables: list[Table] = [(f.scope, np.where(f.table, 0.0, np.inf)) for f in factors]
    for plan, name, weight in addends:
        tables += [(deps, weight * table) for deps, table in plan.tables(name)]
    for plan, name, ceiling in ceilings:
        tables += [(deps, np.where(table <= ceiling, 0.0, np.inf)) for deps, table in plan.tables(name)]
    codes, value = _least([len(d) for d in space.decisions], tables)
    return ArchBatch(space, codes[None, :].astype(np.int16)), value


def _least(sizes: Sequence[int], tables: Sequence[Table]) -> tuple[NDArray[np.int64], float]:
    """Codes with the least sum of all tables, and that sum."""
    constant = float(sum(table[()] for scope, table in tables if not scope))
    pool = Pool(sizes, [(scope, table) for scope, table in tables if scope])
    steps: list[_Step] = []
    for _ in sizes:
        variable = pool.cheapest()
        touching = pool.take(variable)
        given = tuple(sorted({v for scope, _ in touching for v in scope} - {variable}))
        axes = (*given, variable)
        shape = tuple(sizes[v] for v in axes)
        if prod(shape) > MAX_CELLS:
            raise TooWideError
        total = np.zeros(shape)
        for scope, table in touching:
            total = total + spread(table, scope, axes)
        steps.append(_Step(variable, given, total.argmin(axis=-1)))
        if given:
            pool.add(given, total.min(axis=-1))
        else:
            constant += float(total.min())
    codes = np.zeros(len(sizes), dtype=np.int64)
    for step in reversed(steps):
        codes[step.variable] = step.best[tuple(codes[v] for v in step.given)]
    return codes, constant
