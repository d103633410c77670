"""Latency-driven slimming: from the largest network down, one action at a time, until the constraint is met.

Source: EfficientFormer (Li et al. 2022, §4) and EfficientFormerV2 (Li et al. 2023, §3.3). Each step takes every
action that makes the network smaller (one step down in an ordinal decision: width, expansion, resolution; any block of
a stage dropped, see `drop_blocks`; another operator in a categorical one; or V1's three, by the importance of
positions) and looks at what it saves and what it loses. The loss is *evaluated*: the change of the mean cross-entropy
on held-out images between the network that is left and the one before, finer than steps of top-1. If some actions lose
nothing, the one that saves most is taken; else the one that loses least per saved unit of the cost (V1), or per gain of
the mobile-efficiency score `MES = Π (M_i / U_i)^(-α_i)` over parameters and the cost (V2).

On the way down from the largest network of a large space a few hundred evaluations do not allow every action at every
step. Given a number of evaluations, and no step, a cut is therefore made of as many actions as it takes to reach the
end with them (`nas.search.strategies.cuts`). What an action loses is estimated from all evaluations so far, as a sum of
effects of decisions. Some cuts are composed from the start by draws of what these may be, so that one which has
turned out badly is taken back; they are evaluated, and chosen between as above. Cuts become smaller towards the
constraint. A second walk, which is not part of the trajectory, leads from there to the bottom, so that the front covers
all costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from nas.errors import NasError
from nas.metrics import Direction
from nas.search.strategies.actions import ImportantActions, all_actions
from nas.search.strategies.base import Cheap, Costs, Floats, Outlook, Probe, Strategy
from nas.search.strategies.cut_words import difference
from nas.search.strategies.cuts import INSIDE, Pace, Prices, Way
from nas.space.batch import ArchBatch, concatenate
from nas.space.choices import heaviest
from nas.space.space import Space

LOSS, PARAMS = "loss", "params"
Rule = Literal["latency", "mes"]
RULES = ("latency", "mes")
ATTEMPTS = 3  # draws of a cut for each that is evaluated, as some come out the same
FAR = 1e3  # a distance that no walk covers
Actions = Literal["all", "importance"]
ACTIONS = ("all", "importance")
NEEDS_COST = "slimming needs a cost to save that follows from the architecture, e.g. latency:min or macs:min."
NEEDS_LOSS = "slimming needs the mean cross-entropy of each architecture; only a supernet has it."
NEEDS_LOGITS = (
    "slimming by importance needs a supernet that was trained with train.sampler.name=relaxed; "
    "search.options.actions=all needs none."
)


class Slimming(Strategy):
    """Greedy slimming along one trajectory; every action that was evaluated is a candidate of the front.

    The trajectory ends where every cheap constraint holds, where no action saves anything, or where every action failed
    to be evaluated. If the largest architecture satisfies all constraints, or there are none, nothing says where to
    stop and it goes on to the bottom. Needs a cheap objective to be minimised, the first of which is what actions save,
    and the evaluator's cross-entropy.

    Args:
        start: preset to start from; "" starts from the largest value of each ordinal decision, with the block that
            its space lists last at each position that chooses one.
        step: by how many values an action moves an ordinal decision, or how many positions it takes at once; every
            action is then evaluated. None: 1 without a budget, else cuts of several actions as the module says.
        actions: `all` decisions, or `importance`: the three of V1, for supernets that were trained relaxed.
        rule: `latency`: loss per saved cost (V1); `mes`: loss per gain of MES (V2).
        size_unit, cost_unit, size_power, cost_power: constants of MES, for parameters and milliseconds. The defaults
            are unverified: not read in the paper, though they reproduce the 102.9 of EfficientFormerV2-S0.
        budget: planned evaluations.

    Raises:
        NasError: an unknown rule or set of actions, a step or unit below its range, no such preset in the space.
    """

    observes = (LOSS, PARAMS)

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        *,
        seed: int = 0,
        cheap: Cheap | None = None,
        start: str = "",
        step: int | None = None,
        actions: Actions = "all",
        rule: Rule = "latency",
        size_unit: float = 3e6,
        cost_unit: float = 1.0,
        size_power: float = 0.5,
        cost_power: float = 1.0,
        budget: int | None = None,
    ) -> None:
        super().__init__(space, directions, seed=seed, cheap=cheap)
        if rule not in RULES:
            raise NasError(f"slimming: the rule is 'latency' or 'mes', not {rule!r}.")
        if actions not in ACTIONS:
            raise NasError(f"slimming: the actions are 'all' or 'importance', not {actions!r}.")
        if step is not None and step < 1:
            raise NasError(f"slimming: step is {step}; a whole number from 1 on is needed.")
        for name, unit in (("size_unit", size_unit), ("cost_unit", cost_unit)):
            if not 0 < unit < np.inf:
                raise NasError(f"slimming: {name} is {unit}; a number above 0 is needed.")
        self.step, self.rule, self.budget = step or 1, rule, budget
        self._paced = budget is not None and step is None
        self._options: ArchBatch | None = None
        self._units, self._powers = (size_unit, cost_unit), (size_power, cost_power)
        self.current = self._start = self._first(start)
        self.trajectory: list[dict[str, Any]] = []
        self._of_importance = actions == "importance"
        self._important: ImportantActions | None = None
        self._rows: dict[int, int] = {}
        self._loss: Floats = np.zeros(0)
        self._params: Floats = np.zeros(0)
        self._finished = False
        self._below = False
        self._bottom: float | None = None
        self._limited: bool | None = None

    def check(self, outlook: Outlook) -> None:
        goals = zip(outlook.objectives, self.directions)
        if not any(direction == "min" and name in outlook.costs for name, direction in goals):
            raise NasError(NEEDS_COST)
        if LOSS not in outlook.evaluated:
            raise NasError(NEEDS_LOSS)
        if self._of_importance and not outlook.relaxed:
            told = f" The supernet of study {outlook.supernet!r} was not." if outlook.supernet else ""
            raise NasError(NEEDS_LOGITS + told)

    def bind(self, pool: ArchBatch) -> None:
        super().bind(pool)
        self.current = self._placed(self.current)

    def _placed(self, batch: ArchBatch) -> ArchBatch:
        """The architectures, or the nearest of the pool, asked for or not, so that a step stays what it was."""
        return batch if self.pool is None or not len(batch) else self.pool.nearest(batch).unique()

    def hear(self, importance: Mapping[str, Sequence[float]]) -> None:
        self._important = ImportantActions(self.space, importance, self.step) if importance else None

    def equip(self, costs: Costs, probe: Probe | None) -> None:
        """As every strategy; the first cuts are planned here, before it is told anything."""
        if self.budget is not None and self.cheap is not None:
            self._actions()

    def propose(self, n: int) -> ArchBatch:
        """What is still to be evaluated before the next step."""
        batch = self._wanted()
        return batch[np.arange(min(n, len(batch)))]

    def ask(self, n: int) -> ArchBatch:
        """Architectures of the current step without a value; also those that violate constraints.

        Fewer than `n`, or none, while the step waits for values that were asked for; none at the end.
        """
        if self.cheap is None:
            raise NasError(NEEDS_COST)
        if self._of_importance and self._important is None:
            raise NasError(NEEDS_LOGITS)
        return self._taken(self._wanted(), n)

    def tell(
        self,
        batch: ArchBatch,
        values: Any,
        violations: Any = None,
        observations: Mapping[str, Floats] | None = None,
    ) -> None:
        if observations is None or not all(name in observations for name in self.observes):
            raise NasError(NEEDS_LOSS)
        for offset, key in enumerate(batch.hashes.tolist()):
            self._rows[key] = len(self.archs) + offset
        super().tell(batch, values, violations)
        self._loss = np.concatenate([self._loss, np.asarray(observations[LOSS], dtype=np.float64)])
        self._params = np.concatenate([self._params, np.asarray(observations[PARAMS], dtype=np.float64)])
        while not self._finished and not len(self._wanted().without(self._known)):
            self._advance()

    def aim(self) -> str:
        """How many cuts the evaluations allow, and where they lead."""
        if self.budget is None or self.cheap is None:
            return ""
        where = "to the constraints" if self._constrained else "to the smallest network"
        looks = len(self._actions())
        if self._paced:
            cuts = Pace(self.budget, self._to_limits).cuts(len(self._asked))
            below = ", then on below them" if self._constrained else ""
            return f"slimming: a cut costs {looks} evaluations; about {cuts} cuts {where}{below}"
        costs, gaps = self._measured(concatenate([self.current, self._actions()]))
        each = float(np.log(costs[0] / costs[1:]).mean()) if looks else np.inf
        cuts, needed = self.budget // max(looks, 1), int(np.ceil(gaps[0] / each))
        told = f"slimming: a cut costs {looks} evaluations; about {cuts} cuts, and about {needed} are needed {where}"
        return (
            told
            if cuts >= needed
            else f"{told}: leave search.options.step out, and cuts are as large as need be"
        )

    def ending(self) -> str:
        if self._met:
            return "slimming met the constraints" + (" and went on below them" if self._below else "")
        if not len(self._actions()):
            return "slimming has nothing left to cut that saves anything"
        return "slimming ended: no evaluation of its next cuts succeeded"

    def advice(self) -> str:
        if self._finished:
            return ""
        if self._paced:
            return "The walk was not at its end: more --n-trials take it further."
        return "The walk was not at its end: more --n-trials or larger steps (search.options.step) take it further."

    def course(self) -> list[dict[str, Any]]:
        """The trajectory: architecture, action, saved cost, cost and loss of each step, the start first."""
        return self.trajectory

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "current": self.current.codes.tolist(),
            "finished": self._finished,
            "below": self._below,
            "options": None if self._options is None else self._options.codes.tolist(),
        }

    def log(self, since: Mapping[str, int]) -> dict[str, list[Any]]:
        own = {"trajectory": self.trajectory, "loss": self._loss.tolist(), "params": self._params.tolist()}
        return {**super().log(since), **{name: rows[since.get(name, 0) :] for name, rows in own.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.current = ArchBatch.of(self.space, state["current"])
        self.trajectory = [dict(taken) for taken in state["trajectory"]]
        self._loss, self._params = np.array(state["loss"]), np.array(state["params"])
        self._finished = bool(state["finished"])
        self._below = bool(state.get("below", False))
        options = state.get("options")
        self._options = None if options is None else ArchBatch.of(self.space, options)
        self._rows = {key: row for row, key in enumerate(self.archs.hashes.tolist())}

    @property
    def _known(self) -> Any:
        return np.array(sorted(self._rows), dtype=np.uint64)

    def _first(self, start: str) -> ArchBatch:
        if start:
            if start not in self.space.presets:
                raise NasError(f"slimming: space {self.space.name!r} has no preset {start!r}.")
            try:
                return self.space.encode([self.space.presets[start]])
            except NasError as outside:
                raise NasError(
                    f"slimming cannot start from the preset {start!r}, which is not one of the space: {outside}"
                ) from None
        return heaviest(self.space)

    def _wanted(self) -> ArchBatch:
        """The current architecture and every action on it that saves."""
        if self._finished:
            return self.current[np.arange(0)]
        actions = self._actions()
        return concatenate([self.current, actions]).unique() if len(actions) else self.current

    def _actions(self) -> ArchBatch:
        """What is chosen between: every action, or some cuts of several."""
        if not self._paced:
            return self._saving(self._placed(self._moves(self.current)))
        if self._options is None:
            self._options = self._composed()
        return self._options

    def _moves(self, current: ArchBatch) -> ArchBatch:
        important = self._important if self._of_importance else None
        return all_actions(current, self.step) if important is None else important(current)

    def _saving(self, batch: ArchBatch) -> ArchBatch:
        return batch[np.flatnonzero(self._cost(batch) < self._cost(self.current)[0])] if len(batch) else batch

    def _composed(self) -> ArchBatch:
        """Cuts of several actions, the first by what they are expected to lose."""
        assert self.budget is not None
        pace, way = Pace(self.budget, self._to_limits), Way(self._moves, self._measured)
        goal = pace.goal(float(self._measured(self.current)[1][0]), len(self._asked))
        prices = Prices(self.archs, self._loss, self._cost(self.archs))
        found, passed = self.current[:0], self.current[:0]
        for attempt in range(ATTEMPTS * pace.looks):
            price = prices.drawn(self.rng if attempt else None)
            cut, left = way.composed(self._start if prices.fitted else self.current, goal, price)
            cut = self._saving(self._placed(cut))
            if left < -INSIDE:
                passed = concatenate([passed, cut]).unique()
            else:
                found = concatenate([found, cut]).unique()
            if len(found) >= pace.looks:
                break
        return found if len(found) else passed[: pace.looks]

    @property
    def _to_limits(self) -> bool:
        """Whether the walk goes to constraints, and is not below them."""
        return self._constrained and not self._below

    def _measured(self, batch: ArchBatch) -> tuple[Floats, Floats]:
        """Costs, and distances to the end in logarithms: where the constraints hold, or the smallest network."""
        costs, violations = self._known_of(batch)
        if self._to_limits:
            return costs, np.log1p(violations)
        if self._bottom is None:
            down = Way(self._moves, lambda batch: (self._cost(batch), FAR + np.log(self._cost(batch))))
            last, _ = down.composed(self.current, 0.0, lambda current, after, saved: saved)
            self._bottom = float(self._cost(last)[0])
        return costs, np.maximum(np.log(costs / self._bottom), 0.0)

    def _known_of(self, batch: ArchBatch) -> tuple[Floats, Floats]:
        """What actions save, and violations of the cheap constraints, `(n,)` each."""
        assert self.cheap is not None
        values, violations = self.cheap(batch)
        found = [j for j, d in enumerate(self.directions) if d == "min" and not np.isnan(values[:, j]).any()]
        if not found:
            raise NasError(NEEDS_COST)
        return np.asarray(values[:, found[0]]), violations

    def _cost(self, batch: ArchBatch) -> Floats:
        return self._known_of(batch)[0]

    def _advance(self) -> None:
        """Take the best action, go on below the constraints, or end."""
        here = self._rows[int(self.current.hashes[0])]
        if not self.trajectory:
            self.trajectory.append(self._record(self.current, here, "start", 0.0))
        if self._met and not self._below:
            self._below, self._finished, self._options = self._paced, not self._paced, None
            return
        actions = self._actions()
        rows = np.array([self._rows[key] for key in actions.hashes.tolist()], dtype=np.int64)
        known = np.flatnonzero(np.isfinite(self._loss[rows] - self._loss[here]))
        if not len(known):
            self._options = None
            self._finished = not self._paced or not len(self._actions().without(self._known))
            return
        actions, rows = actions[known], rows[known]
        saved = self._cost(self.current)[0] - self._cost(actions)
        best = self._best(saved, self._loss[rows] - self._loss[here], rows, here, actions)
        what = difference(self.current, actions[np.array([best])])
        self.current, self._options = actions[np.array([best])], None
        if not self._below:
            self.trajectory.append(self._record(self.current, int(rows[best]), what, float(saved[best])))

    @property
    def _met(self) -> bool:
        """Whether the walk has reached the constraints that it goes to."""
        return self._constrained and bool(self.violation(self.current)[0] == 0)

    @property
    def _constrained(self) -> bool:
        """Whether the largest architecture misses a constraint, so that meeting it is where to stop."""
        if self._limited is None:
            self._limited = bool(self.violation(self._placed(self._first("")))[0] > 0)
        return self._limited

    def _best(self, saved: Floats, lost: Floats, rows: Any, here: int, actions: ArchBatch) -> int:
        free = np.flatnonzero(lost <= 0)
        if len(free):
            return int(free[saved[free].argmax()])
        if self.rule == "latency":
            return int((lost / saved).argmin())
        gain = self._mes(self._params[rows], self._cost(actions)) - self._mes(
            self._params[[here]], self._cost(self.current)
        )
        return int(np.where(gain > 0, lost / np.maximum(gain, 1e-300), np.inf).argmin())

    def _mes(self, params: Floats, cost: Floats) -> Floats:
        parts = zip((params, cost), self._units, self._powers)
        return np.asarray(np.prod([(amount / unit) ** -power for amount, unit, power in parts], axis=0))

    def _record(self, arch: ArchBatch, row: int, what: str, saved: float) -> dict[str, Any]:
        return {
            "arch_id": arch.ids[0],
            "action": what,
            "saved": saved,
            "cost": float(self._cost(arch)[0]),
            "loss": float(self._loss[row]),
        }
