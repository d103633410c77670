"""Whether a run's constraints can be kept: exactly where costs are sums over layers, else by a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from nas.costs.counts import plan_for
from nas.costs.extremes import cheapest
from nas.costs.plan import CostPlan
from nas.costs.window import TooWideError, WindowSampler
from nas.errors import NasError
from nas.latency.plan import latency_plan
from nas.pipeline.metrics import CheapMetrics
from nas.search.feasible import LOOK, FeasibleDraws, Floats, Source
from nas.search.objective import Constraint, explain_empty, total_violation, with_unit
from nas.space.batch import ArchBatch, concatenate
from nas.space.space import Space

FINEST = 1 / 50
"""Narrowest bins: those of a window of this share of its upper end, so that tables stay small."""
MULTIPLIERS = 40
"""Rounds in which the weights of several constraints are moved towards those that prove most."""
SLACK = 1e-9
"""Relative; sums of floating-point numbers may differ in the last digits with the order of their addends."""


@dataclass(frozen=True)
class Bounds:
    """A cost that is a sum over layers, and the window in which it must lie.

    Attributes:
        plan, column: where it is tabulated.
        metric: its name in the run.
    """

    plan: CostPlan
    column: str
    metric: str
    low: float = -np.inf
    high: float = np.inf

    def narrowed(self, constraint: Constraint) -> Bounds:
        """With one more constraint."""
        high = min(self.high, constraint.bound) if constraint.upper else self.high
        low = self.low if constraint.upper else max(self.low, constraint.bound)
        return replace(self, low=low, high=high)


class Region:
    """The architectures that keep all constraints which follow from the architecture alone.

    Args:
        pool: the architectures that alone can be evaluated; None: all of the space.

    Attributes:
        constraints: those.
        draws: draws from the region.
    """

    def __init__(
        self, metrics: CheapMetrics, constraints: Sequence[Constraint], pool: ArchBatch | None = None
    ) -> None:
        self.metrics, self.space, self.pool = metrics, metrics.space, pool
        self.constraints = [constraint for constraint in constraints if constraint.cheap]
        self._bounds = self._summed()
        self._ceilings = [
            (plan_for(self.space), "memory", constraint.bound)
            for constraint in self.constraints
            if constraint.metric == "memory" and constraint.upper
        ]
        self.draws = FeasibleDraws(self.space, self.violation, list(self._sources()), self._starts)

    def violation(self, batch: ArchBatch) -> Floats:
        """Violation of the constraints, `(n,)`; infinite where a table does not know an architecture."""
        if not self.constraints:
            return np.zeros(len(batch))
        values = self.metrics.values(batch)
        known = np.all([~np.isnan(values[c.metric]) for c in self.constraints], axis=0)
        violations = np.full(len(batch), np.inf)
        kept = {name: column[known] for name, column in values.items()}
        violations[known] = total_violation(self.constraints, kept, int(known.sum()))
        return violations

    def inside(self, batch: ArchBatch) -> ArchBatch:
        """Those of a batch that keep the constraints."""
        return batch[np.flatnonzero(self.violation(batch) == 0)] if self.constraints else batch

    def check(self) -> None:
        """Fail where the region is empty, or nothing in it was found.

        Raises:
            NasError: which it is, the tightest constraint and the architecture nearest to feasible.
        """
        known = self.draws.known if self.pool is None else self.inside(self.pool)
        if not self.constraints or len(known):
            return
        if self.pool is not None:
            raise NasError(explain_empty(self.constraints, self.metrics.values(self.pool), self.pool.ids))
        every = self._every()
        if every is not None:
            told = explain_empty(self.constraints, self.metrics.values(every), every.ids)
            raise NasError(f"{told} The space has no others.")
        looked = concatenate([self.space.sample(1000, seed=0), self.draws.nearest])
        reason = self._proof() or (
            f"none was found among {self.draws.looked:,}, the last of them sought for the least violation; one may "
            "exist all the same."
        )
        told = explain_empty(self.constraints, self.metrics.values(looked), looked.ids)
        raise NasError(f"{told} {reason[0].upper()}{reason[1:]}")

    def _every(self) -> ArchBatch | None:
        """All architectures of the space, none twice; None where they are too many to look at."""
        sizes = [len(decision) for decision in self.space.decisions]
        if prod(sizes) > LOOK:
            return None
        return self.space.repair(self.space.decode(np.indices(sizes).reshape(len(sizes), -1).T)).unique()

    def _summed(self) -> list[Bounds]:
        """The constrained costs that are sums over layers, each with its window."""
        bounds: dict[str, Bounds] = {}
        for constraint in self.constraints:
            plan = _summing(self.metrics, constraint.metric)
            if plan is not None:
                name = constraint.metric
                before = bounds.get(name, Bounds(plan, name.split("@")[0], name))
                bounds[name] = before.narrowed(constraint)
        return list(bounds.values())

    def _sources(self) -> Iterator[Source]:
        for bounds in self._bounds:
            yield _Window(self.space, bounds, self._ceilings).draw

    def _starts(self) -> ArchBatch:
        """The cheapest and dearest networks, presets, and those that weigh several constraints against each other."""
        sizes = np.array([[len(d) for d in self.space.decisions]])
        ends = self.space.repair(self.space.decode(np.concatenate([np.zeros_like(sizes), sizes - 1])))
        inside = [arch.values for arch in self.space.presets.values() if self.space.contains(arch)]
        known = [self.space.encode(inside)] if inside else []
        return concatenate([ends, *known, *[batch for batch, _ in self._multiplied()]])

    def _proof(self) -> str:
        """Why the region is empty, where that can be shown; else nothing."""
        try:
            if self._ceilings and cheapest(self.space, [], self._ceilings)[1] == np.inf:
                return "no architecture of the space needs so little memory."
            for bounds in self._bounds:
                if told := self._beyond(bounds) or _Window(self.space, bounds, self._ceilings).proof():
                    return told
        except TooWideError:
            return ""
        if any(bound > SLACK for _, bound in self._multiplied()):
            return "no architecture of the space satisfies all constraints together."
        return ""

    def _beyond(self, bounds: Bounds) -> str:
        _, least = cheapest(self.space, [(bounds.plan, bounds.column, 1.0)], self._ceilings)
        most = -cheapest(self.space, [(bounds.plan, bounds.column, -1.0)], self._ceilings)[1]
        if least <= bounds.high * (1 + SLACK) and most >= bounds.low * (1 - SLACK):
            return ""
        ends = f"{with_unit(bounds.metric, least)} and {with_unit(bounds.metric, most)}"
        which = "of the space" if not self._ceilings else "of the space that needs so little memory"
        return f"the {bounds.metric} of every architecture {which} lies between {ends}."

    def _multiplied(self) -> Iterator[tuple[ArchBatch, float]]:
        """Architectures of the least weighted excess, and a lower bound of what is exceeded by every one.

        The bound is that of Lagrangian relaxation; the weights of the relative excesses take subgradient steps.
        """
        sides = [(b, 1.0, b.high) for b in self._bounds if np.isfinite(b.high)]
        sides += [(b, -1.0, b.low) for b in self._bounds if np.isfinite(b.low)]
        weights = np.full(len(sides), 1.0 / max(len(sides), 1))
        for step in range(MULTIPLIERS if sides else 0):
            scaled = [w * sign / abs(bound or 1.0) for w, (_, sign, bound) in zip(weights, sides)]
            addends = [(b.plan, b.column, weight) for weight, (b, _, _) in zip(scaled, sides)]
            try:
                batch, least = cheapest(self.space, addends, self._ceilings)
            except TooWideError:
                return
            if least == np.inf:
                return
            yield batch, least - sum(w * bound for w, (_, _, bound) in zip(scaled, sides))
            excess = np.array(
                [s * (b.plan(batch)[b.column][0] - bound) / abs(bound or 1.0) for b, s, bound in sides]
            )
            weights = np.maximum(weights + excess / (np.abs(excess).max() or 1.0) / (step + 1), 0.0)
            weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(sides), 1.0 / len(sides))


class _Window:
    """Exact draws from the window of one cost; made at the first draw."""

    def __init__(self, space: Space, bounds: Bounds, ceilings: Sequence[tuple[CostPlan, str, float]]) -> None:
        self.space, self.bounds = space, bounds
        self.ceilings = {name: bound for plan, name, bound in ceilings if plan is bounds.plan}
        self._sampler: WindowSampler | None = None

    def draw(self, n: int, rng: np.random.Generator) -> ArchBatch:
        """At most `n` uniform draws; none where there are none, or where the space does not decompose."""
        try:
            low, high = self._ends()
            return self._made(low, high).thinned(n, low, high, rng)
        except (TooWideError, NasError):
            return self.space.sample(0, seed=0)

    def proof(self) -> str:
        """Why the window is empty, where it is; else nothing.

        Raises:
            TooWideError: the space does not decompose.
        """
        low, high = self._ends()
        if self._made(low, high).count(low, high) > 0:
            return ""
        metric = self.bounds.metric
        ends = f"{with_unit(metric, low)} and {with_unit(metric, high)}"
        return f"no architecture of the space has {metric} between {ends}."

    def _ends(self) -> tuple[float, float]:
        """The window, its open end closed where the space ends."""
        addend = (self.bounds.plan, self.bounds.column)
        low, high = self.bounds.low, self.bounds.high
        if not np.isfinite(low):
            low = cheapest(self.space, [(*addend, 1.0)])[1]
        if not np.isfinite(high):
            high = -cheapest(self.space, [(*addend, -1.0)])[1]
        return low, high

    def _made(self, low: float, high: float) -> WindowSampler:
        if not 0 <= low <= high:
            raise TooWideError
        if self._sampler is None:
            none = np.zeros(len(self.space.decisions), dtype=np.int16)
            width = max(high - low, high * FINEST)
            self._sampler = WindowSampler(
                self.space,
                none,
                high,
                width,
                plan=self.bounds.plan,
                column=self.bounds.column,
                ceilings=self.ceilings,
            )
        return self._sampler


def _summing(metrics: CheapMetrics, name: str) -> CostPlan | None:
    """The plan of which a metric is a sum; None where it is none."""
    if metrics.space.blueprint is None:
        return None
    if name in ("macs", "params", "train_params"):
        return plan_for(metrics.space)
    devices = dict(zip(metrics.latency_names, metrics.devices))
    device = devices.get(name)
    if device is None or device.units.residual is not None:
        return None
    return latency_plan(device.units, metrics.space)
