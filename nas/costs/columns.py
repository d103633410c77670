"""What a cost plan adds up, or takes the largest of, over the layers of networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nas.blocks.base import Unit
from nas.rows import IntArray

Floats = NDArray[np.float64]
CHUNK = 65_536


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


class Columns:
    """The columns of a plan, sums before maxima.

    Attributes:
        sums, maxima: names of either.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = [c for how in ("sum", "max") for c in columns if c.combine == how]
        self.sums = tuple(name for c in self._columns if c.combine == "sum" for name in c.names)
        self.maxima = tuple(name for c in self._columns if c.combine == "max" for name in c.names)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, those of sums first."""
        return (*self.sums, *self.maxima)

    def evaluate(self, unit: type[Unit], keys: Sequence[str], rows: IntArray) -> Floats:
        """Values `(m, len(names))` of layers of one kind, whose sizes are `rows`, `(m, len(keys))`."""
        parts = [self._part(unit, keys, rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.names)))

    def _part(self, unit: type[Unit], keys: Sequence[str], rows: IntArray) -> Floats:
        sizes = {key: rows[:, i] for i, key in enumerate(keys)}
        return np.concatenate([c.evaluate(unit, sizes) for c in self._columns], axis=1)

    def zeros(self, *shape: int) -> Floats:
        """What no layer adds up to, `(*shape, len(names))`."""
        return np.zeros((*shape, len(self.names)))

    def combine(self, total: Floats, values: Floats) -> None:
        """Add `values`, `(…, len(names))`, to `total` in place: sums are added, the larger of maxima stays."""
        n = len(self.sums)
        total[..., :n] += values[..., :n]
        np.maximum(total[..., n:], values[..., n:], out=total[..., n:])
