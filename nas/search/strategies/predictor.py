"""Predictor-guided search: a surrogate of the evaluations so far, and the candidates that promise most by it.

Objectives that follow from the architecture are computed, only the others are predicted. Each batch fits the surrogate,
searches its predictions by NSGA-II, and takes the candidates whose expected hypervolume improvement is largest, all
together (`nas.search.improvement`), times the chance that they keep the constraints on what is predicted
(`nas.search.likely`). Where the run can look at a network cheaply (few images), several times as many candidates are
looked at, most of them children of the best evaluated ones; what a look says moves the prediction of its candidate, and
the best of them are evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.surrogate import KINDS, Further, Kind, Surrogate
from nas.errors import NasError, unknown
from nas.metrics import Direction
from nas.search.improvement import improving
from nas.search.likely import Limits
from nas.search.looks import Looks
from nas.search.pareto import constrained_ranks, crowding_distance
from nas.search.strategies.base import Cheap, Floats, Look, Outlook, Strategy, check_ranges
from nas.search.strategies.nsga2 import NSGA2
from nas.space.batch import ArchBatch, concatenate
from nas.space.space import Space

POOL = 4_000
ALL = 20_000  # members of a pool that are all predicted: NAS-Bench-201 has 15,625
SHORT = 256
"""Candidates whose improvement is computed: the best ranks of what the inner search saw."""
NEAR, NEAR_TO = 0.8, 20
"""Share of the looks that are at children of the best evaluated networks, and how many of these are parents. A look
knows more than the surrogate does: on four supernets the front's hypervolume was 0.007 larger than with none, 0.004
than with half of them (the first command, 2026-11-30)."""
PAIRS = 8
"""Pairs of look and evaluation, not chosen by the look, from which it is learned how far looks are off: where what was
known beforehand takes the place of the first evaluations, it is looked at afterwards."""
MOST_FIRST, LEAST_FIRST, FIRST_SHARE = 30, 10, 4


class PredictorSearch(Strategy):
    """Surrogate-assisted search.

    Args:
        first: evaluations spread over the cheap objectives before the first fit; None: a quarter of the budget, from
            10 to 30.
        generations: of the inner NSGA-II.
        population: of the inner NSGA-II.
        explore: share of each batch drawn at random instead.
        surrogate: `auto`, `gaussian` or `trees`; see `nas.accuracy.surrogate`.
        budget: planned evaluations.
    """

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        *,
        seed: int = 0,
        cheap: Cheap | None = None,
        first: int | None = None,
        generations: int = 20,
        population: int = 100,
        explore: float = 0.0,
        surrogate: Kind = "auto",
        budget: int | None = None,
    ) -> None:
        super().__init__(space, directions, seed=seed, cheap=cheap)
        if surrogate not in KINDS:
            raise NasError(f"search.options.surrogate: {unknown('surrogate', surrogate, KINDS)}")
        check_ranges(
            {"first": first, "generations": generations, "population": population, "explore": explore},
            {"first": (1, np.inf), "generations": (1, np.inf), "population": (2, np.inf), "explore": (0, 1)},
        )
        usual = MOST_FIRST if budget is None else min(max(budget // FIRST_SHARE, LEAST_FIRST), MOST_FIRST)
        self.first = usual if first is None else first
        self.generations, self.population, self.explore = generations, population, explore
        self._signs = np.array([1.0 if d == "min" else -1.0 for d in self.directions])
        self._surrogate, self._seed = surrogate, seed
        self._limits = Limits()
        self._observe(())
        self.looks = Looks(space, len(directions))
        self._look: Look | None = None
        self._times = 0
        self._predicted: dict[int, Floats] = {}
        self._last = ArchBatch.of(space, [])

    def _observe(self, metrics: Sequence[str]) -> None:
        """Be told these metrics, too, and predict them as the objectives: they are constrained."""
        self.observes = tuple(metrics)
        self._observed: Floats = np.zeros((len(self.archs), len(self.observes)))
        self._models = [
            Surrogate(self.space, self._surrogate, seed=self._seed + j)
            for j in range(len(self.directions) + len(self.observes))
        ]

    def check(self, outlook: Outlook) -> None:
        names = list(outlook.objectives)
        bounded = [limit.metric for limit in outlook.constraints if not limit.cheap]
        self._observe([name for name in dict.fromkeys(bounded) if name not in names])
        self._limits = Limits.of(outlook.constraints, [*names, *self.observes])

    def tell(
        self,
        batch: ArchBatch,
        values: Any,
        violations: Any = None,
        observations: Mapping[str, Floats] | None = None,
    ) -> None:
        super().tell(batch, values, violations, observations)
        none, seen = np.full(len(batch), np.nan), observations or {}
        rows = np.array([seen.get(name, none) for name in self.observes]).reshape(-1, len(batch))
        self._observed = np.concatenate([self._observed, rows.T])

    def look_with(self, look: Look, times: int) -> None:
        self._look, self._times = look, times

    def propose(self, n: int) -> ArchBatch:
        if len(self.archs) < self.first or not np.isfinite(self.violations).any():
            return self._looked_at(self._spread(n)[:n].without(self._asked), chosen=False)
        predicted = n - round(self.explore * n)
        promising = self._promising(predicted) if not self._looks_help else self._promoted(predicted)
        return concatenate([promising, self.fresh(n - len(promising))])

    def expects(self, batch: ArchBatch) -> Floats | None:
        rows = [self._predicted.get(key) for key in batch.hashes.tolist()]
        none = np.full(len(self.directions), np.nan)
        known = any(row is not None for row in rows)
        return np.array([none if row is None else row for row in rows]) if known else None

    def log(self, since: Mapping[str, int]) -> dict[str, list[Any]]:
        observed = {"observed": self._observed[since.get("observed", 0) :].tolist()} if self.observes else {}
        return {**super().log(since), **self.looks.log(since), **observed}

    def state(self) -> dict[str, Any]:
        return {**super().state(), "promising": self._last.codes.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.looks.restore(state)
        self._last = ArchBatch.of(self.space, state.get("promising", []))  # earlier versions kept none
        observed = state.get("observed", [[np.nan] * len(self.observes)] * len(self.archs))
        self._observed = np.array(observed, dtype=np.float64).reshape(len(self.archs), len(self.observes))

    def _looked_at(self, batch: ArchBatch, *, chosen: bool) -> ArchBatch:
        """The batch, each of which was looked at, where that is possible."""
        if self._looks_help:
            unseen = self.looks.unseen(batch)
            if len(unseen):
                self.looks.add(unseen, self._seen(unseen), chosen)
        return batch

    @property
    def _looks_help(self) -> bool:
        """Whether there are looks, and an objective that they say something of."""
        return self._look is not None and any(j < len(self.directions) for j in self._expensive())

    def _seen(self, batch: ArchBatch) -> Floats:
        assert self._look is not None  # else nothing is looked at
        return self._look(batch)

    def _promoted(self, n: int) -> ArchBatch:
        """The `n` that promise most of those that promised most before they were looked at."""
        self._looked_at(
            self.looks.unseen(self.archs)[: max(PAIRS - self.looks.pairs(self.archs), 0)], chosen=False
        )
        near = round(self._times * n * NEAR)
        promising = self._promising(self._times * n - near)
        candidates = concatenate([promising, self._near(near)]).unique()
        if not len(candidates):
            return candidates
        expensive = self._expensive()
        mean, std = self._predict(candidates, expensive)
        self._looked_at(candidates, chosen=True)
        for j in (column for column in expensive if column < len(self.directions)):
            shift, variance = self.looks.calibrated(self.archs, self.values, j)
            mean[:, j], std[:, j] = self.looks.moved(candidates, mean[:, j], std[:, j], shift, variance, j)
        rows = self._chosen(mean, std, expensive, n)
        self._note(candidates[rows], mean[rows])
        return candidates[rows]

    def _note(self, batch: ArchBatch, mean: Floats) -> None:
        """Keep what is expected of candidates, `(n, m)`, until they are evaluated."""
        self._predicted |= dict(zip(batch.hashes.tolist(), mean[:, : len(self.directions)]))

    def _near(self, n: int) -> ArchBatch:
        """Children of the best evaluated ones, as an evolution would have them; none that was asked for."""
        evolution = self._evolution(NEAR_TO)
        evolution.reserve(self.archs)
        evolution.tell(self.archs, self.values, self.violations)
        return evolution.ask(n).without(self._asked)

    def _spread(self, n: int) -> ArchBatch:
        """Feasible draws at evenly spaced quantiles of the first cheap objective's logarithm."""
        pool = self.fresh(POOL)
        if self.cheap is None:
            return pool[:n]
        values, violation = self.cheap(pool)
        column = next((j for j in range(values.shape[1]) if not np.isnan(values[:, j]).any()), None)
        if column is None or len(pool) < n:
            return pool[np.argsort(violation, kind="stable")[:n]]
        cost = np.log(np.maximum(values[:, column], 1e-12))
        targets = self.rng.uniform(cost.min(), cost.max(), size=n)
        nearest = np.abs(cost[None, :] - targets[:, None]).argmin(axis=1)
        chosen: NDArray[np.intp] = np.unique(nearest)
        return pool[chosen]

    def _promising(self, n: int) -> ArchBatch:
        """The `n` candidates that together promise most; fewer where no other promises anything."""
        expensive = self._fit()
        candidates = self._candidates(expensive)
        if not len(candidates):
            return candidates
        mean, std = self._predict(candidates, expensive)
        rows = self._chosen(mean, std, expensive, n)
        self._note(candidates[rows], mean[rows])
        return candidates[rows]

    def _chosen(self, mean: Floats, std: Floats, expensive: Sequence[int], n: int) -> NDArray[np.int64]:
        """Rows of the `n` candidates that promise most; behind those that promise anything, in their order."""
        chance, m = self._limits.chance(mean, std), len(self.directions)
        if self._limits.constraints and not (self.violations <= 0).any():
            return np.argsort(-chance, kind="stable")[:n]
        front = self._believed(expensive)
        rows = improving(mean[:, :m] * self._signs, std[:, :m], front * self._signs, n, self.rng, chance)
        rest = np.setdiff1d(np.arange(len(mean)), rows)
        return np.concatenate([rows, rest])[:n]

    def _believed(self, expensive: Sequence[int]) -> Floats:
        """Objective values of what was evaluated and is feasible, those with noise as the surrogate sees them."""
        known = np.flatnonzero(np.isfinite(self.values).all(axis=1) & (self.violations <= 0))
        if not len(known):
            known = np.flatnonzero(np.isfinite(self.values).all(axis=1))
        batch, values = self.archs[known], self.values[known].copy()
        extra = self._extra(batch, expensive)
        for j in (column for column in expensive if column < len(self.directions)):
            values[:, j] = self._models[j].mean(batch, extra)
        return values

    def _candidates(self, expensive: Sequence[int]) -> ArchBatch:
        """What an inner search over the predictions found, best ranks first, without what was asked for."""
        if self.pool is not None and len(self.pool) <= ALL:
            batch = self.pool.batch.without(self._asked)
            values, violations = self._means(batch, expensive)
        else:
            inner = self._inner(expensive)
            free = np.flatnonzero(~np.isin(inner.archs.hashes, self._asked))
            batch, values, violations = inner.archs[free], inner.values[free], inner.violations[free]
        if not len(batch):
            return batch
        known = self.violation(batch)
        least = np.flatnonzero(known <= max(known.min(), 0.0))
        ranks = constrained_ranks(values[least], violations[least], self.directions, limit=SHORT)
        order = np.lexsort((-crowding_distance(values[least], ranks), ranks))
        return batch[least[order[:SHORT]]]

    def _inner(self, expensive: Sequence[int]) -> NSGA2:
        """An NSGA-II that is told predictions in the place of evaluations."""
        inner = self._evolution(self.population)
        batch = concatenate([self._best_evaluated(), self._last, self.fresh(self.population)]).unique()
        for _ in range(self.generations + 1):
            if not len(batch):
                break
            inner.tell(batch, *self._means(batch, expensive))
            batch = inner.ask(self.population)
        self._last = inner.archs[inner.survivors]
        return inner

    def _evolution(self, population: int) -> NSGA2:
        """An evolution at its beginning, of what this search may ask for."""
        seed = int(self.rng.integers(2**31))
        made = NSGA2(self.space, self.directions, seed=seed, cheap=self.cheap, population=population)
        if self.pool is not None:
            made.bind(self.pool.batch)
        else:
            made.draw_from(self._drawn_from)
        return made

    def _best_evaluated(self) -> ArchBatch:
        """The best ranks of what was evaluated, a population of them."""
        ranks = constrained_ranks(self.values, self.violations, self.directions, limit=self.population)
        return self.archs[np.argsort(ranks, kind="stable")[: self.population]]

    def _fit(self) -> list[int]:
        """Fit a surrogate to each objective that does not follow from the architecture; their columns."""
        expensive = self._expensive()
        extra = self._extra(self.archs, expensive)
        for j in expensive:
            self._models[j].fit(self.archs, self._evaluated[:, j], extra, self._further(expensive, j))
        return expensive

    @property
    def _evaluated(self) -> Floats:
        """Objectives and what else is observed, `(n, m)`."""
        return np.concatenate([self.values, self._observed], axis=1)

    def _expensive(self) -> list[int]:
        """Columns of the objectives that do not follow from the architecture."""
        known = self._known(self.archs if len(self.archs) else self.space.sample(1, seed=0))[0]
        observed = range(len(self.directions), len(self._models))
        return [*(j for j in range(len(self.directions)) if np.isnan(known[:, j]).any()), *observed]

    def _further(self, expensive: Sequence[int], column: int) -> Further | None:
        """What looks say of networks that were not evaluated."""
        if not len(self.looks.archs) or not len(self.archs) or column >= len(self.directions):
            return None
        batch, values, variances = self.looks.further(self.archs, self.values, column)
        return Further(batch, values, self._extra(batch, expensive), variances)

    def _means(self, batch: ArchBatch, expensive: Sequence[int]) -> tuple[Floats, Floats]:
        """Expected objective values `(n, m)` and violations of the cheap constraints `(n,)`."""
        values, violations = self._known(batch)
        extra = extra_features(values, self._exact(expensive))
        values = self._widened(values)
        for j in expensive:
            values[:, j] = self._models[j].mean(batch, extra)
        return values[:, : len(self.directions)], violations + self._limits.violation(values)

    def _predict(self, batch: ArchBatch, expensive: Sequence[int]) -> tuple[Floats, Floats]:
        """Expected objective values and their standard deviations, `(n, m)`; 0 where they are exact."""
        values, _ = self._known(batch)
        extra, values = extra_features(values, self._exact(expensive)), self._widened(values)
        std = np.zeros_like(values)
        for j in expensive:
            values[:, j], std[:, j] = self._models[j].predict(batch, extra)
        return values, std

    def _widened(self, values: Floats) -> Floats:
        """With a column for each metric that is observed."""
        return np.concatenate([values, np.full((len(values), len(self.observes)), np.nan)], axis=1)

    def _extra(self, batch: ArchBatch, expensive: Sequence[int]) -> Floats | None:
        return extra_features(self._known(batch)[0], self._exact(expensive))

    def _exact(self, expensive: Sequence[int]) -> list[int]:
        return [j for j in range(len(self.directions)) if j not in expensive]

    def _known(self, batch: ArchBatch) -> tuple[Floats, Floats]:
        if self.cheap is None:
            return np.full((len(batch), len(self.directions)), np.nan), np.zeros(len(batch))
        return self.cheap(batch)


def extra_features(values: Floats, cheap: Sequence[int]) -> Floats | None:
    """Logarithms of the cheap objectives as features."""
    return np.log(np.maximum(values[:, list(cheap)], 1e-12)) if cheap else None
