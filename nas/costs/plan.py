"""Cost plans: the arithmetic of a space, tabulated where its decisions are few.

A trace through lowering tells which decisions each slot's sizes depend on. Slots that share decisions are
merged into groups of at most `MAX_ROWS` combinations; each group is evaluated once for every combination,
and a batch is then one gather and one sum per group. Slots that depend on too many decisions are computed
directly. Both paths evaluate the same columns on the same sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nas.arith import Traced, deps_of
from nas.blocks.base import Unit
from nas.space.batch import ArchBatch
from nas.space.expression import as_mask
from nas.space.lowering import Slot, lower
from nas.space.space import Space

Floats = NDArray[np.float64]
HELD = "held"
"""Beside a layer's sizes: elements of streams that are kept while it runs."""
MAX_ROWS = 65_536
MAX_TABLE = 1_000_000
CHUNK = 8_192
THREADS = 2


@dataclass(frozen=True)
class Column:
    """What a plan adds up (or takes the largest of) over the layers of a network.

    Attributes:
        names: one per output, e.g. `("macs",)`.
        combine: sum or max over layers.
        evaluate: `(unit, sizes) -> (m, len(names))` for sizes that are int arrays of shape `(m,)`.
    """

    names: tuple[str, ...]
    combine: Literal["sum", "max"]
    evaluate: Callable[[type[Unit], Mapping[str, NDArray[Any]]], Floats]


@dataclass(frozen=True)
class _Group:
    """Slots tabulated together: combination index = codes · strides; one table for sums, one for maxima."""

    deps: tuple[int, ...]
    strides: NDArray[np.int32]
    sums: Floats
    maxima: Floats


class CostPlan:
    """Costs of arch batches of one space.

    Args:
        space: with a network behind it.
        columns: what to compute.
    """

    def __init__(self, space: Space, columns: Sequence[Column]) -> None:
        self.space = space
        self._sum = [c for c in columns if c.combine == "sum"]
        self._max = [c for c in columns if c.combine == "max"]
        self.names = tuple(name for c in (*self._sum, *self._max) for name in c.names)
        dependent = slot_dependencies(space)
        sizes = [len(d) for d in space.decisions]
        direct = [i for i, deps in enumerate(dependent) if prod(sizes[d] for d in deps) > MAX_TABLE]
        groups = merge([deps for i, deps in enumerate(dependent) if i not in direct], sizes)
        self._direct = frozenset(direct)
        self._groups = [
            self._tabulate(deps, [i for i in _members(dependent, groups, deps) if i not in direct])
            for deps in groups
        ]

    @property
    def has_direct(self) -> bool:
        """Whether some slots depend on too many decisions to be tabulated."""
        return bool(self._direct)

    def tables(self, name: str) -> list[tuple[tuple[int, ...], Floats]]:
        """Addends of a summed column: decisions and a table with one axis for each."""
        column = [n for c in self._sum for n in c.names].index(name)
        sizes = [len(d) for d in self.space.decisions]
        return [
            (group.deps, group.sums[:, column].reshape([sizes[d] for d in group.deps]))
            for group in self._groups
        ]

    def __call__(self, batch: ArchBatch) -> dict[str, Floats]:
        """Value of every column name for each arch, float64 `(n,)`."""
        n = len(batch)
        sums = np.zeros((n, sum(len(c.names) for c in self._sum)))
        maxima = np.zeros((n, sum(len(c.names) for c in self._max)))
        spans = [slice(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
        if len(spans) > 1:
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(lambda span: self._gather(batch.codes, span, sums, maxima), spans))
        elif spans:
            self._gather(batch.codes, spans[0], sums, maxima)
        if self._direct:
            self._compute(batch, sums, maxima)
        return {
            name: (sums if i < sums.shape[1] else maxima)[:, i if i < sums.shape[1] else i - sums.shape[1]]
            for i, name in enumerate(self.names)
        }

    def _gather(self, codes: NDArray[np.int16], span: slice, sums: Floats, maxima: Floats) -> None:
        columns = np.ascontiguousarray(codes[span].T, dtype=np.int32)
        for group in self._groups:
            index = np.zeros(columns.shape[1], dtype=np.int32)
            for decision, stride in zip(group.deps, group.strides):
                index += columns[decision] * stride
            if sums.shape[1]:
                sums[span] += group.sums.take(index, axis=0)
            if maxima.shape[1]:
                np.maximum(maxima[span], group.maxima.take(index, axis=0), out=maxima[span])

    def _compute(self, batch: ArchBatch, sums: Floats, maxima: Floats) -> None:
        slots = self.space.lower(batch)
        every = np.arange(len(batch))
        for index in self._direct:
            self._add(slots[index], every, sums, maxima)

    def _tabulate(self, deps: tuple[int, ...], members: Sequence[int]) -> _Group:
        shape = tuple(len(self.space.decisions[d]) for d in deps)
        rows = prod(shape)
        codes = np.zeros((rows, len(self.space.decisions)), dtype=np.int16)
        codes[:] = self.space.sample(1, seed=0).codes
        for decision, axis in zip(deps, np.indices(shape, dtype=np.int16)):
            codes[:, decision] = axis.ravel()
        allowed = np.flatnonzero(self._allowed(codes, deps))
        sums = np.zeros((rows, sum(len(c.names) for c in self._sum)))
        maxima = np.zeros((rows, sum(len(c.names) for c in self._max)))
        slots = lower(self.space.blueprint, self.space.columns(codes)) if self.space.blueprint else []
        for index in members:
            self._add(slots[index], allowed, sums, maxima)
        strides = np.array([prod(shape[i + 1 :]) for i in range(len(shape))], dtype=np.int32)
        return _Group(deps, strides, sums, maxima)

    def _allowed(self, codes: NDArray[np.int16], deps: tuple[int, ...]) -> NDArray[np.bool_]:
        """Combinations that some valid arch can have: a device need not know any other."""
        mask = np.ones(len(codes), dtype=bool)
        values = self.space.scope(codes)
        for rule in self.space.rules:
            for part in rule.expression.conjuncts():
                if set(self.space.reads(part)) <= set(deps):
                    mask &= as_mask(part(values), len(codes))
        return mask

    def _add(self, slot: Slot, rows: NDArray[np.intp], sums: Floats, maxima: Floats) -> None:
        active = np.broadcast_to(np.asarray(slot.active, dtype=bool), (len(sums),))
        rows = rows[active[rows]]
        if not len(rows):
            return
        amounts = (
            slot.sizes if isinstance(slot.held, int) and not slot.held else {**slot.sizes, HELD: slot.held}
        )
        sizes = np.stack(
            [np.broadcast_to(np.asarray(v), (len(sums),))[rows] for v in amounts.values()], axis=1
        )
        distinct, inverse = unique_rows(sizes)
        by_key = {key: distinct[:, i] for i, key in enumerate(amounts)}
        if self._sum:
            values = np.concatenate([c.evaluate(slot.unit, by_key) for c in self._sum], axis=1)
            sums[rows] += values[inverse]
        if self._max:
            values = np.concatenate([c.evaluate(slot.unit, by_key) for c in self._max], axis=1)
            maxima[rows] = np.maximum(maxima[rows], values[inverse])


def unique_rows(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Distinct rows of an integer matrix and, for each row, which one it is."""
    distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
    return distinct, inverse.reshape(-1)


def slot_dependencies(space: Space) -> list[tuple[int, ...]]:
    """Decisions (indices, ascending) that decide each slot's sizes and whether it is there."""
    arch = space.sample(1, seed=0)
    values = {
        d.name: Traced(d.values[int(arch.codes[0, i])], frozenset({i})) for i, d in enumerate(space.decisions)
    }
    if space.blueprint is None:
        space.lower(arch)
        return []
    slots = lower(space.blueprint, values)
    return [tuple(sorted(deps_of(slot.active, slot.held, *slot.sizes.values()))) for slot in slots]


def merge(dependent: Sequence[tuple[int, ...]], sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Few groups of decisions, each within `MAX_ROWS` combinations, such that every slot fits in one."""

    def rows(deps: frozenset[int]) -> int:
        return prod(sizes[d] for d in deps)

    groups = list({frozenset(deps) for deps in dependent})
    groups = [g for g in groups if not any(g < other and rows(other) <= MAX_ROWS for other in groups)]
    groups.sort(key=lambda g: (sorted(g), len(g)))
    while True:
        pairs = [
            (rows(a | b), i, j)
            for i, a in enumerate(groups)
            for j, b in enumerate(groups[:i])
            if rows(a | b) <= MAX_ROWS
        ]
        if not pairs:
            return [tuple(sorted(group)) for group in groups]
        _, i, j = min(pairs)
        joined = groups[i] | groups[j]
        groups = [g for k, g in enumerate(groups) if k not in (i, j) and not g <= joined] + [joined]


def _members(
    dependent: Sequence[tuple[int, ...]], groups: Sequence[tuple[int, ...]], group: tuple[int, ...]
) -> list[int]:
    """Slots that belong to `group`: the first group that covers their decisions."""
    home = [next((g for g in groups if set(deps) <= set(g)), None) for deps in dependent]
    return [index for index, g in enumerate(home) if g == group]
