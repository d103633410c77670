"""Elimination: totals against enumeration, its greedy order against looking at every variable anew."""

from __future__ import annotations

import itertools
from math import prod

import numpy as np
import pytest

from nas.space.elimination import Elimination, Factor


def _random(seed: int, variables: int) -> tuple[list[int], list[Factor]]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, size=variables).tolist()
    factors = []
    for _ in range(variables):
        scope = tuple(sorted(rng.choice(variables, size=rng.integers(1, 4), replace=False).tolist()))
        factors.append(Factor(scope, rng.random([sizes[v] for v in scope]) < 0.8))
    return sizes, factors


@pytest.mark.parametrize("seed", range(20))
def test_the_total_is_the_number_of_allowed_combinations(seed: int) -> None:
    sizes, factors = _random(seed, 7)
    allowed = [
        codes
        for codes in itertools.product(*map(range, sizes))
        if all(factor.table[tuple(codes[v] for v in factor.scope)] for factor in factors)
    ]
    elimination = Elimination(sizes, factors)
    assert elimination.total == len(allowed)
    assert Elimination(sizes, factors, order=range(len(sizes))).total == len(allowed)
    if allowed:
        drawn = elimination.sample(300, np.random.default_rng(seed))
        assert set(map(tuple, drawn.tolist())) <= set(allowed)


@pytest.mark.parametrize("seed", range(30))
def test_the_order_is_that_of_the_smallest_tables(seed: int) -> None:
    sizes, factors = _random(seed, 12)
    scopes = [set(factor.scope) for factor in factors]
    left, order = set(range(len(sizes))), []
    while left:
        cells = {v: prod(sizes[u] for u in {v}.union(*(s for s in scopes if v in s))) for v in left}
        variable = min(left, key=lambda v: (cells[v], -v))
        joined = set().union(*(s for s in scopes if variable in s)) - {variable}
        scopes = [*(s for s in scopes if variable not in s), joined]
        left.remove(variable)
        order.append(variable)
    assert list(reversed(Elimination(sizes, factors).drawing_order)) == order
