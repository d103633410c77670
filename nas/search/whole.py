"""The best whole solution among few cells of clusters and combinations of groups, proven by HiGHS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.search.clusters import Scope
from nas.search.programme import Programme
from nas.search.quiet import without_printed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SECONDS = 60.0
"""Of one programme, in case of need; those of the shipped spaces take less than one."""
NODES = 20_000
"""Of one programme's tree: an end that does not depend on the machine's speed."""


@dataclass(frozen=True)
class Kept:
    """What a solution may consist of.

    Attributes:
        cells: flat positions in each cluster.
        combinations: flat positions in each group.
        all: whether these are all that rules leave.
    """

    cells: list[Ints]
    combinations: list[Ints]
    all: bool


@dataclass(frozen=True)
class Ceilings:
    """Of every cell of each cluster, and every combination of each group, a bound on whatever it is part of."""

    cells: list[Floats]
    combinations: list[Floats]

    def kept(self, least: float) -> Kept:
        """What may be part of something that is worth at least so much."""
        every = [*self.cells, *self.combinations]
        left = [np.flatnonzero(values.reshape(-1) >= least) for values in every]
        whole = all(len(at) == np.isfinite(values).sum() for at, values in zip(left, every))
        return Kept(left[: len(self.cells)], left[len(self.cells) :], whole)


class _Equations:
    """Rows that are being put together."""

    def __init__(self) -> None:
        self.right: list[Floats] = []
        self._count = 0
        self._entries: list[tuple[Ints, Ints, Floats]] = []

    def add(self, right: float, *sides: tuple[Ints, Ints, float]) -> None:
        """An equation for each value among the labels: each side has labels and columns, and one factor."""
        labels = [label for label, _, _ in sides]
        values, rows = np.unique(np.concatenate(labels), return_inverse=True)
        ends = np.cumsum([len(label) for label in labels])[:-1]
        for row, (_, column, factor) in zip(np.split(rows, ends), sides):
            self._entries.append((self._count + row, column, np.full(len(row), factor)))
        self.right.append(np.full(len(values), right))
        self._count += len(values)

    def matrix(self, columns: int) -> Any:
        """All of them, `(equations, columns)`."""
        from scipy.sparse import coo_array

        row, column, factor = (np.concatenate(part) for part in zip(*self._entries))
        return coo_array((factor, (row, column)), shape=(self._count, columns)).tocsr()


def proven_best(
    programme: Programme, kept: Kept, values: Sequence[Floats], rows: Floats, bounds: Floats
) -> tuple[Ints | None, bool]:
    """A combination of each group with the largest sum of values, `(groups,)`, and whether that is proven.

    Args:
        values: of each group's combinations.
        rows, bounds: `rows @ costs <= bounds` must hold.

    Returns:
        None where there is none; proven, too, unless the search was cut off.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    parts = [*kept.cells, *kept.combinations]
    starts = np.cumsum([0, *map(len, parts)])
    if not all(map(len, parts)):
        return None, True
    cells = int(starts[len(kept.cells)])
    aim, costs = np.zeros(starts[-1]), np.zeros((len(rows), int(starts[-1])))
    groups = list(zip(programme.groups, values, kept.combinations))
    aim[cells:] = -np.concatenate([value.reshape(-1)[at] for _, value, at in groups])
    limited = [group.costs.reshape(value.size, -1)[at] @ rows.T for group, value, at in groups]
    costs[:, cells:] = np.concatenate(limited).T
    equations = _equations(programme, kept, starts)
    right = np.concatenate(equations.right)
    constraints = [LinearConstraint(equations.matrix(len(aim)), right, right)]
    if len(rows):
        constraints.append(LinearConstraint(costs, -np.inf, bounds))
    with without_printed("HighsMip"):
        result = milp(
            aim,
            integrality=np.ones(len(aim)),
            bounds=Bounds(0, 1),
            constraints=constraints,
            options={"mip_rel_gap": 0.0, "node_limit": NODES, "time_limit": SECONDS},
        )
    if result.x is None:
        return None, result.status == 2
    ends = zip(kept.combinations, starts[len(kept.cells) :], starts[len(kept.cells) + 1 :])
    chosen = [int(at[result.x[start:end].argmax()]) for at, start, end in ends]
    return np.array(chosen, dtype=np.int64), result.status == 0


def _equations(programme: Programme, kept: Kept, starts: Ints) -> _Equations:
    """Each cluster agrees with its parent, and each group with its cluster, on what they share."""
    found, tree, sizes = _Equations(), programme.tree, programme.sizes

    def side(position: int, scope: Scope, factor: float) -> tuple[Ints, Ints, float]:
        """Cells of a cluster by what they are of `scope`."""
        labels = _part(kept.cells[position], tree.clusters[position].scope, scope, sizes)
        return labels, starts[position] + np.arange(len(labels)), factor

    for position, cluster in enumerate(tree.clusters):
        above = [side(cluster.parent, cluster.separator, -1.0)] if cluster.parent >= 0 else []
        found.add(0.0 if above else 1.0, side(position, cluster.separator, 1.0), *above)
    for position, (group, home) in enumerate(zip(programme.groups, tree.homes)):
        scope, at = (*group.shared, *group.own), kept.combinations[position]
        labels = _part(at, scope, group.shared, sizes)
        columns = starts[len(kept.cells) + position] + np.arange(len(at))
        above = [side(home, group.shared, -1.0)] if home >= 0 else []
        found.add(0.0 if above else 1.0, (labels, columns, 1.0), *above)
    return found


def _part(flat: Ints, scope: Scope, part: Scope, sizes: Sequence[int]) -> Ints:
    """What flat positions over `scope` are over a part of it."""
    shape = [sizes[d] for d in scope]
    codes = dict(zip(scope, np.unravel_index(flat, shape) if shape else ()))
    labels = np.zeros(len(flat), dtype=np.int64)
    for decision in part:
        labels = labels * sizes[decision] + codes[decision]
    return labels
