"""Which units a space's networks are made of, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nas.costs.counts import cost
from nas.latency.rows import IntArray, RowIndex, unique_rows
from nas.latency.signature import rows_of, unit_keys, words
from nas.latency.times import FloatArray
from nas.space.space import Space

DRAWS = 20_000


@dataclass(frozen=True)
class Use:
    """The units of one kind that a space's networks have.

    Attributes:
        kind: of unit.
        rows: their sizes, shape `(n, k)`, distinct.
        count: how many of each a network has on average, shape `(n,)`, above 0.
    """

    kind: str
    rows: IntArray
    count: FloatArray

    def points(self) -> FloatArray:
        """The units as points of a unit cube, shape `(n, d)`: sizes on a logarithmic scale, words apart."""
        columns = []
        for column, key in zip(self.rows.T, unit_keys(self.kind)):
            known = words(self.kind, key)
            if known:
                columns += [(column == code).astype(np.float64) for code in np.unique(column)[1:]]
                continue
            scale = np.log(column + 1.0)
            span = float(scale.max() - scale.min())
            if span > 0:
                columns.append((scale - scale.min()) / span)
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.rows), 1))

    def find(self, rows: IntArray) -> IntArray:
        """Positions of those of `rows`, shape `(m, k)`, that are among these units."""
        at = RowIndex(self.rows).find(rows)
        return at[at >= 0]


def space_use(space: Space, draws: int = DRAWS, seed: int = 0) -> dict[str, Use]:
    """Units by kind: of uniform draws from the space, and of its presets, which may lie outside it.

    Args:
        space: with a network behind it.
        draws: number of archs drawn.
        seed: of the draws.

    Raises:
        NasError: a space without a network.
    """
    found: dict[str, list[IntArray]] = {}
    batches = [(space.sample(draws, seed=seed), draws), *((arch, 1) for arch in space.presets.values())]
    for archs, count in batches:
        for slot in space.lower(archs):  # type: ignore[arg-type]
            sizes: Mapping[str, object] = slot.sizes
            rows = np.broadcast_to(rows_of(slot.kind, sizes), (count, len(sizes)))
            active = np.broadcast_to(np.asarray(slot.active, dtype=bool), (count,))
            found.setdefault(slot.kind, []).append(rows[active])
    return {kind: _use(kind, np.concatenate(rows), draws) for kind, rows in sorted(found.items())}


def working_set_kib(space: Space, draws: int = 256) -> int:
    """KiB of float32 weights that a network of the space has on average, between 1 MiB and 64 MiB."""
    weights = cost(space, space.sample(draws, seed=0))["params"].mean() * 4 / 1024
    return int(np.clip(weights, 1024, 64 * 1024))


def _use(kind: str, rows: IntArray, draws: int) -> Use:
    distinct, which = unique_rows(rows)
    return Use(kind, distinct, np.bincount(which, minlength=len(distinct)) / draws)
