"""nevergrad's optimisers over any space: `nevergrad:TwoPointsDE`, `nevergrad:NGOpt`, …

Those that cannot be asked twice before they are told (`SPSA`, …) are asked only while they wait for nothing, so their
batches are small. One that has drawn all samples that it planned (`LHSSearch`, …: known and infeasible ones are among
them) is begun anew with another seed.

Encoding, by decision type: an ordinal decision is an integer over its positions, a categorical one a choice
(`nas.search.strategies.nevergrad_encoding`). What an optimiser asks for is repaired to the nearest valid architecture
before it is evaluated.

Several objectives: differential evolution (`DE`, `TwoPointsDE`, …) handles vectors of losses, so it is told
vectors and a reference point. The others do not (told vectors, `NGOpt` ends no better than random on such
problems), so they minimise an augmented Tchebycheff scalarisation (Steuer & Choo 1983), one instance per weight
vector of a simplex lattice (Das & Dennis 1998), each told all evaluations. The first evaluations are uniform
draws; the range of their losses scales the objectives, and its upper end is the reference point.

An optimiser's state is not written down (nevergrad has nothing but pickles): the strategy keeps what was asked
and told, in order, and replays it. A replay that asks for something else is an error, as where an optimiser draws from
what no seed fixes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from nas.errors import NasError
from nas.metrics import Direction
from nas.search.strategies.base import Cheap, Floats, Outlook, Strategy, check_ranges
from nas.search.strategies.nevergrad_optimizer import SeededOptimizer, library
from nas.space.batch import ArchBatch
from nas.space.space import Space

AUGMENTATION = 0.05
FIRST = 20
"""Uniform draws whose losses scale the objectives: enough for a range."""
ROUNDS = 50  # of candidates known already, before uniform draws are asked for


class NevergradSearch(Strategy):
    """An optimiser of nevergrad's.

    Args:
        optimizer: its name in nevergrad's registry.
        budget: planned evaluations; some optimisers choose their method by it.
        first: uniform draws evaluated before the optimiser is asked; None: 20, of a small budget a quarter.
        vectors: least number of weight vectors where losses are scalarised.

    Raises:
        NasError: no optimiser of that name, or one that cannot be built for this space.
    """

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        *,
        seed: int = 0,
        cheap: Cheap | None = None,
        optimizer: str = "TwoPointsDE",
        budget: int = 500,
        first: int | None = None,
        vectors: int = 5,
    ) -> None:
        super().__init__(space, directions, seed=seed, cheap=cheap)
        check_ranges({"first": first, "vectors": vectors}, {"first": (1, np.inf), "vectors": (1, np.inf)})
        self.optimizer, self.budget, self.vectors = optimizer, budget, vectors
        self.first = min(FIRST, max(budget // 4, 1)) if first is None else first
        self._seed = seed
        self._start()

    def _start(self) -> None:
        """Fresh optimisers that were asked and told nothing."""
        self._sign = np.array([1.0 if d == "min" else -1.0 for d in self.directions])
        self._events: list[list[Any]] = []
        self._low: Floats | None = None
        self._high: Floats | None = None
        self._losses: dict[int, tuple[Floats, float]] = {}
        self._pending: dict[int, list[tuple[int, Any]]] = {}
        self._turn = 0
        first = self._build(0)
        self._restarts = 0
        vectors = len(self.directions) > 1 and first.handles_vectors
        self._weights = None if vectors else _lattice(len(self.directions), self.vectors)
        count = 1 if self._weights is None else len(self._weights)
        self._optimizers = [first, *[self._build(i) for i in range(1, count)]]

    @property
    def _sequential(self) -> bool:
        return any(optimizer.sequential for optimizer in self._optimizers)

    def _build(self, index: int) -> SeededOptimizer:
        return SeededOptimizer(self.optimizer, self.space, self.budget, self._seed, index)

    def check(self, outlook: Outlook) -> None:
        """As every strategy; asks a probe twice, for some optimisers look for the library behind them only then."""
        probe = self._build(0)
        probe.tell(_first_of(probe), 0.0)
        candidate = probe.ask()
        if candidate is not None:
            probe.tell(candidate, 0.0)
            probe.ask()

    def ask(self, n: int) -> ArchBatch:
        """As every strategy; of optimisers that are asked one by one, what they want to know next, at most `n`."""
        if not self._sequential or self._low is None:
            return super().ask(n)
        for _ in range(ROUNDS):
            batch = self.propose(n)
            batch = batch[np.flatnonzero(self.violation(batch) == 0)].unique().without(self._asked)
            if len(batch) or self._pending:
                self._asked = np.union1d(self._asked, batch.hashes)
                return batch
        return super().ask(n)

    def aim(self) -> str:
        if 2 * self.first < self.budget:
            return ""
        return (
            f"{self.first} of {self.budget} evaluations are uniform draws, as those of random search; "
            "search.options.first sets how many."
        )

    def propose(self, n: int) -> ArchBatch:
        if self._low is None:
            return self.fresh(n)
        batch = self._ask_optimizers(n)
        self._events.append(["ask", n, _digest(batch)])
        return batch

    def tell(
        self,
        batch: ArchBatch,
        values: Any,
        violations: Any = None,
        observations: Mapping[str, Floats] | None = None,
    ) -> None:
        before = len(self.archs)
        super().tell(batch, values, violations)
        self._events.append(["tell", len(batch)])
        self._learn(before, len(self.archs))

    def log(self, since: Mapping[str, int]) -> dict[str, list[Any]]:
        return {**super().log(since), "events": self._events[since.get("events", 0) :]}

    def restore(self, state: dict[str, Any]) -> None:
        """As every strategy.

        Raises:
            NasError: the optimiser asks for other architectures than it did.
        """
        super().restore(state)
        self._start()
        told = 0
        for kind, count, *asked in state["events"]:
            if kind == "ask":
                again = _digest(self._ask_optimizers(count))
                if asked and asked != [again]:
                    raise NasError(
                        f"nevergrad's {self.optimizer} cannot be resumed: asked again, it wants to know other "
                        "architectures than it did. Either another version of nas or nevergrad began the study, or the "
                        "optimiser draws from something that no seed fixes, as the time. Begin another study."
                    )
            else:
                self._learn(told, told + count, total=told + count)
                told += count
        self._events = [list(event) for event in state["events"]]

    def _ask_optimizers(self, n: int) -> ArchBatch:
        asked = [(at, self._ask_one(at)) for at in self._turns(n)]
        codes = [self._optimizers[at].codes(candidate) for at, candidate in asked]
        shape = (len(asked), len(self.space.decisions))
        batch = self.space.repair(ArchBatch(self.space, np.array(codes, dtype=np.int64).reshape(shape)))
        if self.pool is not None:
            batch = self.pool.nearest(batch)
        violations = self.violation(batch)
        for key, violation, (at, candidate) in zip(batch.hashes.tolist(), violations, asked):
            if key in self._losses:
                self._tell_one(at, candidate, *self._losses[key])
            elif violation > 0:
                self._tell_one(at, candidate, self._worst(), float(violation))
            else:
                self._pending.setdefault(key, []).append((at, candidate))
        return batch

    def _turns(self, n: int) -> list[int]:
        """Whose turn it is, `n` times; those that are asked one by one only while they wait for no answer."""
        count, sequential = len(self._optimizers), self._sequential
        waiting = {at for askers in self._pending.values() for at, _ in askers} if sequential else set()
        order = [at for at in ((self._turn + i) % count for i in range(count)) if at not in waiting]
        turns = order[:n] if sequential else [order[i % count] for i in range(n)]
        if turns:
            self._turn = turns[-1] + 1
        return turns

    def _ask_one(self, at: int) -> Any:
        candidate = self._optimizers[at].ask()
        if candidate is None:
            self._restarts += 1
            self._optimizers[at] = self._build(len(self._optimizers) * self._restarts + at)
            candidate = _first_of(self._optimizers[at])
        return candidate

    def _learn(self, start: int, stop: int, total: int | None = None) -> None:
        """Tell the optimisers the evaluations from `start` to `stop`."""
        rows = np.arange(start, stop)
        fresh = rows if self._low is not None else self._scale(total or len(self.archs))
        for row, key in zip(fresh.tolist(), self.archs[fresh].hashes.tolist()):
            losses, violation = self.values[row] * self._sign, float(self.violations[row])
            if np.isnan(losses).any():
                losses, violation = self._worst(), 1.0
            self._losses[key] = (losses, violation)
            askers = self._pending.pop(key, [])
            for at, candidate in askers:
                self._tell_one(at, candidate, losses, violation)
            if self._weights is not None:
                self._share(row, losses, violation, {at for at, _ in askers})

    def _scale(self, known: int) -> Any:
        """Fix the objectives' scale once enough is known; the rows that can be told now."""
        losses = self.values[:known] * self._sign
        whole = ~np.isnan(losses).any(axis=1)
        if known < self.first or not whole.any():
            return np.zeros(0, dtype=np.int64)
        self._low, self._high = losses[whole].min(axis=0), losses[whole].max(axis=0)
        self._high = np.where(self._high > self._low, self._high, self._low + 1.0)
        if self._weights is None:
            self._optimizers[0].tell(library().p.MultiobjectiveReference(), self._high.tolist())
        return np.arange(known)

    def _worst(self) -> Floats:
        assert self._high is not None
        return self._high

    def _tell_one(self, at: int, candidate: Any, losses: Floats, violation: float) -> None:
        self._optimizers[at].tell(candidate, self._losses_for(at, losses, violation))

    def _losses_for(self, at: int, losses: Floats, violation: float) -> float | list[float]:
        """What an optimiser is told; of infeasible candidates losses beyond the worst, growing with the violation."""
        assert self._low is not None and self._high is not None
        scaled = (losses - self._low) / (self._high - self._low)
        if violation > 0:
            scaled = np.maximum(scaled, 1.0) + 1.0 + min(violation, 1e6)
        if self._weights is not None:
            return float(_tchebycheff(scaled, self._weights[at]))
        told: list[float] = (self._low + scaled * (self._high - self._low)).tolist()
        return told

    def _share(self, row: int, losses: Floats, violation: float, knowing: set[int]) -> None:
        """Tell an evaluation to the optimisers that did not ask for it.

        With one objective differential evolution hears it too; told vectors, it is alone, and asked itself.
        """
        codes = self.archs.codes[row].astype(np.int64)
        for at, optimizer in enumerate(self._optimizers):
            if at not in knowing:
                optimizer.hear(codes, self._losses_for(at, losses, violation))


def _first_of(optimizer: SeededOptimizer) -> Any:
    """What an optimiser that was never asked wants to know.

    Raises:
        NasError: nothing.
    """
    candidate = optimizer.ask()
    if candidate is None:
        raise NasError(f"nevergrad's {optimizer.name} asks for nothing with a budget of {optimizer.budget}.")
    return candidate


def _tchebycheff(scaled: Floats, weights: Floats) -> float:
    weighted = scaled * weights
    return float(weighted.max() + AUGMENTATION * weighted.sum())


def _lattice(objectives: int, least: int) -> Floats:
    """Evenly spread weight vectors, at least `least`, `(k, objectives)`, none of their entries 0."""
    if objectives == 1:
        return np.ones((1, 1))
    parts = 1
    while len(rows := list(_compositions(parts, objectives))) < least:
        parts += 1
    weights = np.maximum(np.array(rows) / parts, 0.05)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _compositions(parts: int, count: int) -> Iterator[list[int]]:
    """All ways to write `parts` as `count` ordered non-negative integers."""
    for bars in combinations(range(parts + count - 1), count - 1):
        edges = (-1, *bars, parts + count - 1)
        yield [b - a - 1 for a, b in pairwise(edges)]


def _digest(batch: ArchBatch) -> str:
    """Tells one batch from another."""
    return hashlib.sha256(batch.codes.astype("<i8").tobytes()).hexdigest()[:16]
