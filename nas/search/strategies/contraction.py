"""Contraction: a constrained local search from the largest network down, by limits that shrink from round to round.

In the style of TinyViT (Wu et al. 2022, arXiv 2207.10666, section 3.3), which contracts a large model step by step:
candidates are the current model with some of its factors made smaller, those outside the limits on parameters and
throughput are dropped, the others are trained and evaluated, and the best is the next round's model. How candidates
are drawn, and how limits shrink, is not published. Here a candidate lowers random ordinal decisions, those that change
least come first, and what a round may violate the constraints by falls in equal steps to 0. Rounds that are left then
search among the neighbors that satisfy the constraints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.metrics import Direction
from nas.search.prototype import prototype_of
from nas.search.strategies.base import Cheap, Floats, Outlook, Strategy
from nas.space.batch import ArchBatch
from nas.space.choices import heaviest
from nas.space.space import Space

DRAWS = 2_000  # candidates looked at for each round: costing them takes milliseconds
SHORTLIST = 2  # of the least changed, so many for each candidate are chosen from by chance
USUAL_ROUNDS = 8
FEWEST, MOST = 2, 8  # candidates of a round by default


class Contraction(Strategy):
    """Local search on contracted networks; see the module.

    Args:
        start: preset to contract; "": the largest value of every ordinal decision.
        candidates: networks evaluated in each round; None: an eighth of the budget, from 2 to 8.
        budget: planned evaluations; three quarters of the rounds it allows shrink the limits.

    Raises:
        NasError: no such preset, or fewer than one candidate.
    """

    series = "contraction"

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        *,
        seed: int = 0,
        cheap: Cheap | None = None,
        start: str = "",
        candidates: int | None = None,
        budget: int | None = None,
    ) -> None:
        super().__init__(space, directions, seed=seed, cheap=cheap)
        if candidates is None:
            candidates = MOST if budget is None else min(max(budget // USUAL_ROUNDS, FEWEST), MOST)
        if candidates < 1:
            raise NasError(f"search.options.candidates is {candidates}; at least 1 is needed.")
        self.candidates = candidates
        rounds = USUAL_ROUNDS if budget is None else max(budget // candidates, 1)
        self.shrinking = max(round(0.75 * rounds), 1)
        self.start = prototype_of(space, start, _nothing, "start") if start else heaviest(space)
        self.current = self.start
        self.round = 0
        self._score = 0
        self._batch = self.current[np.arange(0)]
        self._course: list[dict[str, Any]] = []

    def check(self, outlook: Outlook) -> None:
        evaluated = [i for i, name in enumerate(outlook.objectives) if name in outlook.evaluated]
        if not evaluated:
            raise NasError(
                "contraction keeps the best evaluated candidate of each round; make accuracy an objective."
            )
        self._score = evaluated[0]

    def bind(self, pool: ArchBatch) -> None:
        super().bind(pool)
        self.current = self.start = self.within(self.start)

    def aim(self) -> str:
        how = f"{self.candidates} candidates a round, {self.shrinking} rounds to the limits"
        return f"contraction, in the style of TinyViT: {how}, then a local search within them"

    def propose(self, n: int) -> ArchBatch:
        """The candidates of the round, however many `n` are asked for; drawn where a round begins."""
        if not len(self._batch):
            self._batch = self._drawn()
        return self._batch

    def ask(self, n: int) -> ArchBatch:
        """Candidates of the current round, also those that violate constraints, as the limits are not there yet.

        None while the round waits for values that were asked for, and none where no candidate is left.
        """
        return self._taken(self.propose(n), n)

    def tell(
        self,
        batch: ArchBatch,
        values: Any,
        violations: Any = None,
        observations: Mapping[str, Floats] | None = None,
    ) -> None:
        super().tell(batch, values, violations)
        if len(self._batch) and not len(self._batch.without(self.archs.hashes)):
            self._advance()

    def course(self) -> list[dict[str, Any]]:
        """Each round's limit, candidates and the network it chose."""
        return self._course

    def ending(self) -> str:
        return "contraction has no candidate left that was not evaluated"

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "current": self.current.codes.tolist(),
            "round": self.round,
            "batch": self._batch.codes.tolist(),
        }

    def log(self, since: Mapping[str, int]) -> dict[str, list[Any]]:
        return {**super().log(since), "course": self._course[since.get("course", 0) :]}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.current = ArchBatch.of(self.space, state["current"])
        self.round = int(state["round"])
        self._batch = ArchBatch.of(self.space, state["batch"])
        self._course = [dict(step) for step in state["course"]]

    def _limit(self) -> float:
        """By how much candidates of this round may miss the constraints, relative to them."""
        if self.violation(self.current)[0] == 0:
            return 0.0
        return float(self.violation(self.start)[0]) * max(1 - (self.round + 1) / self.shrinking, 0.0)

    def _drawn(self) -> ArchBatch:
        """Candidates of the round: those within its limit that change least, a few of them by chance."""
        limit, within = self._limit(), self.violation(self.current)[0] == 0
        drawn = self.space.mutate(self._repeated(), self.rng) if within else self._contracted()
        drawn = self.within(drawn).unique().without(self._asked)
        if not len(drawn):
            return drawn
        missed = self.violation(drawn)
        fitting = np.flatnonzero(missed <= limit)
        if not len(fitting) and not within:
            fitting = np.argsort(missed, kind="stable")[: self.candidates]
        changed = np.abs(drawn.codes[fitting].astype(np.int64) - self.current.codes.astype(np.int64)).sum(1)
        least = fitting[np.argsort(changed, kind="stable")][: SHORTLIST * self.candidates]
        chosen = self.rng.permutation(len(least))[: self.candidates]
        return drawn[least[np.sort(chosen)]]

    def _repeated(self) -> ArchBatch:
        return self.current[np.zeros(DRAWS, dtype=np.int64)]

    def _contracted(self) -> ArchBatch:
        """The current network with some ordinal decisions lowered, from one of them to all, most by one value."""
        codes = self._repeated().codes.astype(np.int64)
        ordinal = np.array([decision.kind == "ordinal" for decision in self.space.decisions])
        lowered = self.rng.random(codes.shape) < self.rng.random((DRAWS, 1))
        steps = self.rng.geometric(0.7, size=codes.shape)
        less = np.where(ordinal & lowered, np.maximum(codes - steps, 0), codes)
        return self.space.repair(ArchBatch(self.space, less))

    def _advance(self) -> None:
        """The best of the round is contracted next; where none could be evaluated, the same again."""
        rows = np.flatnonzero(np.isin(self.archs.hashes, self._batch.hashes))
        scores = self._scores(rows)
        known = np.flatnonzero(np.isfinite(scores))
        limit = self._limit()
        if len(known) and not self._worse(float(scores[known].max())):
            self.current = self.archs[rows[known[[int(scores[known].argmax())]]]]
        self._course.append(
            {
                "round": self.round + 1,
                "limit": limit,
                "candidates": len(rows),
                "arch_id": self.current.ids[0],
                "violation": float(self.violation(self.current)[0]),
            }
        )
        self.round += 1
        self._batch = self.current[np.arange(0)]

    def _worse(self, best: float) -> bool:
        """Whether, within the limits, the current network is better than the best of its neighbors."""
        if self.violation(self.current)[0] > 0:
            return False
        here = np.flatnonzero(self.archs.hashes == self.current.hashes[0])
        return bool(len(here)) and float(self._scores(here)[0]) >= best

    def _scores(self, rows: NDArray[np.int64]) -> Floats:
        """What candidates are chosen by, of rows of what was evaluated; larger is better."""
        sign = 1.0 if self.directions[self._score] == "max" else -1.0
        return np.asarray(sign * self.values[rows, self._score])


def _nothing(batch: ArchBatch) -> Floats:
    return np.zeros(len(batch))
