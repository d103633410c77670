"""What cheap looks at candidates say, and how far each is to be believed.

A look and an evaluation of one network differ by a shift (few images set its batch norms) and by noise. Both are
learned from networks that were looked at before they were evaluated and were not chosen by their look: those that were
chosen had luck more often than not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.space.batch import ArchBatch, concatenate
from nas.space.space import Space

Floats = NDArray[np.float64]
FEWEST = 5
"""Pairs of look and evaluation from which shift and noise are learned; before, looks shift nothing."""
LEAST_SPREAD = 0.25
"""Least variance of expectations around what they expect, in that of a look: so that no look is passed over."""
UNSURE = 0.5
"""Noise of a look before pairs are known, as a share of the variation of the evaluations."""
LATEST = 400
"""Looks that a surrogate is told at most, the latest: its time grows with their cube."""


class Looks:
    """Looks at candidates of a search.

    Attributes:
        archs: those that were looked at, none twice.
        values: objective values of each, `(n, m)`.
        chosen: which were looked at in order to choose among them, `(n,)`.
    """

    def __init__(self, space: Space, objectives: int) -> None:
        self.archs = ArchBatch.of(space, [])
        self.values: Floats = np.zeros((0, objectives))
        self.chosen: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)

    def add(self, batch: ArchBatch, values: Floats, chosen: bool) -> None:
        """Add looks `(n, m)`; `chosen` where candidates of the batch are chosen by them."""
        self.archs = concatenate([self.archs, batch])
        self.values = np.concatenate([self.values, values])
        self.chosen = np.concatenate([self.chosen, np.full(len(batch), chosen)])

    def unseen(self, batch: ArchBatch) -> ArchBatch:
        """Those of a batch that were not looked at."""
        return batch.without(np.sort(self.archs.hashes))

    def further(self, evaluated: ArchBatch, values: Floats, column: int) -> tuple[ArchBatch, Floats, Floats]:
        """Networks that were looked at only: what each look says an evaluation would, and the variance of that.

        Args:
            evaluated: architectures that were evaluated, with their objective values `(n, m)`.
            column: of the objective.
        """
        shift, variance = self.calibrated(evaluated, values, column)
        rows = np.flatnonzero(
            ~np.isin(self.archs.hashes, evaluated.hashes) & ~np.isnan(self.values[:, column])
        )
        rows = rows[-LATEST:]
        return self.archs[rows], self.values[rows, column] - shift, np.full(len(rows), variance)

    def moved(
        self, batch: ArchBatch, mean: Floats, std: Floats, shift: float, variance: float, column: int
    ) -> tuple[Floats, Floats]:
        """Expected values of candidates and their deviations, `(n,)`, after what looks at them say.

        How far the expectations from before are off, these looks say themselves: expectations that were chosen for
        being high are off by more than the model that made them believes. A candidate without a look keeps its own
        deviation.

        Args:
            mean, std: expected before, `(n,)`.
            shift, variance: as `calibrated` gives them.
        """
        order = np.argsort(self.archs.hashes, kind="stable")
        at = np.minimum(np.searchsorted(self.archs.hashes[order], batch.hashes), max(len(order) - 1, 0))
        rows = order[at]
        seen = (self.archs.hashes[rows] == batch.hashes) & ~np.isnan(self.values[rows, column])
        if not seen.any():
            return mean, std
        missed = self.values[rows, column] - shift - mean
        bias, spread = float(missed[seen].mean()), float(missed[seen].var())
        before = max(spread - variance, LEAST_SPREAD * variance)
        share = before / (before + variance) if before > 0 else 1.0
        after = np.where(seen, mean + bias + share * (missed - bias), mean + bias)
        return after, np.where(seen, np.sqrt(share * variance), std)

    def pairs(self, evaluated: ArchBatch) -> int:
        """How many evaluated networks were looked at and not chosen by their look."""
        return int((np.isin(self.archs.hashes, evaluated.hashes) & ~self.chosen).sum())

    def calibrated(self, evaluated: ArchBatch, values: Floats, column: int) -> tuple[float, float]:
        """By how much looks lie above evaluations, and the variance of what is left."""
        order = np.argsort(evaluated.hashes, kind="stable")
        at = np.searchsorted(evaluated.hashes[order], self.archs.hashes)
        at = order[np.minimum(at, len(order) - 1)]
        pairs = (evaluated.hashes[at] == self.archs.hashes) & ~self.chosen
        apart = (self.values[:, column] - values[at, column])[pairs]
        apart = apart[~np.isnan(apart)]
        if len(apart) < FEWEST:
            return 0.0, float(np.nanvar(values[:, column])) * UNSURE**2
        return float(apart.mean()), float(apart.var(ddof=1))

    def log(self, since: Mapping[str, int]) -> dict[str, list[Any]]:
        """As that of a strategy."""
        lists: dict[str, NDArray[Any]] = {
            "looked": self.archs.codes,
            "looks": self.values,
            "chosen": self.chosen,
        }
        return {name: rows[since.get(name, 0) :].tolist() for name, rows in lists.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """As that of a strategy; a state of an earlier version has no looks."""
        space, width = self.archs.space, self.values.shape[1]
        self.archs = ArchBatch.of(space, state.get("looked", []))
        self.values = np.array(state.get("looks", []), dtype=np.float64).reshape(-1, width)
        self.chosen = np.array(state.get("chosen", []), dtype=np.bool_)
