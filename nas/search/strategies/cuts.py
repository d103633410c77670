"""How far each cut of a slimming search goes, and which actions it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from nas.search.additive import AdditiveModel
from nas.space.batch import ArchBatch

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Price = Callable[[ArchBatch, ArchBatch, Floats], Floats]

LOOKS, FEWEST = 0.5, 2
"""Evaluations of a cut, beside the square root of the budget: 4 of 75, 9 of 300; there are as many more cuts.

This and the next three were chosen by the hypervolume and the last loss on ElasticViT's space under a synthetic loss.
"""
SHRINKING = 1.5
"""With this power of the share of cuts that are left, the distance to a constraint shrinks: the last cuts are small."""
REACHED = 0.6
"""Share of the evaluations with which a constraint is reached; the others are for what costs less."""
BEYOND, INSIDE = 0.3, 0.02
"""By how much a cut may pass its goal, of its length; by how much the last may, in the logarithm of the cost."""
AT_ONCE = 0.15
"""Share of the distance to the goal that actions may save together before what they lose is looked at again."""
LONGEST = 400
"""Actions of one cut; the longest way down of the shipped spaces has 230."""
FIRST_FIT = 6
"""Evaluations from which effects are fitted."""


@dataclass(frozen=True)
class Pace:
    """How a number of evaluations is divided into cuts.

    Attributes:
        budget: evaluations.
        limited: whether the walk goes to a constraint, which it has a share of them for, and not to the bottom.
    """

    budget: int
    limited: bool

    @property
    def looks(self) -> int:
        """Evaluations of one cut."""
        return max(round(LOOKS * sqrt(self.budget)), FEWEST)

    def cuts(self, evaluated: int) -> int:
        """How many are left; at least one."""
        last = round(REACHED * self.budget) if self.limited else self.budget
        return max((last - evaluated) // self.looks, 1)

    def goal(self, gap: float, evaluated: int) -> float:
        """What the next cut should leave of the distance `gap`."""
        left = self.cuts(evaluated)
        return float(gap * ((left - 1) / left) ** (SHRINKING if self.limited else 1.0))


@dataclass(frozen=True)
class Way:
    """Where a walk goes.

    Attributes:
        actions: what may be done to a network, given as a batch of one.
        measured: of networks, what actions save, positive, and the distance to where the walk ends, in logarithms, 0
            from there on; `(n,)` each.
    """

    actions: Callable[[ArchBatch], ArchBatch]
    measured: Callable[[ArchBatch], tuple[Floats, Floats]]

    def composed(self, current: ArchBatch, goal: float, price: Price) -> tuple[ArchBatch, float]:
        """What is left of a network after actions, those that are thought to lose least for what they save.

        Far from the goal, several that change different decisions are taken at once, near it one at a time.

        Args:
            current: a batch of one.
            goal: distance at which to stop.
            price: by how much actions raise the loss of a network, `(n,)`, given both and what is saved, in logarithms.

        Returns:
            A batch of one, `current` where nothing saves; and the distance that is left, below 0 by about as much as it
            saves beyond the end.
        """
        cost, gap = self._alone(current)
        farthest = max(goal - BEYOND * (gap - goal), -INSIDE)
        for _ in range(LONGEST):
            after = self.actions(current) if gap > goal else current[:0]
            costs, gaps = self.measured(after)
            saves = np.flatnonzero(costs < cost)
            if not len(saves):
                break
            after, saved = after[saves], np.log(cost / costs[saves])
            left = np.where(gaps[saves] > 0, gaps[saves], np.minimum(gap - saved, 0.0))
            within = np.flatnonzero(left >= farthest)
            if not len(within):
                return after[[int(left.argmax())]], float(left.max())
            order = within[ranked(price(current, after[within], saved[within]), saved[within])]
            room = AT_ONCE * (gap - goal)
            together = merged(current, after[order[np.cumsum(saved[order]) <= room]])
            before, current = (cost, gap), together if len(together) else after[order[:1]]
            cost, gap = self._alone(current)
            if gap <= 0:
                gap = min(before[1] - float(np.log(before[0] / cost)), 0.0)
        return current, gap

    def _alone(self, batch: ArchBatch) -> tuple[float, float]:
        costs, gaps = self.measured(batch)
        return float(costs[0]), float(gaps[0])


def ranked(lost: Floats, saved: Floats) -> Ints:
    """Actions that lose nothing, those that save most first, then the others by what they lose for what they save."""
    free = lost <= 0
    return np.lexsort((np.where(free, -saved, lost / saved), ~free))


def merged(current: ArchBatch, actions: ArchBatch) -> ArchBatch:
    """All that actions change, of a decision what the first of them makes of it, as a batch of one; none of none."""
    codes = current.codes.copy()
    for changed in actions.codes[::-1]:
        differs = changed != current.codes[0]
        codes[0, differs] = changed[differs]
    batch = current.space.repair(ArchBatch(current.space, codes))
    return batch if len(actions) > 1 and batch.ids != current.ids else batch[:0]


class Prices:
    """What actions are thought to lose, by the evaluations so far.

    Args:
        batch, loss, cost: evaluated networks, their losses, NaN where it failed, and costs, positive; `(n,)` each.

    Attributes:
        fitted: whether enough was evaluated for estimates.
    """

    def __init__(self, batch: ArchBatch, loss: Floats, cost: Floats) -> None:
        known = np.flatnonzero(np.isfinite(loss))
        self._model, self._slope = AdditiveModel(batch.space), 0.0
        self.fitted = len(known) >= FIRST_FIT
        if self.fitted:
            cheapness = -np.log(cost[known])
            apart = cheapness - cheapness.mean()
            self._slope = max(float(apart @ loss[known]) / (float(apart @ apart) or 1.0), 0.0)
            self._model.fit(batch[known], loss[known] - self._slope * cheapness)

    def drawn(self, rng: np.random.Generator | None) -> Price:
        """Prices by what is expected, or by one draw of what the effects of decisions may be.

        Before there are estimates, what is saved costs the same everywhere, or, drawn, more or less by decision.
        """
        return self._estimated(rng) if self.fitted else self._guessed(rng)

    def _estimated(self, rng: np.random.Generator | None) -> Price:
        effects = [table for _, table in self._model.worths(rng)]

        def worth(batch: ArchBatch) -> Floats:
            return np.asarray(sum(effect[batch.codes[:, i]] for i, effect in enumerate(effects)))

        return lambda current, after, saved: worth(after) - worth(current) + self._slope * saved

    def _guessed(self, rng: np.random.Generator | None) -> Price:
        count = len(self._model.space.decisions)
        dear = np.ones(count) if rng is None else np.exp(rng.normal(size=count))

        def price(current: ArchBatch, after: ArchBatch, saved: Floats) -> Floats:
            changed = after.codes != current.codes
            return np.asarray((changed * dear).sum(axis=1) / np.maximum(changed.sum(axis=1), 1) * saved)

        return price
