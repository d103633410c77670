"""Exact search: effects of single decisions, and the integer programme that is best by them for each budget.

Source: NVIDIA's Puzzle (Bercovich et al. 2024, arXiv 2411.19146) and LANA (Molchanov et al. 2021, arXiv 2107.10624),
which score each block's replacement once, with all others as they were, and choose among billions of networks by an
integer programme whose objective is the sum of the scores. Here the scores are fitted to everything that was evaluated
(`nas.search.additive`), programmes are solved along the front (`nas.search.priced`), what they choose is evaluated, and
the scores are fitted again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.metrics import Direction
from nas.search.additive import AdditiveModel
from nas.search.first_design import halved, informative, leveled, singles
from nas.search.pareto import non_dominated
from nas.search.priced import Priced
from nas.search.programme import Programme
from nas.search.strategies.base import Cheap, Floats, Outlook, Strategy
from nas.search.tabulated import Tabulated
from nas.space.batch import ArchBatch, concatenate
from nas.space.space import Space

NO_TABLES = (
    "exact needs its costs as tables (Exact.tabulate); a run gives them where they are sums over layers."
)
NO_VALUE = "exact needs an objective that is evaluated, such as accuracy:max."
NO_RULES = (
    "exact needs rules that tie few decisions each; this space has rules that are no tables (scope: global), or sums "
    "over many. Choose another strategy, e.g. predictor or nsga2."
)
POINTS, USUAL_BUDGET = 20, 100
FEWEST, MOST = 10, 40  # evaluations before the first fit
POOL = 1_000  # architectures that the first ones, and neighbors, are chosen from
INSIDE = 1 - 1e-9  # of a limit: sums of floating-point numbers depend on their order


class Exact(Strategy):
    """Integer programmes over fitted effects; see the module.

    The first evaluations are a reference and each replacement of one of its decisions, where these are no more than
    `first`, else draws that differ as much as a fit needs. Then a programme is solved for each of `points` budgets,
    evenly spread in their logarithms from the least possible one to the largest on the front. Where these bring too
    little that is new, neighbors of what they and the front chose follow, the best by the model first.

    Args:
        first: evaluations before the first fit; None: a third of the budget, from 10 to 40.
        points: budgets for each of which a programme is solved.
        explore: share of each batch that is best by a draw of what the effects may be, not by their estimates.
        budget: planned evaluations.

    Raises:
        NasError: numbers out of range.
    """

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        *,
        seed: int = 0,
        cheap: Cheap | None = None,
        first: int | None = None,
        points: int = POINTS,
        explore: float = 0.5,
        budget: int | None = None,
    ) -> None:
        super().__init__(space, directions, seed=seed, cheap=cheap)
        if first is None:
            first = min(max((budget or USUAL_BUDGET) // 3, FEWEST), MOST)
        if first < 2 or points < 1 or not 0 <= explore <= 1:
            raise NasError(
                "search.options: first is a number from 2 on, points one from 1 on, explore a share from 0 to 1."
            )
        self.first, self.points, self.explore = first, points, explore
        self._model = AdditiveModel(space)
        self._tables = Tabulated({})
        self._programme: Programme | None = None
        self._fitted: tuple[int, Priced] | None = None
        self._ends: Floats | None = None
        self._value, self._costs = 0, dict[int, int]()
        self._design = self.archs

    def check(self, outlook: Outlook) -> None:
        if outlook.tables is None:
            raise NasError(NO_TABLES)
        self.tabulate(outlook.tables(), outlook.objectives)

    def tabulate(self, tables: Tabulated, objectives: Sequence[str]) -> None:
        """Told the costs that follow from the architecture, before the first `ask`.

        Args:
            tables: of the objectives that are costs, and of what is constrained.
            objectives: metrics, in the order of the directions; the first that is no cost is what costs are weighed
                against.

        Raises:
            NasError: no objective is left to be evaluated, or the programme would be too large.
        """
        evaluated = [j for j, name in enumerate(objectives) if name not in tables.sums]
        if not evaluated:
            raise NasError(NO_VALUE)
        self._tables, self._value = tables, evaluated[0]
        self._costs = {
            tables.names.index(name): j for j, name in enumerate(objectives) if name in tables.sums
        }
        self._programme = tables.programme(self.space)
        if self._programme is None:
            raise NasError(NO_RULES)

    def propose(self, n: int) -> ArchBatch:
        if self._programme is None:
            raise NasError(NO_TABLES)
        if len(self._asked) < self.first:
            if not len(self._design):
                self._design = self._designed()
            planned = self._design.without(self._asked)
            if len(planned):
                return planned
        if not np.isfinite(self._worth()).any():
            return self.fresh(n)
        if self._fitted is None or self._fitted[0] != len(self.archs):
            self._model.fit(self.archs, self._worth())
            self._fitted = len(self.archs), Priced(self._programme, self._model.worths())
        drawn = min(int(self.explore * n + self.rng.random()), n)
        best = self._optima(self._programme, n - drawn)
        plausible = self._optima(self._programme, drawn, draw=True)
        first = concatenate([best, plausible]).without(self._asked).unique()
        return concatenate([first, self._moves(best, n)])

    def state(self) -> dict[str, Any]:
        return {**super().state(), "design": self._design.codes.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._design, self._fitted = ArchBatch.of(self.space, state["design"]), None

    def _worth(self) -> Floats:
        """What was evaluated, `(evaluations,)`; large is good."""
        values = self.values[:, self._value]
        return values if self.directions[self._value] == "max" else -values

    def _designed(self) -> ArchBatch:
        """The first evaluations."""
        pool = self._pool()
        costs = self._cost(pool)
        middle = pool[np.argsort(costs, kind="stable")[[len(pool) // 2]]]
        replaced = singles(middle)
        replaced = replaced[np.flatnonzero(self.violation(replaced) == 0)]
        if len(replaced) <= self.first:
            return replaced
        features = self._model.features(pool)
        return pool[informative(features, costs, self.first, features[:0])]

    def _pool(self) -> ArchBatch:
        """Feasible draws, spread over the costs as far as enough of such are feasible."""
        drawn = leveled(self.space, 2 * POOL, self.rng).unique()
        drawn = drawn[np.flatnonzero(self.violation(drawn) == 0)]
        return concatenate([drawn, self.fresh(POOL)]).unique() if len(drawn) < POOL // 2 else drawn

    def _cost(self, batch: ArchBatch) -> Floats:
        """The first cost that is an objective, `(n,)`, above 0; 1 where there is none."""
        if self.cheap is None or not self._costs:
            return np.ones(len(batch))
        values = self.cheap(batch)[0][:, min(self._costs.values())]
        return np.asarray(values if (values > 0).all() else np.ones(len(batch)))

    def _optima(self, programme: Programme, n: int, draw: bool = False) -> ArchBatch:
        """What is best within budgets by what was evaluated so far, until `n` of them were never asked for.

        Args:
            draw: by one draw of the effects for each budget, the budgets in any order.
        """
        assert self._fitted is not None
        found, budgets = self.archs[:0], list(self._budgets(programme))
        if draw:
            budgets = [budgets[i] for i in self.rng.permutation(len(budgets))]
        for low, high in budgets:
            if len(found.without(self._asked)) >= n:
                break
            priced = Priced(programme, self._model.worths(self.rng)) if draw else self._fitted[1]
            optimum = priced.best(high * INSIDE, low / INSIDE)
            if optimum is not None:
                row = ArchBatch(self.space, optimum.codes[None, :].astype(np.int16))
                found = concatenate([found, row]).unique()
        return found

    def _budgets(self, programme: Programme) -> Iterator[tuple[Floats, Floats]]:
        """Limits on every cost, least and largest, those that leave most first."""
        low, high = self._tables.bounds
        yield low, high
        front = self.values[self._front()]
        for shares in self._shares() if self._costs and len(front) else ():
            least, most = low.copy(), high.copy()
            for (cost, objective), share, end in zip(self._costs.items(), shares, self._reach(programme)):
                if self.directions[objective] == "min":
                    most[cost] = min(most[cost], between(end, front[:, objective].max(), share))
                else:
                    least[cost] = max(least[cost], between(end, front[:, objective].min(), share))
            yield least, most

    def _shares(self) -> Floats:
        """Where budgets lie between the end of what is possible, 0, and the front's other end, 1; `(points, costs)`."""
        if len(self._costs) == 1:
            return np.array(halved(self.points))[:, None] / max(self.points - 1, 1)
        from scipy.stats import qmc

        return np.asarray(qmc.Sobol(len(self._costs), rng=0).random(self.points))

    def _reach(self, programme: Programme) -> Floats:
        """The best value of each cost that is an objective, whatever the others are."""
        if self._ends is None:
            ends = []
            low, high = self._tables.bounds
            for cost, objective in self._costs.items():
                sign = -1.0 if self.directions[objective] == "min" else 1.0
                tables = self._tables.sums[self._tables.names[cost]]
                best = Priced(programme, [(scope, sign * table) for scope, table in tables]).best(high, low)
                ends.append(np.nan if best is None else best.costs[cost])
            self._ends = np.array(ends)
        return self._ends

    def _front(self) -> NDArray[np.intp]:
        """Rows of the feasible evaluations that none dominates."""
        feasible = np.flatnonzero(self.violations == 0)
        return feasible[non_dominated(self.values[feasible], self.directions)]

    def _moves(self, optima: ArchBatch, n: int) -> ArchBatch:
        """Neighbors of optima and front, the first those that the model holds for least worse than an optimum."""
        starts = concatenate([optima, self.archs[self._front()]])
        if not len(starts):
            return self.fresh(n)
        moved = self.space.mutate(starts[self.rng.integers(len(starts), size=POOL)], self.rng)
        moved = moved.unique().without(self._asked)
        moved = moved[np.flatnonzero(self.violation(moved) == 0)]
        if not len(moved):
            return moved
        behind = self._behind(moved, optima) if len(optima) else -self._model.predict(moved)
        return moved[np.argsort(behind, kind="stable")[:n]]

    def _behind(self, batch: ArchBatch, optima: ArchBatch) -> Floats:
        """By how much each is worth less than the best optimum that costs no more, `(n,)`, by the model."""
        own, best = self._model.predict(batch), self._model.predict(optima)
        fits = np.ones((len(batch), len(optima)), dtype=bool)
        if self.cheap is not None:
            ours, theirs = self.cheap(batch)[0], self.cheap(optima)[0]
            for objective in self._costs.values():
                sign = 1.0 if self.directions[objective] == "min" else -1.0
                fits &= sign * theirs[None, :, objective] <= sign * ours[:, None, objective]
        reached = np.where(fits, best[None, :], -np.inf).max(axis=1)
        return np.where(np.isfinite(reached), reached - own, 0.0)


def between(first: float, last: float, share: float) -> float:
    """A point from the first to the last, even in the logarithm where both are positive."""
    if min(first, last) > 0:
        return float(first * (last / first) ** share)
    return float(first + share * (last - first))
