"""A generator of architectures: a learned distribution over the decisions of a space.

The published generator of generative synthesis (FermiNets, arXiv 1809.05989; TurboViT) is not described closely
enough to be rebuilt; this one is ours. It is a product of conditional categorical tables: a decision's chances depend
on up to two decisions that rules or conditions tie it to. It starts peaked on a prototype. Its update is the natural
gradient step of a categorical distribution towards weighted samples (information-geometric optimisation, Ollivier et
al. 2017; for unconditional tables it is PBIL), `p ← p + rate · (Σ wᵢ δ(xᵢ) − p)`, so that more than one sample is
needed to move it far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.space.batch import ArchBatch, Codes
from nas.space.space import Space

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MAX_PARENTS, MAX_ROWS, MAX_TIE = 2, 256, 5
NEIGHBOUR = 0.25  # what a value one step away gets of an ordinal decision's weight
PRIOR_SAMPLES = (
    4.0  # weight of a decision's unconditional shares beside the samples seen in a row of its table
)


class Generator:
    """Chances of every value of every decision.

    Args:
        prototype: int16 `(decisions,)`, codes the distribution is peaked on at the start.
        peak: weight of the prototype at the start, the rest being uniform; in (0, 1).
        floor: share of every table that stays uniform, so that no value ever dies out; in (0, 1).
    """

    def __init__(self, space: Space, prototype: Codes, *, peak: float, floor: float) -> None:
        self.space, self.floor = space, floor
        self.parents = parents_of(space)
        self._kernels = [_kernel(len(d), d.kind == "ordinal") for d in space.decisions]
        self.tables: list[Floats] = []
        for index, kernel in enumerate(self._kernels):
            rows = int(np.prod([len(space.decisions[parent]) for parent in self.parents[index]], dtype=int))
            peaked = peak * kernel[prototype[index]] + (1 - peak) / len(kernel)
            self.tables.append(np.tile(self._floored(peaked), (rows, 1)))

    def sample(self, n: int, rng: np.random.Generator) -> ArchBatch:
        """`n` valid archs, independently; architectures can occur more than once."""
        return self.space.sample_by(n, self._chances, rng)

    def update(
        self, archs: ArchBatch, weights: Floats, rate: float, evidence: Sequence[Floats] | None = None
    ) -> None:
        """Move towards samples.

        Args:
            weights: `(n,)`, not negative, with sum 1.
            rate: in [0, 1].
            evidence: logits `(values,)` per decision, added after the step.
        """
        active = self.space.active(archs.codes)
        for index in range(len(self.tables)):
            target = self._target(index, archs.codes, np.where(active[:, index], weights, 0.0) * len(archs))
            table = self.tables[index] if target is None else (1 - rate) * self.tables[index] + rate * target
            if evidence is not None:
                table = table * np.exp(evidence[index] - evidence[index].max())
            self.tables[index] = self._floored(table / table.sum(axis=1, keepdims=True))

    def marginals(self, archs: ArchBatch) -> list[Floats]:
        """Share of each value among samples that take the decision, `(values,)` per decision; 0 where none do."""
        active = self.space.active(archs.codes)
        found = []
        for index, decision in enumerate(self.space.decisions):
            counts = np.bincount(archs.codes[active[:, index], index], minlength=len(decision))
            found.append(counts / max(int(counts.sum()), 1))
        return found

    def state(self) -> dict[str, Any]:
        """The tables by decision, as plain data."""
        return {d.name: table.tolist() for d, table in zip(self.space.decisions, self.tables)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back to a state."""
        self.tables = [np.array(state[d.name], dtype=np.float64) for d in self.space.decisions]

    def _chances(self, index: int, codes: Codes) -> Floats:
        table: Floats = self.tables[index][self._rows(index, codes)]
        return table

    def _rows(self, index: int, codes: Codes) -> Ints:
        """The row of the decision's table that each arch's parents select, `(n,)`."""
        rows = np.zeros(len(codes), dtype=np.int64)
        for parent in self.parents[index]:
            rows = rows * len(self.space.decisions[parent]) + codes[:, parent]
        return rows

    def _target(self, index: int, codes: Codes, counts: Floats) -> Floats | None:
        """The table of the samples, each row drawn towards the shares over all of them; None where none count."""
        if not counts.sum() > 0:
            return None
        seen = np.zeros_like(self.tables[index])
        np.add.at(seen, self._rows(index, codes), counts[:, None] * self._kernels[index][codes[:, index]])
        whole = seen.sum(axis=0) / seen.sum()
        target: Floats = (seen + PRIOR_SAMPLES * whole) / (seen.sum(axis=1, keepdims=True) + PRIOR_SAMPLES)
        return target

    def _floored(self, table: Floats) -> Floats:
        floored: Floats = (1 - self.floor) * table + self.floor / table.shape[-1]
        return floored


def parents_of(space: Space) -> list[tuple[int, ...]]:
    """For each decision those before it that its chances depend on: tied to it by few, the last drawn first."""
    place = {variable: position for position, variable in enumerate(space.drawing_order)}
    found = []
    for index in range(len(space.decisions)):
        tied = {other for tie in space.ties if index in tie and len(tie) <= MAX_TIE for other in tie}
        before = sorted((o for o in tied if place[o] < place[index]), key=lambda o: -place[o])
        chosen: list[int] = []
        for other in before[:MAX_PARENTS]:
            rows = np.prod([len(space.decisions[o]) for o in (*chosen, other)], dtype=int)
            if rows <= MAX_ROWS:
                chosen.append(other)
        found.append(tuple(chosen))
    return found


def divergence(now: Floats, start: Floats) -> float:
    """Kullback-Leibler divergence of shares `now` from `start` in bits; values that `start` lacks are left out."""
    known = (now > 0) & (start > 0)
    return max(float((now[known] * np.log2(now[known] / start[known])).sum()), 0.0)


def _kernel(size: int, ordinal: bool) -> Floats:
    """How a sample's weight is spread over the values, a row for each value: neighbours share, if ordered."""
    if not ordinal:
        return np.eye(size)
    steps = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    kernel: Floats = NEIGHBOUR ** steps.astype(np.float64)
    return kernel / kernel.sum(axis=1, keepdims=True)
