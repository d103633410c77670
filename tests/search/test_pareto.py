"""Dominance, sorting, crowding and hypervolume against brute force and known volumes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nas.errors import NasError
from nas.search.pareto import (
    constrained_ranks,
    crowding_distance,
    hypervolume,
    merge_front,
    non_dominated,
    non_dominated_sort,
)

WORDS = st.sampled_from(["min", "max"])


@st.composite
def problems(draw, most: int = 40, objectives: int = 5, special: bool = True):
    """Values on a coarse grid, so that ties and copies are common, and directions."""
    m = draw(st.integers(1, objectives))
    levels = [float(v) for v in range(-3, 4)] + ([np.nan, np.inf, -np.inf, -0.0] if special else [])
    shape = (draw(st.integers(0, most)), m)
    values = draw(arrays.arrays(np.float64, shape, elements=st.sampled_from(levels)))
    return values, draw(st.lists(WORDS, min_size=m, max_size=m))


def dominates(a, b, directions) -> bool:
    """The definition, on plain floats; every comparison with a NaN is false."""
    pairs = [(x, y) if word == "min" else (y, x) for x, y, word in zip(a, b, directions)]
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


def brute_front(values, directions) -> np.ndarray:
    rows = values.tolist()
    return np.array(
        [
            not any(np.isnan(row)) and not any(dominates(other, row, directions) for other in rows)
            for row in rows
        ],
        dtype=bool,
    )


def brute_ranks(values, directions) -> np.ndarray:
    ranks = np.full(len(values), -1)
    rest = np.flatnonzero(~np.isnan(values).any(axis=1))
    rank = 0
    while len(rest):
        front = brute_front(values[rest], directions)
        ranks[rest[front]] = rank
        rest, rank = rest[~front], rank + 1
    ranks[ranks < 0] = rank
    return ranks


def brute_volume(values, reference, directions) -> float:
    """Inclusion and exclusion over all subsets of boxes."""
    signs = np.array([1.0 if word == "min" else -1.0 for word in directions])
    sides = np.asarray(reference) * signs - values * signs
    sides = sides[(sides > 0).all(axis=1)]
    total = 0.0
    for size in range(1, len(sides) + 1):
        for chosen in combinations(range(len(sides)), size):
            total -= (-1) ** size * float(np.prod(sides[list(chosen)].min(axis=0)))
    return total


@given(problems())
def test_front_is_the_definition(problem):
    values, directions = problem
    assert non_dominated(values, directions).tolist() == brute_front(values, directions).tolist()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([3, 40, 10**6]), st.booleans())
def test_front_of_many_points_is_the_definition(seed, m, levels, shell):
    """Sizes beyond the leaf of the recursion, with few or many ties, with small and full fronts."""
    rng = np.random.default_rng(seed)
    values = rng.random((int(rng.integers(33, 900)), m))
    if shell:
        values /= np.linalg.norm(values, axis=1, keepdims=True)
    values = np.round(values * levels)
    at_most = (values[:, None] <= values[None]).all(axis=2)
    expected = ~(at_most & ~at_most.T).any(axis=0)
    assert np.array_equal(non_dominated(values, ["min"] * m), expected)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_front_survives_the_filter_for_large_inputs(m):
    rng = np.random.default_rng(m)
    values = np.round(rng.random((20_000, m)), 2)
    values[rng.random(20_000) < 0.01, 0] = np.nan
    mask = non_dominated(values, ["max"] * m)
    front, rest = values[mask], values[~mask]
    clean = rest[~np.isnan(rest).any(axis=1)]
    better = (front[:, None] >= clean[None]).all(axis=2) & (front[:, None] > clean[None]).any(axis=2)
    assert better.any(axis=0).all()
    within = (front[:, None] >= front[None]).all(axis=2) & (front[:, None] > front[None]).any(axis=2)
    assert not within.any()


@given(problems(), st.randoms(use_true_random=False))
def test_order_of_points_does_not_matter(problem, random):
    values, directions = problem
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = values[order]
    assert np.array_equal(non_dominated(values, directions)[order], non_dominated(shuffled, directions))
    ranks = non_dominated_sort(values, directions)
    assert np.array_equal(ranks[order], non_dominated_sort(shuffled, directions))
    rows = [(*row, d) for row, d in zip(np.nan_to_num(values, nan=9.5), crowding_distance(values, ranks))]
    shuffled_rows = zip(np.nan_to_num(shuffled, nan=9.5), crowding_distance(shuffled, ranks[order]))
    assert np.allclose(sorted(map(tuple, rows)), sorted((*row, d) for row, d in shuffled_rows))


@given(problems(), st.integers(0, 45))
def test_sort_peels_fronts(problem, limit):
    values, directions = problem
    expected = brute_ranks(values, directions)
    assert np.array_equal(non_dominated_sort(values, directions), expected)
    limited = non_dominated_sort(values, directions, limit=limit)
    valid = ~np.isnan(values).any(axis=1)
    ranked = valid & (limited < limited[valid].max(initial=-1))
    assert np.array_equal(limited[ranked], expected[ranked])
    if limited[valid].max(initial=0) > 0:
        assert ranked.sum() >= limit or np.array_equal(limited, expected)
        assert (expected[ranked] < limited[valid].max()).all()


def test_sort_of_many_points_equals_the_matrix_sort():
    values = np.round(np.random.default_rng(0).random((3000, 2)), 2)
    ranks = non_dominated_sort(values, ("min", "max"))
    for rank in range(ranks.max() + 1):
        assert np.array_equal(
            np.flatnonzero(ranks >= rank)[brute_2d(values[ranks >= rank])], np.flatnonzero(ranks == rank)
        )
    limited = non_dominated_sort(values, ("min", "max"), limit=500)
    first = limited < limited.max()
    assert first.sum() >= 500
    assert np.array_equal(limited[first], ranks[first])


def brute_2d(values) -> np.ndarray:
    """Front of (min, max) by scanning each value of the first objective."""
    best = {}
    for x, y in values.tolist():
        best[x] = max(y, best.get(x, -np.inf))
    kept, highest = {}, -np.inf
    for x in sorted(best):
        if best[x] > highest:
            kept[x] = highest = best[x]
    return np.array([kept.get(x) == y for x, y in values.tolist()])


@given(problems(), st.data())
def test_constraint_dominance_puts_feasible_first_and_least_violation_next(problem, data):
    values, directions = problem
    levels = st.sampled_from([-1.0, 0.0, 0.5, 2.0, np.inf, np.nan])
    violations = data.draw(arrays.arrays(np.float64, len(values), elements=levels))
    ranks = constrained_ranks(values, violations, directions)
    broken = np.isnan(violations) | ((violations <= 0) & np.isnan(values).any(axis=1))
    for i in range(len(values)):
        for j in range(len(values)):
            if broken[i] or broken[j]:
                assert ranks[i] >= ranks[j] or not broken[i]
            elif violations[i] <= 0 < violations[j]:
                assert ranks[i] < ranks[j]
            elif violations[i] > 0 and violations[j] > 0:
                assert (ranks[i] < ranks[j]) == (violations[i] < violations[j])
            elif violations[i] <= 0 and violations[j] <= 0 and dominates(values[i], values[j], directions):
                assert ranks[i] < ranks[j]
    feasible = (violations <= 0) & ~broken
    assert np.array_equal(ranks[feasible], brute_ranks(values[feasible], directions))
    assert set(ranks.tolist()) == set(range(len(set(ranks.tolist()))))


def test_crowding_of_a_worked_example():
    values = np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 4.0], [10.0, 0.0], [4.0, 4.0]])
    distance = crowding_distance(values)
    assert distance[[0, 3]].tolist() == [np.inf, np.inf]
    assert distance[1] == pytest.approx(4 / 10 + 6 / 10)
    assert sorted(distance[[2, 4]]) == [0.0, pytest.approx(9 / 10 + 6 / 10)]


def test_crowding_is_taken_within_each_rank():
    values = np.array([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0], [5.0, 9.0], [6.0, 8.0], [7.0, 7.0], [50.0, 50.0]])
    ranks = np.array([0, 0, 0, 1, 1, 1, 2])
    distance = crowding_distance(values, ranks)
    assert distance.tolist() == [np.inf, 2.0, np.inf, np.inf, 2.0, np.inf, np.inf]
    alone = np.r_[
        crowding_distance(values[:3]), crowding_distance(values[3:6]), crowding_distance(values[6:])
    ]
    assert np.array_equal(distance, alone)


def test_a_constant_objective_does_not_crowd():
    values = np.array([[0.0, 7.0], [1.0, 7.0], [3.0, 7.0], [4.0, 7.0]])
    assert crowding_distance(values).tolist() == [np.inf, 0.75, 0.75, np.inf]


@settings(deadline=None)
@given(problems(most=7, special=False))
def test_hypervolume_is_inclusion_and_exclusion(problem):
    values, directions = problem
    reference = [2.5 if word == "min" else -2.5 for word in directions]
    expected = brute_volume(values, reference, directions)
    assert hypervolume(values, reference, directions) == pytest.approx(expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 12))
def test_hypervolume_counts_the_cells_of_a_grid(seed, m, levels):
    """Integer points: the volume is the number of unit cells that some point dominates."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, size=(60, m))
    covered = np.zeros((levels,) * m, dtype=bool)
    for point in values:
        covered[tuple(slice(start, None) for start in point)] = True
    assert hypervolume(values, [levels] * m, ["min"] * m) == pytest.approx(covered.sum())


def test_hypervolume_of_a_staircase_under_a_line():
    """n steps under x + y = 1 cover 1/2 - 1/(2n) of the unit square."""
    n = 1000
    x = np.arange(n) / n
    assert hypervolume(np.c_[x, 1 - x], [1, 1], ["min", "min"]) == pytest.approx(0.5 - 0.5 / n)


def test_hypervolume_of_a_dense_sphere_approaches_the_octant():
    rng = np.random.default_rng(0)
    points = np.abs(rng.normal(size=(20_000, 3)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    volume = hypervolume(points, [0, 0, 0], ["max"] * 3)
    assert np.pi / 6 * 0.985 < volume < np.pi / 6


def test_hypervolume_beyond_three_objectives_is_a_product_of_independent_parts():
    """The product of two 2-objective point sets dominates the product of their volumes."""
    stairs = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
    product = np.array([[*a, *b] for a in stairs for b in stairs])
    assert hypervolume(stairs, [3, 3], ["min"] * 2) == 6
    assert hypervolume(product, [3] * 4, ["min"] * 4) == pytest.approx(36)


@given(problems(special=False), st.randoms(use_true_random=False))
def test_hypervolume_ignores_order_copies_and_dominated_points(problem, random):
    values, directions = problem
    reference = [2.5 if word == "min" else -2.5 for word in directions]
    whole = hypervolume(values, reference, directions)
    front = np.repeat(values[non_dominated(values, directions)], 2, axis=0)
    order = list(range(len(front)))
    random.shuffle(order)
    assert hypervolume(front[order], reference, directions) == pytest.approx(whole)


def test_hypervolume_at_the_edges():
    both = ["min", "max"]
    assert hypervolume(np.empty((0, 2)), [1, 1], both) == 0
    assert hypervolume([[1.0, 5.0], [np.nan, 9.0], [0.0, 1.0]], [1, 1], both) == 0
    assert hypervolume([[-np.inf, 5.0], [0.0, 2.0]], [1, 1], both) == np.inf
    with pytest.raises(NasError, match="NaN"):
        hypervolume([[0.0, 1.0]], [np.nan, 1], both)


@given(problems(), st.data())
def test_merging_equals_the_front_of_everything(problem, data):
    values, directions = problem
    cut = data.draw(st.integers(0, len(values)))
    front = values[:cut][non_dominated(values[:cut], directions)]
    stays, joins = merge_front(front, values[cut:], directions)
    assert np.array_equal(np.r_[stays, joins], brute_front(np.concatenate([front, values[cut:]]), directions))


@pytest.mark.parametrize(
    ("values", "directions", "told"),
    [
        (np.zeros(3), ["min"], "shape"),
        (np.zeros((3, 2)), ["min"], "2 objective values a point, but 1 directions"),
        (np.zeros((3, 1)), ["down"], "'down'"),
        (np.zeros((3, 0)), [], "one per objective"),
    ],
)
def test_wrong_shapes_and_directions_are_told(values, directions, told):
    with pytest.raises(NasError, match=told):
        non_dominated(values, directions)


def test_violations_must_match_the_points():
    with pytest.raises(NasError, match=r"\(3,\)"):
        constrained_ranks(np.zeros((3, 1)), np.zeros(2), ["min"])
