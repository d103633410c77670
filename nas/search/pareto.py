"""Dominance, fronts, crowding and hypervolume of many points at once, in numpy.

Every function takes objective values as `(n, m)` and `directions` of length m. A row holding a
NaN is on no front and dominates nothing. Points with equal values do not dominate one another,
so every copy of a non-dominated point is on the front. Infinite values are allowed.

Sources: three objectives by divide and conquer as in Kung, Luccio and Preparata, "On finding the
maxima of a set of vectors" (JACM 1975), all blocks of one depth at once; sorting, crowding and
constraint dominance from Deb et al., "A fast and elitist multiobjective genetic algorithm:
NSGA-II" (2002); the hypervolume sweep in three objectives from Fonseca, Paquete and López-Ibáñez
(2006), beyond three While, Bradstreet and Barone, "A fast way of calculating exact hypervolumes"
(WFG, 2012).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.errors import NasError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_LEAF = 32  # blocks of this many points are compared pairwise
_PAIRS = 4_000_000  # comparisons held in memory at once
_MATRIX = 2048  # up to this many points the whole dominance matrix is the fastest sort


def non_dominated(values: ArrayLike, directions: Sequence[str]) -> Bools:
    """Which points no other point dominates.

    Args:
        values: objectives, float (n, m).
        directions: `"min"` or `"max"` for each objective.

    Returns:
        bool (n,). O(n log n) for m = 1, 2; O(n log² n) for m = 3; beyond that O(n · front).

    Raises:
        NasError: shapes that do not fit, or an unknown direction.
    """
    points = minimised(values, directions)
    mask = np.zeros(len(points), dtype=np.bool_)
    rows = np.flatnonzero(~np.isnan(points).any(axis=1))
    rows = rows[_promising(points[rows])]
    mask[rows[_front(points[rows])]] = True
    return mask


def non_dominated_sort(values: ArrayLike, directions: Sequence[str], limit: int | None = None) -> Ints:
    """Rank of each point: 0 on the front, 1 on the front of the others, and so on.

    Args:
        values: objectives, float (n, m).
        directions: `"min"` or `"max"` for each objective.
        limit: stop once at least this many points are ranked; the remaining ones share the
            next rank.

    Returns:
        int64 (n,). Rows with a NaN have the highest rank, after every other point.
    """
    points = minimised(values, directions)
    ranks = np.zeros(len(points), dtype=np.int64)
    valid = ~np.isnan(points).any(axis=1)
    rows = np.flatnonzero(valid)
    ranks[rows] = _peel(points[rows], len(rows) if limit is None else limit)
    if len(rows):
        ranks[~valid] = ranks[rows].max() + 1
    return ranks


def constrained_ranks(
    values: ArrayLike, violations: ArrayLike, directions: Sequence[str], limit: int | None = None
) -> Ints:
    """Ranks under constraint dominance (Deb et al. 2002, §VI).

    Feasible points come first, by `non_dominated_sort`; then infeasible ones by their violation
    alone, least first, equal violations sharing a rank; last of all points that have a NaN in an
    objective although they are feasible, and points whose violation is NaN.

    Args:
        values: objectives, float (n, m); unread where the point is infeasible.
        violations: float (n,), 0 or less where every constraint holds.
        directions: `"min"` or `"max"` for each objective.
        limit: as in `non_dominated_sort`.

    Returns:
        int64 (n,), without gaps from 0.
    """
    points = minimised(values, directions)
    excess = np.asarray(violations, dtype=np.float64)
    if excess.shape != (len(points),):
        raise NasError(f"violations must have the shape ({len(points)},), not {excess.shape}.")
    feasible = (excess <= 0) & ~np.isnan(points).any(axis=1)
    infeasible = excess > 0
    ranks = np.zeros(len(points), dtype=np.int64)
    rows = np.flatnonzero(feasible)
    ranks[rows] = _peel(points[rows], len(rows) if limit is None else limit)
    following = int(ranks[rows].max()) + 1 if len(rows) else 0
    levels, level = np.unique(excess[infeasible], return_inverse=True)
    ranks[infeasible] = following + level
    ranks[~(feasible | infeasible)] = following + len(levels)
    return ranks


def crowding_distance(values: ArrayLike, ranks: ArrayLike | None = None) -> Floats:
    """Crowding distance (Deb et al. 2002, §III-B) within each rank.

    Of several equal points one takes part and the others have distance 0, so the distances of a
    set do not depend on its order. An objective that does not vary within a rank adds nothing;
    a point alone in its rank is infinitely far from the others.

    Args:
        values: objectives, float (n, m), in any direction.
        ranks: int (n,) from a sort; all points are one rank where it is left out.

    Returns:
        float64 (n,): infinite at the ends of each objective, else the sum over objectives of
        the gap between both neighbours relative to the rank's extent. 0 for rows with a NaN.
    """
    points = _matrix(values)
    groups = np.zeros(len(points), dtype=np.int64) if ranks is None else np.asarray(ranks, dtype=np.int64)
    distance = np.zeros(len(points))
    rows = np.flatnonzero(~np.isnan(points).any(axis=1))
    order = rows[np.lexsort((*points[rows].T, groups[rows]))]
    copies = (groups[order][1:] == groups[order][:-1]) & (points[order][1:] == points[order][:-1]).all(axis=1)
    rows = order[np.r_[True, ~copies][: len(order)]]
    for objective in range(points.shape[1]):
        ties = np.delete(points[rows], objective, axis=1).T
        column = points[rows, objective]
        by_value = np.lexsort((*ties, column, groups[rows]))
        distance[rows[by_value]] += _gaps(column[by_value], groups[rows[by_value]])
    return distance


def hypervolume(values: ArrayLike, reference: ArrayLike, directions: Sequence[str]) -> float:
    """Volume that the points dominate, up to the reference point. Exact.

    Args:
        values: objectives, float (n, m). Dominated points, and points that are not better than
            the reference in every objective, add nothing.
        reference: float (m,), in the objectives' own units and directions.
        directions: `"min"` or `"max"` for each objective.

    Returns:
        A number ≥ 0 (infinite where a value is) in the product of the objectives' units. Takes
        O(n log n) for m ≤ 3 on fronts of usual shape, and is exponential in m beyond.

    Raises:
        NasError: shapes that do not fit, or a reference with a NaN.
    """
    points = minimised(values, directions)
    corner = minimised(np.asarray(reference, dtype=np.float64).reshape(1, -1), directions)[0]
    if np.isnan(corner).any():
        raise NasError("the reference point of a hypervolume must not hold a NaN.")
    points = points[(points < corner).all(axis=1)]
    if np.isinf(points).any() or (len(points) and np.isinf(corner).any()):
        return float("inf")
    points = points[_front(points)] - corner
    return _volume(np.unique(points, axis=0))


def merge_front(
    front_values: ArrayLike, new_values: ArrayLike, directions: Sequence[str]
) -> tuple[Bools, Bools]:
    """Join new points to a front without looking at anything it already dominates.

    Args:
        front_values: float (f, m), the members of a front (none dominates another).
        new_values: float (n, m), the points to join.
        directions: `"min"` or `"max"` for each objective.

    Returns:
        bool (f,), the members that stay, and bool (n,), the new points that become members.
        Together they are the front of all f + n points. O(f · front of the new points).
    """
    front, new = minimised(front_values, directions), minimised(new_values, directions)
    joins = np.zeros(len(new), dtype=np.bool_)
    candidates = np.flatnonzero(non_dominated(new_values, directions))
    candidates = candidates[~_beaten(new[candidates], front)]
    joins[candidates] = True
    return ~_beaten(front, new[candidates]), joins


def minimised(values: ArrayLike, directions: Sequence[str]) -> Floats:
    """The values with every objective turned so that less is better, float64 (n, m).

    Raises:
        NasError: not a matrix of m columns, no objective, or an unknown direction.
    """
    unknown = [word for word in directions if word not in ("min", "max")]
    if unknown or not len(directions):
        raise NasError(f"directions must be 'min' or 'max', one per objective, not {list(directions)!r}.")
    points = _matrix(values)
    if points.shape[1] != len(directions):
        raise NasError(f"{points.shape[1]} objective values a point, but {len(directions)} directions.")
    signs = np.array([1.0 if word == "min" else -1.0 for word in directions])
    turned: Floats = points * signs + 0.0  # + 0.0 makes -0.0 and 0.0 sort as the equal numbers they are
    return turned


def _matrix(values: ArrayLike) -> Floats:
    points = np.asarray(values, dtype=np.float64)
    if points.ndim != 2:
        raise NasError(f"objective values must have the shape (n, m), not {points.shape}.")
    return points


def _promising(points: Floats) -> Ints:
    """Rows left after removing what a few good points dominate; cheap, and never a front point."""
    rows = np.arange(len(points))
    if len(points) <= _MATRIX:
        return rows
    columns = np.ascontiguousarray(points.T)
    score = _scores(columns)
    while len(rows) > _MATRIX:
        best = int(np.argmin(score))
        pivot = columns[:, best].copy()
        kept = np.logical_or.reduce([column < bound for column, bound in zip(columns, pivot, strict=True)])
        others = np.flatnonzero(~kept)
        kept[others[(columns[:, others] == pivot[:, None]).all(axis=0)]] = True
        if kept.sum() > 0.9 * len(rows):
            break
        score[best] = np.inf
        rows, columns, score = rows[kept], columns[:, kept], score[kept]
    return rows


def _scores(columns: Floats) -> Floats:
    """Sum of the objectives relative to their ranges; only a hint where a strong point may be."""
    score = np.zeros(columns.shape[1])
    with np.errstate(all="ignore"):
        for column in columns:
            score += column / max(column.max() - column.min(), np.finfo(np.float64).tiny)
    return np.nan_to_num(score, nan=np.inf)


def _front(points: Floats) -> Bools:
    """Non-dominated among points to be minimised, free of NaN."""
    order = _lexicographic(points)
    ordered = points[order]
    first = np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)][: len(order)]
    unique = ordered[first]
    solve = {1: _front_1, 2: _front_2, 3: _front_3}.get(points.shape[1], _front_any)
    mask = np.empty(len(points), dtype=np.bool_)
    mask[order] = solve(unique)[np.cumsum(first) - 1]
    return mask


def _lexicographic(points: Floats) -> Ints:
    """Order by the first objective, ties by the second, and so on."""
    order = np.argsort(points[:, 0])
    column = points[order, 0]
    ties = bool((column[1:] == column[:-1]).any())
    return np.lexsort(points.T[::-1]) if ties else order


def _front_1(unique: Floats) -> Bools:
    mask = np.zeros(len(unique), dtype=np.bool_)
    mask[:1] = True
    return mask


def _front_2(unique: Floats) -> Bools:
    second = unique[:, 1]
    best = np.r_[np.inf, np.minimum.accumulate(second)[:-1]]
    mask: Bools = second < best
    mask[:1] = True
    return mask


def _front_3(unique: Floats) -> Bools:
    """Three objectives; `unique` is in lexicographic order without copies.

    Only an earlier point can dominate a later one, so the first objective needs no comparing.
    At each depth every block is halved, and a point of the right half falls if the least third
    objective among left points with no greater second objective is no greater than its own.
    """
    n = len(unique)
    depth = max(0, int(np.ceil(np.log2(max(n, 1) / _LEAF))))
    leaf = -(-n // 2**depth)
    second, third = _padded_ranks(unique, leaf << depth)
    dominated = np.zeros(leaf << depth, dtype=np.bool_)
    place = np.argsort(second, kind="stable").astype(np.int32).reshape(1, -1)
    depths = third[place]
    for level in range(depth, 0, -1):
        half = leaf << (level - 1)
        left = place < half
        best = np.minimum.accumulate(np.where(left, depths, np.int32(n)), axis=1)
        fallen = np.flatnonzero(~left & (best <= depths) & (depths < n))
        dominated[fallen - fallen % (2 * half) + place.ravel()[fallen]] = True
        depths.ravel()[fallen] = n  # whatever it dominates, its own dominator does too
        sides = np.flatnonzero(left), np.flatnonzero(~left)
        place, depths = _halves(place, sides, half), _halves(depths, sides, half)
        place %= half
    for shift in range(1, leaf):
        dominated[shift:] |= (second[:-shift] <= second[shift:]) & (third[:-shift] <= third[shift:])
    return ~dominated[:n]


def _padded_ranks(unique: Floats, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Dense ranks of the second and third objective; the padding ranks n, behind everything."""
    ranks = np.full((2, size), len(unique), dtype=np.int32)
    for row, column in zip(ranks, unique.T[1:], strict=True):
        order = np.argsort(column)
        ordered = column[order]
        row[order] = np.cumsum(np.r_[False, ordered[1:] != ordered[:-1]][: len(order)])
    return ranks[0], ranks[1]


def _halves(table: NDArray[np.int32], sides: tuple[Ints, Ints], half: int) -> NDArray[np.int32]:
    """(blocks, 2·half) split into (2·blocks, half), each half in its block's order."""
    parts = np.empty((len(table), 2, half), dtype=np.int32)
    for side, rows in enumerate(sides):
        parts[:, side] = table.ravel()[rows].reshape(-1, half)
    return parts.reshape(-1, half)


def _front_any(unique: Floats) -> Bools:
    """Any number of objectives; `unique` is in lexicographic order without copies."""
    mask = np.zeros(len(unique), dtype=np.bool_)
    for start in range(0, len(unique), 256):
        rows = np.arange(start, min(start + 256, len(unique)))
        rows = rows[~_beaten(unique[rows], unique[mask])]
        rows = rows[~_beaten(unique[rows], unique[rows])]
        mask[rows] = True
    return mask


def _beaten(points: Floats, rivals: Floats) -> Bools:
    """Which points some rival dominates: bool (n,) for (n, m) against (r, m); NaN rivals do not."""
    beaten = np.zeros(len(points), dtype=np.bool_)
    step = max(1, _PAIRS // max(len(rivals), 1))
    for start in range(0, len(points), step):
        part = points[start : start + step]
        beaten[start : start + step] = _dominance(rivals, part).any(axis=0)
    return beaten


def _dominance(rivals: Floats, points: Floats) -> Bools:
    """bool (r, n): whether rival i dominates point j."""
    no_worse = np.ones((len(rivals), len(points)), dtype=np.bool_)
    better = np.zeros_like(no_worse)
    for rival, point in zip(rivals.T, points.T, strict=True):
        no_worse &= rival[:, None] <= point
        better |= rival[:, None] < point
    return no_worse & better


def _peel(points: Floats, limit: int) -> Ints:
    """Ranks of points free of NaN; at least `limit` of them, the others share the next rank."""
    if len(points) <= _MATRIX:
        return _peel_matrix(points, limit)
    ranks = np.zeros(len(points), dtype=np.int64)
    rows, rank = np.arange(len(points)), 0
    while len(rows):
        ranks[rows] = rank
        if len(points) - len(rows) >= limit:
            break
        front = np.zeros(len(rows), dtype=np.bool_)
        likely = _promising(points[rows])
        front[likely[_front(points[rows[likely]])]] = True
        rows, rank = rows[~front], rank + 1
    return ranks


def _peel_matrix(points: Floats, limit: int) -> Ints:
    dominance = _dominance(points, points)
    dominators = dominance.sum(axis=0)
    ranks = np.zeros(len(points), dtype=np.int64)
    open_, rank = np.ones(len(points), dtype=np.bool_), 0
    while open_.any():
        ranks[open_] = rank
        if len(points) - open_.sum() >= limit:
            break
        front = open_ & (dominators == 0)
        dominators -= dominance[front].sum(axis=0)
        open_ &= ~front
        rank += 1
    return ranks


def _gaps(column: Floats, groups: Ints) -> Floats:
    """Relative gap between the neighbours of each value, sorted within sorted groups."""
    if not len(column):
        return column
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    ends = np.r_[starts[1:], len(column)] - 1
    with np.errstate(invalid="ignore"):
        extent = np.repeat(column[ends] - column[starts], ends - starts + 1)
        around = np.r_[column[1:], np.inf] - np.r_[-np.inf, column[:-1]]
        gaps: Floats = np.nan_to_num(around / np.where(extent > 0, extent, 1.0), nan=0.0, posinf=np.inf)
    gaps[starts] = gaps[ends] = np.inf
    gaps[extent == 0] = 0.0
    gaps[starts[starts == ends]] = np.inf
    return gaps


def _volume(points: Floats) -> float:
    """Volume between points and the origin: unique, non-dominated, all negative, lexicographic."""
    if not len(points):
        return 0.0
    dimensions = points.shape[1]
    if dimensions == 1:
        return float(-points[0, 0])
    if dimensions == 2:
        return float(np.sum(points[:, 0] * np.diff(points[:, 1], prepend=0.0)))
    return _volume_3(points) if dimensions == 3 else _volume_wfg(points)


def _volume_3(points: Floats) -> float:
    """Sweep along the third objective, keeping the staircase of the first two and its area."""
    xs, ys = [-np.inf, 0.0], [0.0, -np.inf]
    total, area, last = 0.0, 0.0, 0.0
    for x, y, z in points[np.argsort(points[:, 2], kind="stable")].tolist():
        total += area * (z - last)
        last = z
        at = bisect_right(xs, x)
        if ys[at - 1] <= y:
            continue
        end = at
        left, height, gained = x, ys[at - 1], 0.0
        while ys[end] >= y:
            gained += (xs[end] - left) * (height - y)
            left, height, end = xs[end], ys[end], end + 1
        area += gained + (xs[end] - left) * (height - y)
        start = bisect_left(xs, x)
        xs[start:end], ys[start:end] = [x], [y]
    return total - area * last


def _volume_wfg(points: Floats) -> float:
    """Sum of exclusive volumes; sorted so that each limit set is flat in the last objective."""
    points = points[np.argsort(-points[:, -1], kind="stable")]
    total = 0.0
    for index, point in enumerate(points):
        limited = np.unique(np.maximum(points[index + 1 :], point)[:, :-1], axis=0)
        limited = limited[_front(limited)]
        total += (float(np.prod(-point[:-1])) - _volume(limited)) * float(-point[-1])
    return total
