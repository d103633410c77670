"""Elimination: totals against enumeration, its greedy order against looking at every variable anew."""

from __future__ import annotations

import itertools
from math import prod
from pathlib import Path

import numpy as np
import pytest
from space_samples import written
from stage_chains import FIRST, HEAD, LAST

from nas.costs.window import terms_of
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


def test_a_factor_over_no_variable_counts() -> None:
    for holds in (True, False):
        factors = [Factor((), np.array(holds)), Factor((0,), np.array([True, True, False]))]
        assert Elimination([3, 2], factors).total == 4 * holds


def test_a_stage_of_one_block_that_may_be_left_out(tmp_path: Path) -> None:
    text = "  A: {block: {values: [mbconv, identity], per: block}, depth: 1, width: 8, kernel: [3, 5], "
    text += "expansion: 2, se: 0}\n"
    space = written(tmp_path, HEAD.format(resolution=64) + FIRST + text + LAST)
    assert space.size() == (3, True)
    assert len(space.sample(50, seed=0).unique()) == 3
    assert terms_of(space, np.zeros(len(space.decisions), dtype=np.int16), 10.0)


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
