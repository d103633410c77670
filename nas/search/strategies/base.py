"""The interface of search strategies: ask for archs, tell their objective values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.metrics import Direction
from nas.search.feasible import FeasibleDraws
from nas.search.objective import Constraint
from nas.search.strategies.known import KnownArchs
from nas.space.batch import Arch, ArchBatch, concatenate
from nas.space.space import Space
from nas.state import generator_state, restore_generator

if TYPE_CHECKING:
    from nas.search.tabulated import Tabulated

Floats = NDArray[np.float64]
Cheap = Callable[[ArchBatch], tuple[Floats, Floats]]
Costs = Callable[[ArchBatch], Mapping[str, Floats]]
Probe = Callable[[Arch], Mapping[str, float]]
Look = Callable[[ArchBatch], Floats]
FIRST_ROUNDS, LAST_ROUNDS = 5, 20


@dataclass(frozen=True)
class Outlook:
    """What a planned run will be able to say about architectures.

    Attributes:
        objectives: metrics, in the order of the directions.
        costs: metrics that follow from the architecture.
        evaluated: metrics of its evaluations.
        constraints: of the run, those on costs and those on what is evaluated.
        relaxed: whether its supernet is trained relaxed; was, where it comes from another study.
        supernet: the study it comes from; None: it is the run's own.
        steps: those of the costs that are times of a training step.
        classes: that its networks tell apart; None where it does not say.
        tables: makes tables of the costs that are objectives or constrained; raises NasError where they are none.
    """

    objectives: tuple[str, ...]
    costs: tuple[str, ...]
    evaluated: tuple[str, ...]
    relaxed: bool
    supernet: str | None = None
    steps: tuple[str, ...] = ()
    classes: int | None = None
    tables: Callable[[], Tabulated] | None = None
    constraints: tuple[Constraint, ...] = ()


def check_ranges(values: Mapping[str, float | None], bounds: Mapping[str, tuple[float, float]]) -> None:
    """Refuse options outside their bounds, before anything is trained; None is what the strategy chooses itself.

    Raises:
        NasError: says which option, and what is possible.
    """
    for name, (low, high) in bounds.items():
        value = values[name]
        if value is not None and not low <= value <= high:
            possible = f"{low:g} to {high:g}" if np.isfinite(high) else f"at least {low:g}"
            raise NasError(f"search.options.{name} is {value:g}; {possible} is possible.")


class Strategy(ABC):
    """Ask/tell over arch batches.

    `ask` never returns an architecture twice and may be called again before `tell`; `tell` takes any part of
    what was asked, in any order, and also architectures that were never asked for.

    Args:
        space: to search.
        directions: `min` or `max` per objective.
        seed: of the strategy's own generator.
        cheap: objective values that follow from the architecture alone, `(n, m)` with NaN for the others, and
            constraint violations `(n,)`, 0 where feasible; called with many candidates at once.

    Attributes:
        pool: the architectures that alone may be asked for; None: all of the space.
        observes: metrics that `tell` must be given beside the objectives.
        series: name under which the study keeps the `course`.
    """

    observes: tuple[str, ...] = ()
    series: str = "course"

    def __init__(
        self, space: Space, directions: Sequence[Direction], *, seed: int = 0, cheap: Cheap | None = None
    ) -> None:
        bad = [d for d in directions if d not in ("min", "max")]
        if bad or not directions:
            raise NasError(f"directions are 'min' or 'max', one per objective, not {list(directions)!r}.")
        self.space, self.directions = space, tuple(directions)
        self.rng = np.random.default_rng(seed)
        self.cheap = cheap
        self._draws: FeasibleDraws | None = None
        self.pool: KnownArchs | None = None
        self._asked = np.zeros(0, dtype=np.uint64)
        self.archs: ArchBatch = ArchBatch.of(space, [])
        self.values: Floats = np.zeros((0, len(directions)))
        self.violations: Floats = np.zeros(0)

    @abstractmethod
    def propose(self, n: int) -> ArchBatch:
        """About `n` candidates, best first; `ask` drops those known already."""

    def bind(self, pool: ArchBatch) -> None:
        """Told before the first `ask` that only these architectures can be evaluated, as a table knows no others.

        Args:
            pool: those that satisfy the cheap constraints.
        """
        self.pool = KnownArchs(pool)

    def within(self, batch: ArchBatch) -> ArchBatch:
        """The architectures, or what is nearest to them in the pool and was not asked for, where there is a pool."""
        return batch if self.pool is None else self.pool.near(batch, self._asked)

    def ask(self, n: int) -> ArchBatch:
        """At most `n` architectures never asked for before; fewer only where none are left to find.

        Proposals come first, then draws; infeasible ones only where no architecture is known that is feasible.
        """
        found: list[ArchBatch] = []
        missing = n
        for round_ in range(LAST_ROUNDS):
            batch = self.fresh(4 * n) if round_ >= FIRST_ROUNDS else self._offered(missing)
            if self.feasible_known:
                batch = batch[np.flatnonzero(self.violation(batch) == 0)]
            batch = self._taken(batch.unique(), missing)
            found.append(batch)
            missing -= len(batch)
            if missing <= 0:
                break
        return concatenate(found)

    @property
    def asked(self) -> int:
        """How many architectures were asked for, reserved or told."""
        return len(self._asked)

    def drawn(self, n: int) -> ArchBatch:
        """At most `n` draws that satisfy the cheap constraints, none of which was asked for before."""
        return self._taken(self.fresh(4 * n).unique(), n)

    def reserve(self, batch: ArchBatch) -> None:
        """Never ask for these: they are evaluated without being asked for."""
        self._asked = np.union1d(self._asked, batch.hashes)

    def _taken(self, batch: ArchBatch, n: int) -> ArchBatch:
        """The first `n` that were never asked for, which from now on were."""
        batch = batch.without(self._asked)[:n]
        self._asked = np.union1d(self._asked, batch.hashes)
        return batch

    def _offered(self, n: int) -> ArchBatch:
        """Proposals; those of a strategy that knows nothing of the pool are replaced by the nearest of it."""
        batch = self.propose(n)
        return batch if self.pool is None or self.pool.holds(batch).all() else self.within(batch)

    def tell(
        self,
        batch: ArchBatch,
        values: Any,
        violations: Any = None,
        observations: Mapping[str, Floats] | None = None,
    ) -> None:
        """Objective values float `(n, m)` of evaluated archs (NaN: failed) and their violations `(n,)`.

        Args:
            observations: what the strategy `observes` beside its objectives, `(n,)` each.

        Raises:
            NasError: values of another shape.
        """
        rows, shape = np.asarray(values, dtype=np.float64), (len(batch), len(self.directions))
        if rows.ndim == 1 and shape[1] == 1:
            rows = rows[:, None]
        if rows.shape != shape:
            raise NasError(
                f"tell: values of shape {rows.shape}, but {shape[0]} architectures with {shape[1]} objectives "
                f"need {shape}."
            )
        extra = np.zeros(len(batch)) if violations is None else np.asarray(violations, dtype=np.float64)
        self._asked = np.union1d(self._asked, batch.hashes)
        self.archs = concatenate([self.archs, batch])
        self.values = np.concatenate([self.values, rows])
        self.violations = np.concatenate(
            [self.violations, np.where(np.isnan(rows).any(axis=1), np.inf, extra)]
        )

    def hear(self, importance: Mapping[str, Sequence[float]]) -> None:
        """Told before the first `ask`: importance of each position by stage, where the supernet was trained relaxed."""

    def check(self, outlook: Outlook) -> None:
        """Told when a run is planned, before anything is trained, and again before the first `ask`.

        Raises:
            NasError: something that the strategy needs will not be there.
        """

    def equip(self, costs: Costs, probe: Probe | None) -> None:
        """Told before the first `ask` what else the run can say about architectures.

        Args:
            costs: every metric that follows from the architecture, `(n,)` by name.
            probe: responses of a built network to a few stimuli, by name; None where the run builds none.
        """

    def look_with(self, look: Look, times: int) -> None:
        """Told before the first `ask`, where the run can look at candidates cheaply before it evaluates some.

        Args:
            look: objective values float `(n, m)` of candidates on few images, NaN where a look says nothing.
            times: how many candidates are to be looked at for each that is evaluated.
        """

    def expects(self, batch: ArchBatch) -> Floats | None:
        """Objective values `(n, m)` that the strategy expects of candidates it asked for, before they are evaluated.

        None where it ranks by no predictions, or has none yet.
        """
        return None

    def finalists(self) -> tuple[ArchBatch, int]:
        """At the end: evaluated candidates that are to be trained alone, best first, and for how many steps."""
        return self.archs[np.arange(0)], 0

    def aim(self) -> str:
        """What it looks for, in words, where that is not what the objectives say; else nothing."""
        return ""

    def ending(self) -> str:
        """Why there is nothing more to ask for."""
        return "every architecture that can be asked for is evaluated"

    def advice(self) -> str:
        """What to change where nothing feasible was found; nothing where the strategy cannot tell."""
        return ""

    def course(self) -> list[dict[str, Any]]:
        """Steps the strategy has taken, where it takes any, as plain data; they are kept with the study."""
        return []

    def violation(self, batch: ArchBatch) -> Floats:
        """Violation of the cheap constraints, `(n,)`; 0 where there are none."""
        return self.cheap(batch)[1] if self.cheap is not None else np.zeros(len(batch))

    def draw_from(self, draws: FeasibleDraws) -> None:
        """Told before the first `ask`: where feasible architectures are drawn from."""
        self._draws = draws

    @property
    def feasible_known(self) -> bool:
        """Whether some architecture satisfies the cheap constraints."""
        return self.cheap is None or self.pool is not None or len(self._drawn_from.known) > 0

    @property
    def _drawn_from(self) -> FeasibleDraws:
        if self._draws is None:
            self._draws = FeasibleDraws(self.space, self.violation)
        return self._draws

    def fresh(self, n: int) -> ArchBatch:
        """At most `n` random architectures that satisfy the cheap constraints, perhaps some of them twice.

        Uniform over the space where none is known that does; of a pool, those that were not asked for.
        """
        if self.pool is not None:
            return self.pool.draw(n, self.rng, self._asked)
        if self.cheap is None or not self.feasible_known:
            return self.space.sample(n, rng=self.rng)
        return self._drawn_from.draw(n, self.rng)

    def state(self) -> dict[str, Any]:
        """With `log`, everything needed to go on as if never interrupted, as plain data."""
        waiting = np.setdiff1d(self._asked, self.archs.hashes)
        return {"rng": generator_state(self.rng), "asked": [f"{value:x}" for value in waiting.tolist()]}

    def log(self, since: Mapping[str, int]) -> dict[str, list[Any]]:
        """The part of the state that only grows, by name: lists, each from the place `since` names on, else whole.

        What is added is written down after each batch; a state is restored from all of it together.
        """
        told: dict[str, NDArray[Any]] = {
            "codes": self.archs.codes,
            "values": self.values,
            "violations": self.violations,
        }
        return {name: rows[since.get(name, 0) :].tolist() for name, rows in told.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state: what `state` gave, and all that `log` did."""
        restore_generator(self.rng, state["rng"])
        self.archs = ArchBatch.of(self.space, state["codes"])
        self.values = np.array(state["values"], dtype=np.float64).reshape(-1, len(self.directions))
        self.violations = np.array(state["violations"], dtype=np.float64)
        waiting = np.array([int(value, 16) for value in state["asked"]], dtype=np.uint64)
        self._asked = np.union1d(waiting, self.archs.hashes)
