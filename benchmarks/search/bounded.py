"""What can be reached where accuracy is a concave function of MACs and a sum of effects, and latency a sum.

For any price of latency the best architecture is bounded from above: where MACs are bought at a constant price too, it
is found exactly by elimination (`nas.costs.extremes`), and the prices of MACs are moved until both agree. What is met
on the way is where the front itself is looked for: by an evolution on the true values, and then by changing any two
decisions of what is on it until that improves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.task import Floats, Values
from nas.costs.extremes import Table, cheapest
from nas.costs.plan import CostPlan
from nas.metrics import Direction
from nas.search.pareto import non_dominated
from nas.search.strategies.nsga2 import NSGA2
from nas.space import ArchBatch, Space, concatenate

DIRECTIONS: tuple[Direction, Direction] = ("max", "min")
PRICES, HALVINGS = 80, 12
"""Prices of latency, and halvings of the interval of each one's price of MACs; with more the bounds move by less than
a thousandth."""
GENERATIONS, POPULATION = 60, 400
"""Of the evolution on the true values; with twice as many it adds less than a thousandth."""


class Sums:
    """Tables over decisions, as the exact search for extremes takes a plan's."""

    has_direct = False

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = list(tables)

    def tables(self, _: str) -> list[Table]:
        """Decisions, and a table with an axis for each."""
        return self._tables

    def values(self, batch: ArchBatch) -> Floats:
        """The sum for each architecture, `(n,)`."""
        parts = [table[tuple(batch.codes[:, i] for i in scope)] for scope, table in self._tables]
        return np.asarray(np.sum(parts, axis=0))


@dataclass(frozen=True)
class Problem:
    """Accuracy to be maximized and latency to be minimized.

    Attributes:
        effects: what is added to the accuracy.
        macs, latency: plans with a column of that name.
        limit, saturation: the accuracy is `limit - saturation / MACs` and the effects.
        values: accuracy and latency, `(n, 2)`.
    """

    space: Space
    effects: Sums
    macs: CostPlan
    latency: CostPlan
    limit: float
    saturation: float
    values: Values


def bounds(problem: Problem) -> tuple[ArchBatch, Callable[[Floats], Floats]]:
    """The front's architectures as far as they are known, and for latencies `(n,)` the accuracy none exceeds.

    The bound is one for each value of the first decision (the resolution, which every layer depends on), and the
    largest of these: what is not convex in the front is so mostly between these values.
    """
    met: list[ArchBatch] = []
    ends = [cheapest(problem.space, [(problem.latency, "latency", sign)])[0] for sign in (1.0, -1.0)]
    low, high = problem.values(concatenate(ends))[:, 1]
    prices = (
        np.geomspace(1e-3, 300, PRICES) * 0.1 / (high - low)
    )  # a tenth of accuracy over the range is the middle
    every = range(len(problem.space.decisions[0]))
    ceilings = np.array([[_ceiling(problem, code, float(price), met) for price in prices] for code in every])

    def bound(latencies: Floats) -> Floats:
        lines = ceilings[:, :, None] + prices[:, None] * latencies
        return np.asarray(lines.min(axis=1).max(axis=0))

    return _exchanged(problem, _evolved(problem, concatenate([*ends, *met]).unique())), bound


def _ceiling(problem: Problem, first: int, price: float, met: list[ArchBatch]) -> float:
    """What accuracy minus `price` times latency cannot exceed; architectures met on the way are added."""
    fixed = Sums([((0,), np.where(np.arange(len(problem.space.decisions[0])) == first, 0.0, np.inf))])
    least, most = 1e6, 1e11  # MACs of any network
    ceiling = np.inf
    for _ in range(HALVINGS):
        macs = float(np.sqrt(least * most))
        addends = [
            (cast(CostPlan, fixed), "fixed", 1.0),
            (cast(CostPlan, problem.effects), "effects", -1.0),
            (problem.macs, "macs", -problem.saturation / macs**2),  # what one more is worth, there
            (problem.latency, "latency", price),
        ]
        best, value = cheapest(problem.space, addends)
        met.append(best)
        ceiling = min(ceiling, problem.limit - value - 2 * problem.saturation / macs)
        if float(problem.macs(best)["macs"][0]) > macs:
            least = macs
        else:
            most = macs
    return ceiling


def _evolved(problem: Problem, start: ArchBatch) -> ArchBatch:
    """The front of an evolution on the true values, from some architectures on."""
    search = NSGA2(problem.space, DIRECTIONS, population=POPULATION)
    search.tell(start, problem.values(start))
    for _ in range(GENERATIONS):
        batch = search.ask(POPULATION)
        search.tell(batch, problem.values(batch))
    return _front(problem, search.archs)


def _exchanged(problem: Problem, front: ArchBatch) -> ArchBatch:
    """The front, improved until changing any two decisions of any of its architectures improves it no more."""
    tried = np.zeros(0, dtype=np.uint64)
    while len(open_ := front.without(tried)):
        tried = np.union1d(tried, open_.hashes)
        for index in range(len(open_)):
            near = _front(problem, _neighbors(problem.space, open_.codes[index]))
            front = _front(problem, concatenate([front, near]).unique())
    return front


def _neighbors(space: Space, codes: NDArray[np.int16]) -> ArchBatch:
    """All valid architectures that differ in at most two decisions."""
    sizes = [len(d) for d in space.decisions]
    place, code = np.repeat(np.arange(len(sizes)), sizes), np.concatenate([np.arange(size) for size in sizes])
    first, second = np.triu_indices(len(place))
    every, rows = np.repeat(codes[None, :], len(first), axis=0), np.arange(len(first))
    every[rows, place[first]] = code[first]
    every[rows, place[second]] = code[second]
    batch = ArchBatch(space, every)
    return batch[np.flatnonzero(space.valid(batch))]


def _front(problem: Problem, batch: ArchBatch) -> ArchBatch:
    return batch[np.flatnonzero(non_dominated(problem.values(batch), DIRECTIONS))]
