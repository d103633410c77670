"""Architectures that alone may be asked for: those that a table of measured ones knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.space.batch import ArchBatch
from nas.space.space import Space

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
NEAREST = 8
_MOST_CELLS = 1 << 24


class KnownArchs:
    """A pool to draw from, and the members of it that are nearest to any architectures.

    Nearness is the sum over decisions of how far two values are apart: the share of an ordinal decision's range, 0 or
    1 for a categorical one.

    Args:
        batch: the architectures, at least one.
    """

    def __init__(self, batch: ArchBatch) -> None:
        self.batch = batch.unique()
        self._space = batch.space
        self._points = _points(self._space, self.batch.codes)
        self._squares = (self._points**2).sum(axis=1)
        self._sorted = np.sort(self.batch.hashes)

    def __len__(self) -> int:
        return len(self.batch)

    def holds(self, batch: ArchBatch) -> NDArray[np.bool_]:
        """Which archs are members, `(n,)`."""
        at = np.minimum(np.searchsorted(self._sorted, batch.hashes), len(self._sorted) - 1)
        return np.asarray(self._sorted[at] == batch.hashes)

    def draw(self, n: int, rng: np.random.Generator, asked: NDArray[np.uint64]) -> ArchBatch:
        """At most `n` members that were not asked for, drawn without replacement."""
        free = np.flatnonzero(~np.isin(self.batch.hashes, asked))
        return self.batch[rng.choice(free, size=min(n, len(free)), replace=False)]

    def near(self, batch: ArchBatch, asked: NDArray[np.uint64]) -> ArchBatch:
        """Members in the place of archs: of each the nearest that was not asked for, in their order.

        Behind them stand the second nearest of each, and so on, so that archs which share their nearest member do not
        leave fewer than there are.
        """
        free = np.flatnonzero(~np.isin(self.batch.hashes, asked))
        if not len(free) or not len(batch):
            return self.batch[free[:0]]
        nearest = self._nearest(batch, free)
        return self.batch[nearest.T.reshape(-1)].unique()

    def nearest(self, batch: ArchBatch) -> ArchBatch:
        """The nearest member of each arch, asked for or not, `(n,)`; members are their own."""
        return self.batch[self._nearest(batch, np.arange(len(self.batch)), 1)[:, 0]]

    def _nearest(self, batch: ArchBatch, free: Rows, count: int = NEAREST) -> Rows:
        """Positions of the nearest members among `free`, `(n, count)`, nearest first."""
        count = min(count, len(free))
        points, squares = self._points[free], self._squares[free]
        wanted = _points(self._space, batch.codes)
        step = max(_MOST_CELLS // len(free), 1)
        found = []
        for start in range(0, len(wanted), step):
            apart = squares[None, :] - 2 * (wanted[start : start + step] @ points.T)
            some = np.argpartition(apart, count - 1, axis=1)[:, :count]
            order = np.take_along_axis(apart, some, axis=1).argsort(axis=1, kind="stable")
            found.append(free[np.take_along_axis(some, order, axis=1)])
        return np.concatenate(found)


def _points(space: Space, codes: NDArray[np.int16]) -> Floats:
    """Points whose squared distances are the sums over decisions of how far values are apart.

    An ordinal value is as many ones as there are values below it, a categorical one a one in its own place.
    """
    parts = []
    for index, decision in enumerate(space.decisions):
        values = np.arange(len(decision))
        if decision.kind == "ordinal":
            steps = (values[None, :-1] < values[:, None]) / np.sqrt(max(len(values) - 1, 1))
        else:
            steps = np.eye(len(values)) / np.sqrt(2)
        parts.append(steps.astype(np.float32)[codes[:, index]])
    return np.concatenate(parts, axis=1)
