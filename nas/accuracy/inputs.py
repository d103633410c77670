"""Architectures as points of a cube, for models whose kernels measure distances.

An ordinal decision is one coordinate in 0..1, its place among the values; a categorical one has a column per value,
such that two different values are as far apart as the ends of an ordinal decision. Further columns (costs) are scaled
to 0..1 over the architectures that a model is fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nas.space.batch import ArchBatch
from nas.space.decision import Decision
from nas.space.space import Space

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Inputs:
    """The coordinates of a space's architectures.

    Attributes:
        space: of the architectures.
        low, scale: of the further columns, `(f,)`.
    """

    space: Space
    low: Floats
    scale: Floats

    @classmethod
    def of(cls, space: Space, extra: Floats | None) -> Inputs:
        """Coordinates whose further columns have the range of `extra`, `(n, f)`."""
        if extra is None or not len(extra):
            width = 0 if extra is None else extra.shape[1]
            return cls(space, np.zeros(width), np.ones(width))
        low, high = extra.min(axis=0), extra.max(axis=0)
        return cls(space, low, np.where(high > low, high - low, 1.0))

    @cached_property
    def groups(self) -> Ints:
        """Which decision, or further column, each coordinate belongs to, `(d,)`, numbered from 0."""
        widths = [1 if d.kind == "ordinal" else len(d) for d in self._free]
        return np.repeat(np.arange(len(widths) + len(self.low)), [*widths, *[1] * len(self.low)])

    def __call__(self, batch: ArchBatch, extra: Floats | None = None) -> Floats:
        """Coordinates of a batch, `(n, d)`.

        Args:
            extra: further columns `(n, f)`.
        """
        columns = [table[batch.codes[:, index]] for index, table in self._tables]
        if extra is not None:
            columns.append((extra - self.low) / self.scale)
        return np.concatenate(columns, axis=1) if columns else np.zeros((len(batch), 0))

    @property
    def _free(self) -> list[Decision]:
        return [decision for decision in self.space.decisions if len(decision) > 1]

    @cached_property
    def _tables(self) -> list[tuple[int, Floats]]:
        """Of each decision that leaves a choice its index, and the coordinates of its values."""
        tables = []
        for index, decision in enumerate(self.space.decisions):
            n = len(decision)
            if n > 1:
                ordinal = decision.kind == "ordinal"
                tables.append((index, np.linspace(0, 1, n)[:, None] if ordinal else np.eye(n) / np.sqrt(2)))
        return tables
