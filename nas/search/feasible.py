"""Draws of architectures that keep every constraint which costs nothing to check, however few they are.

Uniform draws are thinned while enough of them are feasible. Where they are rare, random walks that never leave the
feasible set start from known members of it. These come from samplers of a part of the space that holds all feasible
ones (a window of a summed cost, drawn from exactly); where those leave too few as well, from a search for the least
violation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from nas.space.batch import ArchBatch, concatenate
from nas.space.space import Space

Floats = NDArray[np.float64]
Violation = Callable[[ArchBatch], Floats]
Source = Callable[[int, np.random.Generator], ArchBatch]

LOOK = 20_000
"""Draws from a source that decide whether it is thinned: 20 to 40 ms for the spaces that ship."""
RARE_LOOK = 2_000
"""Draws from a window: about a second, at half a millisecond each."""
COMMON = 0.01
"""Least share of feasible draws: below it, thinning takes longer than walking."""
POPULATION, DESCENT, PATIENCE = 512, 120, 20
"""Of the search for the least violation: candidates, rounds at most, rounds without progress."""
KNOWN, GROWTH = 4_096, 60
"""Feasible architectures that walks start from, and rounds in which they are looked for."""
STRIDE = 8
"""Steps of a walk: as many moves leave most decisions of the shipped spaces drawn anew."""
ROUNDS = 50


@dataclass(frozen=True)
class _Prepared:
    """How feasible architectures are drawn.

    Attributes:
        share: of uniform draws that are feasible; 0: too few, walks are taken.
        known: feasible architectures, none twice.
        nearest: one of the least violation, a batch of one.
        looked: architectures looked at.
    """

    share: float
    known: ArchBatch
    nearest: ArchBatch
    looked: int


class FeasibleDraws:
    """Draws of feasible architectures of a space.

    The preparation is a function of the arguments, a draw of the generator it is given.

    Args:
        violation: of the constraints, `(n,)`, 0 where they hold.
        sources: samplers of parts of the space that hold all feasible architectures.
        starts: architectures that the search for the least violation begins with, beside its own.
    """

    def __init__(
        self,
        space: Space,
        violation: Violation,
        sources: Sequence[Source] = (),
        starts: Callable[[], ArchBatch] | None = None,
    ) -> None:
        self.space, self.violation, self.sources, self._starts = space, violation, sources, starts

    @property
    def share(self) -> float:
        """Share of the space that is feasible, as far as uniform draws show it; 0: too little for that."""
        return self._prepared.share

    @property
    def known(self) -> ArchBatch:
        """Feasible architectures; none where none was found."""
        return self._prepared.known

    @property
    def nearest(self) -> ArchBatch:
        """An architecture of the least violation, a batch of one."""
        return self._prepared.nearest

    @property
    def looked(self) -> int:
        """How many architectures were looked at."""
        return self._prepared.looked

    def draw(self, n: int, rng: np.random.Generator) -> ArchBatch:
        """`n` feasible architectures, perhaps some of them twice; fewer, or none, where so few were found."""
        prepared = self._prepared
        if not len(prepared.known) or n < 1:
            return prepared.known[np.arange(0)]
        if not prepared.share:
            return self._walk(prepared.known, n, rng)
        drawn: list[ArchBatch] = []
        missing = n
        for _ in range(ROUNDS):
            batch = self.space.sample(min(ceil(1.2 * missing / prepared.share) + 8, LOOK), rng=rng)
            batch = self._kept(batch)[:missing]
            drawn.append(batch)
            missing -= len(batch)
            if not missing:
                break
        return concatenate(drawn)

    def _kept(self, batch: ArchBatch) -> ArchBatch:
        return batch[np.flatnonzero(self.violation(batch) == 0)]

    @cached_property
    def _prepared(self) -> _Prepared:
        rng = np.random.default_rng(0)
        pool = [self.space.sample(LOOK, rng=rng)]
        known = self._kept(pool[0])
        if len(known) >= COMMON * LOOK:
            return _Prepared(len(known) / LOOK, known.unique(), known[:1], LOOK)
        for source in self.sources:
            pool.append(source(RARE_LOOK, rng))
            known = concatenate([known, self._kept(pool[-1])])
            if len(known) >= COMMON * RARE_LOOK:
                break
        looked = sum(len(part) for part in pool)
        if len(known) < COMMON * RARE_LOOK:
            pool += [] if self._starts is None else [self._starts()]
            best, looked = self._descend(concatenate(pool).unique(), rng)
            known = concatenate([known, self._kept(best)])
        else:
            best = known
        return _Prepared(0.0, self._grown(known.unique(), rng), best[:1], looked)

    def _descend(self, pool: ArchBatch, rng: np.random.Generator) -> tuple[ArchBatch, int]:
        """The pool's and its descendants' least violations, the least first, and how many were looked at."""
        looked, idle = len(pool), 0
        best, violations = self._best(pool, self.violation(pool))
        for _ in range(DESCENT):
            if violations[0] == 0 or idle == PATIENCE:
                break
            before = violations[0], violations.sum()
            children = self._moved(best, best, POPULATION, rng)
            looked += len(children)
            best, violations = self._best(
                concatenate([best, children]), np.concatenate([violations, self.violation(children)])
            )
            idle = 0 if (violations[0], violations.sum()) < before else idle + 1
        return best, looked

    def _best(self, batch: ArchBatch, violations: Floats) -> tuple[ArchBatch, Floats]:
        order = np.argsort(violations, kind="stable")
        _, first = np.unique(batch.hashes[order], return_index=True)
        order = order[np.sort(first)][:POPULATION]
        return batch[order], violations[order]

    def _grown(self, known: ArchBatch, rng: np.random.Generator) -> ArchBatch:
        """Feasible architectures and what can be reached from them."""
        for _ in range(GROWTH if len(known) else 0):
            if len(known) >= KNOWN:
                break
            known = concatenate([known, self._kept(self._moved(known, known, 2 * POPULATION, rng))]).unique()
        return known[:KNOWN]

    def _walk(self, known: ArchBatch, n: int, rng: np.random.Generator) -> ArchBatch:
        """`n` walks from known ones; a step that would leave the feasible set is not taken."""
        codes = known.codes[rng.integers(len(known), size=n)]
        for _ in range(STRIDE):
            moved = self._moved(ArchBatch(self.space, codes), known, n, rng, at=np.arange(n))
            stays = self.violation(moved) > 0
            codes = np.where(stays[:, None], codes, moved.codes)
        return ArchBatch(self.space, codes)

    def _moved(
        self,
        batch: ArchBatch,
        partners: ArchBatch,
        n: int,
        rng: np.random.Generator,
        at: NDArray[np.intp] | None = None,
    ) -> ArchBatch:
        """`n` of a batch, or those `at`, each with one decision or so changed, every other one crossed before."""
        chosen = batch[rng.integers(len(batch), size=n) if at is None else at]
        mates = partners[rng.integers(len(partners), size=n)]
        crossed = self.space.crossover(chosen, mates, rng)
        codes = np.where((rng.random(n) < 0.5)[:, None], crossed.codes, chosen.codes)
        return self.space.mutate(ArchBatch(self.space, codes), rng)
