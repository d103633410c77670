"""Tables of a cost plan: every slot evaluated once for each combination of its own decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.blocks.base import Unit
from nas.costs.columns import Columns, Floats
from nas.costs.grouping import ByRarest, Deps, homes
from nas.rows import IntArray, unique_rows
from nas.space.expression import Expression
from nas.space.space import Space
from nas.space.symbolic import Layers, Symbolic

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Group:
    """Slots tabulated together: combination index = codes · strides.

    Attributes:
        deps: decisions, ascending.
        strides: of each in the tables.
        rows: sums, then maxima, one row per combination; filled up with zeros to a power of two columns, since
            NumPy takes such rows in about half the time.
        n_sums, n_maxima: columns of either.
    """

    deps: Deps
    strides: NDArray[np.int32]
    rows: Floats
    n_sums: int
    n_maxima: int

    @property
    def sums(self) -> Floats:
        """The sums alone, one row per combination."""
        return self.rows[:, : self.n_sums]

    @property
    def maxima(self) -> Floats:
        """The maxima alone, one row per combination."""
        return self.rows[:, self.n_sums : self.n_sums + self.n_maxima]


@dataclass(frozen=True)
class _Rows:
    """Sizes of a layer where it is there: `distinct[inverse]` at the combinations `at` of the slot's decisions."""

    at: NDArray[np.intp]
    keys: tuple[str, ...]
    distinct: IntArray
    inverse: IntArray


class Tabulation:
    """The tables of some groups of decisions.

    Args:
        space: with a network behind it.
        lowered: its slots as expressions.
        columns: what is tabulated.
    """

    def __init__(self, space: Space, lowered: Symbolic, columns: Columns) -> None:
        self.space, self.lowered, self.columns = space, lowered, columns
        self.sizes = [len(d) for d in space.decisions]
        self._rules = [(part, space.reads(part)) for r in space.rules for part in r.expression.conjuncts()]
        self._by_rarest = ByRarest([scope for _, scope in self._rules])

    def groups(self, groups: Sequence[Deps], slots: Sequence[int]) -> list[Group]:
        """Tables of `groups`, in which every one of the `slots` (positions) fits.

        Layers of one kind are evaluated together, whatever slot they stand in.
        """
        members: list[dict[Deps, list[int]]] = [{} for _ in groups]
        home = homes([self.lowered.dependent[i] for i in slots], groups)
        for index in slots:
            deps = self.lowered.dependent[index]
            members[home[deps]].setdefault(deps, []).append(index)
        allowed = [self._allowed(group) for group in groups]
        rows: dict[int, _Rows] = {}
        for group, mask, inside in zip(groups, allowed, members):
            for deps, indices in inside.items():
                within = None if mask is None else _projected(mask, group, deps)
                for index, layers in zip(indices, self.lowered.on_grid(deps, indices)):
                    rows[index] = present(layers, within)
        values = self._evaluated(rows)
        return [
            self._table(group, mask, inside, rows, values)
            for group, mask, inside in zip(groups, allowed, members)
        ]

    def _evaluated(self, rows: Mapping[int, _Rows]) -> dict[int, Floats]:
        """Values of each slot's distinct sizes, `(m, names)`."""
        kinds: dict[tuple[type[Unit], tuple[str, ...]], list[int]] = {}
        for index, layer in rows.items():
            if len(layer.at):
                kinds.setdefault((self.lowered.slots[index].unit, layer.keys), []).append(index)
        values: dict[int, Floats] = {}
        for (unit, keys), indices in kinds.items():
            distinct, inverse = unique_rows(np.concatenate([rows[i].distinct for i in indices]))
            every = self.columns.evaluate(unit, keys, distinct)
            ends = np.cumsum([len(rows[i].distinct) for i in indices])
            values.update(zip(indices, (every[part] for part in np.split(inverse, ends[:-1]))))
        return values

    def _table(
        self,
        group: Deps,
        allowed: Bools | None,
        members: Mapping[Deps, Sequence[int]],
        rows: Mapping[int, _Rows],
        values: Mapping[int, Floats],
    ) -> Group:
        shape = [self.sizes[d] for d in group]
        total = self.columns.zeros(*shape)
        for deps, indices in members.items():
            own = self.columns.zeros(prod(self.sizes[d] for d in deps))
            for index in indices:
                if len(rows[index].at):
                    spread = self.columns.zeros(len(own))
                    spread[rows[index].at] = values[index][rows[index].inverse]
                    self.columns.combine(own, spread)
            sides = [self.sizes[d] if d in deps else 1 for d in group]
            self.columns.combine(total, own.reshape(*sides, -1))
        if allowed is not None:
            total[~allowed] = 0
        flat = total.reshape(prod(shape), len(self.columns.names))
        return group_of(group, self.sizes, flat, len(self.columns.sums))

    def _allowed(self, group: Deps) -> Bools | None:
        """Combinations that some valid arch can have, one axis per decision; None: all of them.

        A device need not know any other.
        """
        mask: Bools | None = None
        shape = tuple(self.sizes[d] for d in group)
        for position in self._by_rarest.inside(group):
            truth = self._truth(*self._rules[position], group)
            mask = truth if mask is None else mask & truth
        return None if mask is None else np.broadcast_to(mask, shape)

    def _truth(self, rule: Expression, scope: Deps, group: Deps) -> Bools:
        truth = self.space.truth(rule, scope)
        return truth.reshape([self.sizes[d] if d in scope else 1 for d in group])


def group_of(deps: Deps, sizes: Sequence[int], rows: Floats, sums: int) -> Group:
    """A group from its table, `(combinations, names)`, whose first `sums` columns are sums."""
    shape = [sizes[d] for d in deps]
    strides = np.array([prod(shape[i + 1 :]) for i in range(len(shape))], dtype=np.int32)
    names = rows.shape[1]
    filled = np.zeros((len(rows), filled_width(names)))
    filled[:, :names] = rows
    return Group(deps, strides, filled, sums, names - sums)


def filled_width(columns: int) -> int:
    """The next power of two; 0 for none."""
    return 1 << (columns - 1).bit_length() if columns else 0


def present(layers: Layers, within: Bools | None = None) -> _Rows:
    """Where layers are there (and `within` holds, `(n,)`), and their distinct sizes."""
    at = np.flatnonzero(layers.active if within is None else layers.active & within)
    sizes = np.stack([values[at] for values in layers.sizes.values()], axis=1)
    distinct, inverse = unique_rows(sizes.astype(np.int64))
    return _Rows(at, tuple(layers.sizes), distinct, inverse)


def _projected(mask: Bools, group: Deps, deps: Deps) -> Bools:
    """Which combinations of `deps` occur in some allowed combination of the group, flat."""
    return mask.any(axis=tuple(i for i, d in enumerate(group) if d not in deps)).reshape(-1)


def packed(groups: Sequence[Group]) -> dict[str, NDArray[Any]]:
    """Groups as few arrays."""
    return {
        "deps": np.array([d for g in groups for d in g.deps], dtype=np.int64),
        "lengths": np.array([len(g.deps) for g in groups], dtype=np.int64),
        "sums": np.concatenate([g.sums for g in groups]) if groups else np.zeros((0, 0)),
        "maxima": np.concatenate([g.maxima for g in groups]) if groups else np.zeros((0, 0)),
    }


def unpacked(arrays: Mapping[str, NDArray[Any]], sizes: Sequence[int], columns: Columns) -> list[Group]:
    """The inverse of `packed`.

    Raises:
        ValueError: arrays that no groups of these decisions and columns have.
    """
    every = np.concatenate([arrays["sums"], arrays["maxima"]], axis=1, dtype=np.float64)
    ends = np.cumsum(arrays["lengths"])[:-1]
    deps = [tuple(int(d) for d in part) for part in np.split(arrays["deps"], ends)]
    if not len(arrays["lengths"]):
        deps = []
    rows = [prod(sizes[d] for d in group) for group in deps]
    if every.shape != (sum(rows), len(columns.names)) or arrays["sums"].shape[1] != len(columns.sums):
        raise ValueError("tables of another shape")
    parts = np.split(every, np.cumsum(rows)[:-1]) if rows else []
    return [group_of(group, sizes, part, len(columns.sums)) for group, part in zip(deps, parts)]
