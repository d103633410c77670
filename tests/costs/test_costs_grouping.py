"""Groups of slots: the same as comparing all pairs anew each time, and few of them where there are many slots."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import pytest

from nas.costs.grouping import MAX_ROWS, TOTAL_ROWS, ByRarest, homes, merge
from nas.space import load_space
from nas.space.symbolic import slot_dependencies

SMALL = sorted((Path(__file__).parents[1] / "space/spaces").glob("*.yaml"))
NAMES = ["elasticvit", "efficientformer", "efficientformer_v2", "turbovit", *SMALL]
Deps = tuple[int, ...]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: getattr(name, "stem", name))
def test_the_groups_of_a_space_are_those_of_all_pairs(name: str | Path) -> None:
    space = load_space(name)
    if space.blueprint is not None:
        sizes = [len(d) for d in space.decisions]
        dependent = slot_dependencies(space)
        assert merge(dependent, sizes) == _by_all_pairs(dependent, sizes, MAX_ROWS)


@pytest.mark.parametrize("seed", range(30))
def test_random_groups_are_those_of_all_pairs(seed: int) -> None:
    dependent, sizes = _random(seed, slots=40, decisions=20)
    assert merge(dependent, sizes, limit=500) == _by_all_pairs(dependent, sizes, 500)


@pytest.mark.parametrize("seed", range(5))
def test_many_groups_cover_every_slot_within_the_limits(seed: int) -> None:
    dependent, sizes = _random(seed, slots=1500, decisions=600)
    groups = merge(dependent, sizes)
    assert all(any(set(deps) <= set(group) for group in groups) for deps in dependent)
    assert max(prod(sizes[d] for d in group) for group in groups) <= MAX_ROWS
    assert sum(prod(sizes[d] for d in group) for group in groups) <= TOTAL_ROWS
    assert len(groups) < len(set(dependent)) / 2


def test_a_slot_too_wide_for_the_limit_is_a_group_of_its_own() -> None:
    assert merge([(0, 1, 2), (0,), (3,)], [9, 9, 9, 2], limit=10) == [(0,), (0, 1, 2), (3,)]


def test_slots_that_depend_on_nothing_stand_in_the_first_group() -> None:
    assert merge([()], []) == [()]
    assert merge([(), (1,)], [2, 2]) == [(1,)]
    assert homes([(), (1,), (2,)], [(1,), (1, 2)]) == {(): 0, (1,): 0, (2,): 1}


def test_what_lies_inside_a_set() -> None:
    rng = np.random.default_rng(0)
    sets = [frozenset(rng.choice(12, size=rng.integers(0, 4), replace=False).tolist()) for _ in range(60)]
    index = ByRarest(sets[:40])
    for each in sets[40:]:
        index.add(each)
    for _ in range(50):
        other = frozenset(rng.choice(12, size=6, replace=False).tolist())
        assert sorted(index.inside(other)) == [i for i, each in enumerate(sets) if each and each <= other]


def _random(seed: int, slots: int, decisions: int) -> tuple[list[Deps], list[int]]:
    """Slots over a few neighboring decisions, many of them over decision 0 too."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 6, size=decisions).tolist()
    dependent = []
    for _ in range(slots):
        start, width = int(rng.integers(decisions)), int(rng.integers(1, 4))
        near = {d for d in range(start, min(start + width, decisions)) if rng.random() < 0.8}
        dependent.append(tuple(sorted(near | ({0} if rng.random() < 0.5 else set()))))
    return dependent, sizes


def _by_all_pairs(dependent: list[Deps], sizes: list[int], limit: int) -> list[Deps]:
    """Join the pair with the fewest rows, looking at all pairs each time."""

    def rows(deps: frozenset[int]) -> int:
        return prod(sizes[d] for d in deps)

    groups = list({frozenset(deps) for deps in dependent})
    groups = [g for g in groups if not any(g < other and rows(other) <= limit for other in groups)]
    groups.sort(key=lambda g: (sorted(g), len(g)))
    while True:
        pairs = [
            (rows(a | b), i, j)
            for i, a in enumerate(groups)
            for j, b in enumerate(groups[:i])
            if rows(a | b) <= limit
        ]
        if not pairs:
            return [tuple(sorted(group)) for group in groups]
        _, i, j = min(pairs)
        joined = groups[i] | groups[j]
        groups = [g for k, g in enumerate(groups) if k not in (i, j) and not g <= joined] + [joined]
