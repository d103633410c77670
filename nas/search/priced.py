"""Worths within limits: prices that bound them, and a proof by HiGHS; see `nas.search.programme`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.costs.extremes import Table
from nas.search.programme import Optimum, Programme
from nas.search.whole import Ceilings, Kept, proven_best

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXTENT = 100.0
"""What worths are scaled to differ by at most: HiGHS ends at an absolute gap of 1e-6, for which SciPy has no option."""
TIE = 1e-6
"""Share of the extent of worths that the extent of costs is worth: of equal ones the cheaper is chosen."""
EXACT = 1e-6
"""Least difference of scaled worths that counts."""
TOLERANCE = 2e-6
"""Share of a limit by which it is tightened; HiGHS' own `primal_feasibility_tolerance` is 1e-6."""
ROUNDS = 60
"""Cutting planes for one set of limits at most; one limit needs about five."""
DEAREST = 1e5
"""Highest price of a limit: where it can be kept, what is best at it misses it by no more than EXTENT / DEAREST."""
FIRST_GAP, SHARE, WIDER = 1.0, 4.0, 8.0
"""Gap that is looked into first: a hundredth of the extent where nothing within the limits is known, else a quarter of
the known gap; how much wider the next is. Chosen by the time that ElasticViT's space takes."""


@dataclass(frozen=True)
class _Limits:
    """Limits as rows: `rows @ costs <= bounds`, divided by what they are relative to."""

    rows: Floats
    bounds: Floats

    @classmethod
    def of(cls, upper: Floats, lower: Floats) -> _Limits:
        sides = [(j, 1.0, bound) for j, bound in enumerate(upper) if np.isfinite(bound)]
        sides += [(j, -1.0, bound) for j, bound in enumerate(lower) if np.isfinite(bound)]
        rows, bounds = np.zeros((len(sides), len(upper))), np.zeros(len(sides))
        for i, (j, sign, bound) in enumerate(sides):
            rows[i, j], bounds[i] = sign / (abs(bound) or 1.0), sign * bound / (abs(bound) or 1.0)
        return cls(rows, bounds)

    def kept(self, costs: Floats) -> bool:
        """Whether costs, `(costs,)`, keep them."""
        return bool((self.rows @ costs <= self.bounds).all())


@dataclass(frozen=True)
class _Known:
    """What is best at some prices: a combination of each group, its scaled worth and its costs."""

    rows: Ints
    value: float
    costs: Floats


class Priced:
    """A programme whose architectures have a worth, a sum of tables, each over decisions that one group holds."""

    def __init__(self, programme: Programme, worths: Sequence[Table]) -> None:
        self.programme = programme
        self._worths = programme.summed(worths)
        self._values = _scaled(programme, self._worths)
        self._floor = sum(
            float(value[group.allowed].min(initial=np.inf))
            for group, value in zip(programme.groups, self._values)
        )
        self._known: list[_Known] = []
        self._proven: list[tuple[Floats, Floats, Optimum]] = []

    def best(self, upper: Floats, lower: Floats | None = None) -> Optimum | None:
        """What is worth most within limits on every cost, `(costs,)` each, infinite where there is none.

        Of several that are worth the same to `TIE`, the cheapest.

        Returns:
            None where nothing keeps the limits, or nothing was found before the proof was cut off.
        """
        high = np.asarray(upper, dtype=np.float64)
        low = np.full(len(high), -np.inf) if lower is None else np.asarray(lower, dtype=np.float64)
        for above, below, known in self._proven:
            wider = (above >= high).all() and (below <= low).all()
            if wider and (known.costs <= high).all() and (known.costs >= low).all():
                return known
        optimum = self._solved(_Limits.of(high, low))
        if optimum is not None and optimum.proven:
            self._proven.append((high, low, optimum))
        return optimum

    def _solved(self, limits: _Limits) -> Optimum | None:
        prices, bound = self._bounded(limits)
        if bound < self._floor - EXACT * EXTENT:
            return None
        best = max((k for k in self._known if limits.kept(k.costs)), key=lambda k: k.value, default=None)
        looked, ceilings = FIRST_GAP, self._ceilings(limits, prices)
        if best is not None:
            if bound - best.value <= EXACT:
                return self.programme.optimum(best.rows, self._worths, True)
            looked = (bound - best.value) / SHARE
        while True:
            kept = ceilings.kept(bound - looked - EXACT)
            found, whole = self._within(limits, kept)
            if found is not None and (best is None or found.value > best.value):
                best = found
            gap = np.inf if best is None else bound - best.value
            if not whole or kept.all or gap <= looked + EXACT:
                return None if best is None else self.programme.optimum(best.rows, self._worths, whole)
            looked = min(gap, WIDER * looked)

    def _within(self, limits: _Limits, kept: Kept) -> tuple[_Known | None, bool]:
        """The best of what is kept that keeps the limits, and whether that is proven.

        HiGHS lets rows be missed by a millionth: where it chose what does, limits are a trifle tighter, so that what
        lies between may be passed over.
        """
        for tighter in (0.0, TOLERANCE):
            rows, whole = proven_best(
                self.programme, kept, self._values, limits.rows, limits.bounds - tighter
            )
            if rows is None:
                return None, whole
            known = self._noted(rows)
            if limits.kept(known.costs):
                return known, whole
        return None, False

    def _bounded(self, limits: _Limits) -> tuple[Floats, float]:
        """Prices of the limits, and the bound that they give on the scaled worth of whatever keeps them."""
        prices, ceiling = np.zeros(len(limits.bounds)), np.inf
        at, least = prices, -np.inf
        for _ in range(ROUNDS):
            rows, value = self._priced(limits, at)
            if value < ceiling:
                prices, ceiling = at, value
            self._noted(rows)
            if not len(prices) or ceiling - least <= EXACT / 10:
                break
            at, least = self._cheapest_prices(limits)
        return prices, ceiling

    def _priced(self, limits: _Limits, prices: Floats) -> tuple[Ints, float]:
        """What is best at some prices, and the bound that they give."""
        values = self._reduced(limits, prices)
        passed = self.programme.passed(values)
        return self.programme.completed(passed.choice(), values), passed.best + float(prices @ limits.bounds)

    def _reduced(self, limits: _Limits, prices: Floats) -> list[Floats]:
        """Values less what the costs are at these prices."""
        of_costs = prices @ limits.rows
        groups = zip(self.programme.groups, self._values)
        return [value - group.costs @ of_costs for group, value in groups]

    def _cheapest_prices(self, limits: _Limits) -> tuple[Floats, float]:
        """Prices whose bound would be least, were there nothing but what is known; and that bound."""
        from scipy.optimize import linprog

        excess = np.array([limits.rows @ known.costs - limits.bounds for known in self._known])
        values = np.array([known.value for known in self._known])
        aim = np.concatenate([[1.0], np.zeros(len(limits.bounds))])
        planes = np.concatenate([-np.ones((len(values), 1)), -excess], axis=1)
        ranges = [(None, None), *[(0.0, DEAREST)] * len(limits.bounds)]
        least = linprog(aim, A_ub=planes, b_ub=-values, bounds=ranges, method="highs")
        return (np.asarray(least.x[1:]), float(least.fun)) if least.x is not None else (aim[1:], -np.inf)

    def _noted(self, rows: Ints) -> _Known:
        """A combination of each group with its scaled worth and costs, known from now on."""
        pairs = list(zip(self.programme.groups, self._values, rows))
        value = sum(float(values.reshape(-1)[row]) for _, values, row in pairs)
        costs = np.sum([group.costs.reshape(values.size, -1)[row] for group, values, row in pairs], axis=0)
        known = _Known(rows, value, costs)
        self._known.append(known)
        return known

    def _ceilings(self, limits: _Limits, prices: Floats) -> Ceilings:
        """Of every cell and combination, the bound on whatever it is part of."""
        values, constant = self._reduced(limits, prices), float(prices @ limits.bounds)
        passed = self.programme.passed(values)
        cells = passed.marginals()
        of_groups = []
        for position, (group, value) in enumerate(zip(self.programme.groups, values)):
            held = np.where(group.allowed, value, -np.inf)
            most = passed.of_scope(cells, position).reshape(-1, 1)
            best = held.max(axis=1, keepdims=True)
            rest = np.subtract(most, best, out=np.full(best.shape, -np.inf), where=np.isfinite(best))
            of_groups.append(held + rest + constant)
        return Ceilings([cell + constant for cell in cells], of_groups)


def _scaled(programme: Programme, worths: Sequence[Floats]) -> list[Floats]:
    """Worths of sums that are at most `EXTENT` apart, less a trifle for each cost."""
    values = [EXTENT * worth / _extent(programme, worths) for worth in worths]
    count = programme.groups[0].costs.shape[-1]
    for j in range(count):
        costs = [group.costs[:, :, j] for group in programme.groups]
        share = TIE * EXTENT / count / _extent(programme, costs)
        values = [value - share * cost for value, cost in zip(values, costs)]
    return values


def _extent(programme: Programme, values: Sequence[Floats]) -> float:
    """How far sums of one combination of each group can be apart; 1 where not at all."""
    allowed = [value[group.allowed] for group, value in zip(programme.groups, values)]
    return sum(float(np.ptp(each)) for each in allowed if len(each)) or 1.0
