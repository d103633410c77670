"""Cost plans: the arithmetic of a space, tabulated where its decisions are few.

A trace through lowering tells which decisions each slot's sizes depend on. Slots that share decisions are
merged into groups of few combinations (`nas.costs.grouping`); each slot is evaluated once for every combination of
its own decisions (`nas.costs.tables`), and a batch is then one gather and one sum per group. Slots that depend on
too many decisions are computed directly. Both paths evaluate the same columns on the same sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas import cache
from nas.costs import grouping
from nas.costs.columns import Column, Columns, Floats
from nas.costs.tables import Group, Tabulation, filled_width, packed, present, unpacked
from nas.space.batch import ArchBatch
from nas.space.space import Space
from nas.space.symbolic import Layers, symbolic

MAX_TABLE = 1_000_000
CHUNK = 8_192
DIRECT_CHUNK = 65_536
THREADS = 2


class CostPlan:
    """Costs of arch batches of one space.

    Args:
        space: with a network behind it.
        columns: what to compute.
        about: text that says all that the columns' values depend on, besides the space and the package's own
            source. With it, tables are looked for on disk and kept there (`nas.cache`); None: never.
        joined: combinations up to which groups of decisions are joined; None: as many as make it fast.
    """

    def __init__(
        self,
        space: Space,
        columns: Sequence[Column],
        about: Sequence[str] | None = None,
        joined: int | None = None,
    ) -> None:
        self.space = space
        self._columns, self._given, self._joined = Columns(columns), tuple(columns), joined
        self.names = self._columns.names
        self._about = about
        self._groups, self._direct = self._kept(about)

    @cached_property
    def apart(self) -> CostPlan:
        """The same costs in tables that are no wider than a slot needs: slower to look up, fewer combinations."""
        return CostPlan(self.space, self._given, self._about, joined=1)

    @property
    def has_direct(self) -> bool:
        """Whether some slots depend on too many decisions to be tabulated."""
        return bool(len(self._direct))

    def tables(self, name: str) -> list[tuple[tuple[int, ...], Floats]]:
        """What a column is the sum, or the largest, of: decisions and a table with one axis for each."""
        column, sizes = self._columns.names.index(name), [len(d) for d in self.space.decisions]
        return [
            (group.deps, group.rows[:, column].reshape([sizes[d] for d in group.deps]))
            for group in self._groups
        ]

    def __call__(self, batch: ArchBatch) -> dict[str, Floats]:
        """Value of every column name for each arch, float64 `(n,)`."""
        n = len(batch)
        sums, maxima = np.zeros((n, len(self._columns.sums))), np.zeros((n, len(self._columns.maxima)))
        spans = [slice(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
        if len(spans) > 1:
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(lambda span: self._gather(batch.codes, span, sums, maxima), spans))
        elif spans:
            self._gather(batch.codes, spans[0], sums, maxima)
        for start in range(0, n if len(self._direct) else 0, DIRECT_CHUNK):
            self._compute(batch, slice(start, start + DIRECT_CHUNK), sums, maxima)
        return dict(zip(self.names, (*sums.T, *maxima.T)))

    def _gather(self, codes: NDArray[np.int16], span: slice, sums: Floats, maxima: Floats) -> None:
        columns = np.ascontiguousarray(codes[span].T, dtype=np.int32)
        first, end = sums.shape[1], sums.shape[1] + maxima.shape[1]
        total = np.zeros((columns.shape[1], filled_width(end)))
        taken, largest = np.empty_like(total), maxima[span]
        index, part = np.empty((2, columns.shape[1]), dtype=np.int32)
        for group in self._groups:
            index.fill(0)
            for decision, stride in zip(group.deps, group.strides):
                np.multiply(columns[decision], stride, out=part)
                np.add(index, part, out=index)
            group.rows.take(index, axis=0, out=taken, mode="clip")
            np.add(total, taken, out=total)  # of maxima too: whole rows are added faster than parts of them
            np.maximum(largest, taken[:, first:end], out=largest)
        sums[span] = total[:, :first]

    def _compute(self, batch: ArchBatch, span: slice, sums: Floats, maxima: Floats) -> None:
        """Add the slots that are not tabulated, for a part of a batch."""
        slots, part = self.space.lower(batch[span]), self._columns.zeros(len(sums[span]))
        for slot in (slots[index] for index in self._direct):
            layers = present(Layers.of(slot, len(part)))
            values = self._columns.evaluate(slot.unit, layers.keys, layers.distinct)
            spread = self._columns.zeros(len(part))
            spread[layers.at] = values[layers.inverse]
            self._columns.combine(part, spread)
        sums[span] += part[:, : sums.shape[1]]
        np.maximum(maxima[span], part[:, sums.shape[1] :], out=maxima[span])

    def _kept(self, about: Sequence[str] | None) -> tuple[list[Group], NDArray[np.int64]]:
        """Tables, and the slots that are computed directly, from disk where they lie there."""
        if about is None:
            return self._made()
        limits = (grouping.MAX_ROWS, grouping.TOTAL_ROWS, grouping.WINDOW, MAX_TABLE, self._joined)
        key = [self.space.digest, repr((self._columns.sums, self._columns.maxima, limits)), *about]
        stored = cache.load("costs", key)
        if stored is not None:
            try:
                return self._read(stored)
            except (KeyError, ValueError, IndexError):
                pass  # not what was written under this key: made anew
        groups, direct = self._made()
        cache.save("costs", key, {**packed(groups), "direct": direct})
        return groups, direct

    def _read(self, stored: Mapping[str, NDArray[Any]]) -> tuple[list[Group], NDArray[np.int64]]:
        sizes = [len(d) for d in self.space.decisions]
        return unpacked(stored, sizes, self._columns), stored["direct"].astype(np.int64)

    def _made(self) -> tuple[list[Group], NDArray[np.int64]]:
        lowered, sizes = symbolic(self.space), [len(d) for d in self.space.decisions]
        cells = {deps: prod(sizes[d] for d in deps) for deps in dict.fromkeys(lowered.dependent)}
        large = np.array([cells[deps] > MAX_TABLE for deps in lowered.dependent], dtype=bool)
        few = np.flatnonzero(~large).tolist()
        groups = grouping.merge([lowered.dependent[i] for i in few], sizes, self._joined)
        return Tabulation(self.space, lowered, self._columns).groups(groups, few), np.flatnonzero(large)
