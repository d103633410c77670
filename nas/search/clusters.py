"""The best of sums of tables, and what each cell of them can at best be part of: passes over a tree of clusters.

Eliminating decisions one by one leaves, for each, a cluster of it and of what it is tied to then: a junction tree
(Lauritzen and Spiegelhalter 1988). One pass towards its roots finds the best sum, one back the best sum that every
cell is part of (max-marginals).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.space.elimination import MAX_CELLS, spread
from nas.space.pool import Pool

Floats = NDArray[np.float64]
Scope = tuple[int, ...]


@dataclass(frozen=True)
class Cluster:
    """A node of the tree.

    Attributes:
        scope: decisions; the last is its own.
        parent: position of its parent, which comes later and shares all but its own; -1 for a root.
    """

    scope: Scope
    parent: int

    @property
    def separator(self) -> Scope:
        """What it shares with its parent."""
        return self.scope[:-1]


def clusters_of(sizes: Sequence[int], scopes: Sequence[Scope]) -> list[Cluster]:
    """A cluster for each decision of `scopes`, children before their parents.

    A scope lies in the first cluster whose own decision is one of it.
    """
    variables = sorted({decision for scope in scopes for decision in scope})
    place = {decision: position for position, decision in enumerate(variables)}
    nothing: Any = np.zeros(0)
    tables = [(tuple(place[d] for d in scope), nothing) for scope in scopes if scope]
    pool = Pool([sizes[d] for d in variables], tables)
    tied: dict[int, Scope] = {}
    for _ in variables:
        variable = pool.cheapest()
        tied[variable] = tuple(sorted({v for scope, _ in pool.take(variable) for v in scope} - {variable}))
        if tied[variable]:
            pool.add(tied[variable], nothing)
    order = {variable: position for position, variable in enumerate(tied)}
    return [
        Cluster(tuple(variables[v] for v in (*given, own)), min((order[v] for v in given), default=-1))
        for own, given in tied.items()
    ]


class Tree:
    """Clusters of some scopes.

    Args:
        sizes: number of values of each decision.
        scopes: of the tables that will be added up, each ascending.

    Attributes:
        clusters: children first.
        homes: the cluster that each scope lies in; -1 for an empty scope.
        too_large: whether a cluster has more than two million cells.
    """

    def __init__(self, sizes: Sequence[int], scopes: Sequence[Scope]) -> None:
        self.sizes, self.scopes = sizes, list(scopes)
        self.clusters = clusters_of(sizes, scopes)
        own = {cluster.scope[-1]: position for position, cluster in enumerate(self.clusters)}
        self.homes = [min((own[d] for d in scope), default=-1) for scope in scopes]
        self.too_large = any(prod(sizes[d] for d in c.scope) > MAX_CELLS for c in self.clusters)


class Pass:
    """Tables added up along a tree.

    Args:
        tables: one for each scope of the tree, one axis for each decision; minus infinity where it is forbidden.

    Attributes:
        best: the largest sum of all tables.
    """

    def __init__(self, tree: Tree, tables: Sequence[Floats]) -> None:
        self.tree = tree
        self._totals = [np.zeros([tree.sizes[d] for d in cluster.scope]) for cluster in tree.clusters]
        self.best = sum(float(table) for table, home in zip(tables, tree.homes) if home < 0)
        for table, scope, home in zip(tables, tree.scopes, tree.homes):
            if home >= 0:
                self._totals[home] += spread(table, scope, tree.clusters[home].scope)
        self._messages: list[Floats] = []
        for cluster, total in zip(tree.clusters, self._totals):
            message = total.max(axis=-1)
            self._messages.append(message)
            if cluster.parent >= 0:
                parent = cluster.parent
                self._totals[parent] += spread(message, cluster.separator, tree.clusters[parent].scope)
            else:
                self.best += float(message)

    def choice(self) -> dict[int, int]:
        """A code of each decision with the best sum."""
        codes: dict[int, int] = {}
        for cluster, total in zip(reversed(self.tree.clusters), reversed(self._totals)):
            codes[cluster.scope[-1]] = int(total[tuple(codes[d] for d in cluster.separator)].argmax())
        return codes

    def marginals(self) -> list[Floats]:
        """The best sum that each cell of each cluster is part of."""
        clusters = self.tree.clusters
        found: list[Floats] = [np.zeros(0)] * len(clusters)
        for position in reversed(range(len(clusters))):
            cluster, total, message = clusters[position], self._totals[position], self._messages[position]
            if cluster.parent < 0:
                above = np.asarray(self.best)
            else:
                parent = clusters[cluster.parent].scope
                outside = tuple(i for i, d in enumerate(parent) if d not in cluster.separator)
                most = found[cluster.parent].max(axis=outside)
                above = _aligned(most, [d for d in parent if d in cluster.separator], cluster.separator)
            rest = np.subtract(
                above, message, out=np.full(message.shape, -np.inf), where=np.isfinite(message)
            )
            found[position] = total + rest[..., None]
        return found

    def of_scope(self, marginals: Sequence[Floats], position: int) -> Floats:
        """The same of the cells of one of the tree's scopes, given those of clusters."""
        scope, home = self.tree.scopes[position], self.tree.homes[position]
        if home < 0:
            return np.asarray(self.best)
        among = self.tree.clusters[home].scope
        most = marginals[home].max(axis=tuple(i for i, d in enumerate(among) if d not in scope))
        return _aligned(most, [d for d in among if d in scope], scope)


def _aligned(table: Floats, axes: Sequence[int], wanted: Sequence[int]) -> Floats:
    """A table with its axes in another order."""
    return table.transpose([list(axes).index(d) for d in wanted])
