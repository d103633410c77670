"""Latency-driven slimming: from the largest network down, one action at a time, until the constraint is met.

Source: EfficientFormer (Li et al. 2022, §4) and EfficientFormerV2 (Li et al. 2023, §3.3). Each step takes every
action that makes the network smaller (one step down in an ordinal decision: width, expansion, resolution; any block of
a stage dropped, see `drop_blocks`; another operator in a categorical one; or V1's three, by the importance of
positions) and looks at what it saves and what it loses. The loss is *evaluated*: the change of the mean cross-entropy
on held-out images between the network that is left and the one before, finer than steps of top-1. If some actions lose
nothing, the one that saves most is taken; else the one that loses least per saved unit of the cost (V1), or per gain of
the mobile-efficiency score `MES = Π (M_i / U_i)^(-α_i)` over parameters and the cost (V2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

import numpy as np

from nas.errors import NasError
from nas.metrics import Direction
from nas.search.strategies.actions import ImportantActions, all_actions
from nas.search.strategies.base import Cheap, Floats, Outlook, Strategy
from nas.space.batch import ArchBatch, concatenate
from nas.space.choices import IDENTITY, choices_of, heaviest
from nas.space.space import Space

LOSS, PARAMS = "loss", "params"
Rule = Literal["latency", "mes"]
RULES = ("latency", "mes")
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

    Ends where every cheap constraint holds, where no action saves anything, or where every action failed to be
    evaluated. If the largest architecture satisfies all constraints, or there are none, nothing says where to stop
    and it goes on to the bottom. Needs a cheap objective to be minimised, the first of which is what actions save,
    and the evaluator's cross-entropy.

    Args:
        start: preset to start from; "" starts from the largest value of each ordinal decision, with the block that
            its space lists last at each position that chooses one.
        step: by how many values an action moves an ordinal decision, or how many positions it takes at once.
        actions: `all` decisions, or `importance`: the three of V1, for supernets that were trained relaxed.
        rule: `latency`: loss per saved cost (V1); `mes`: loss per gain of MES (V2).
        size_unit, cost_unit, size_power, cost_power: constants of MES, for parameters and milliseconds. The defaults
            are unverified: not read in the paper, though they reproduce the 102.9 of EfficientFormerV2-S0.

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
        step: int = 1,
        actions: Actions = "all",
        rule: Rule = "latency",
        size_unit: float = 3e6,
        cost_unit: float = 1.0,
        size_power: float = 0.5,
        cost_power: float = 1.0,
    ) -> None:
        super().__init__(space, directions, seed=seed, cheap=cheap)
        if rule not in RULES:
            raise NasError(f"slimming: the rule is 'latency' or 'mes', not {rule!r}.")
        if actions not in ACTIONS:
            raise NasError(f"slimming: the actions are 'all' or 'importance', not {actions!r}.")
        if step < 1:
            raise NasError(f"slimming: step is {step}; a whole number from 1 on is needed.")
        for name, unit in (("size_unit", size_unit), ("cost_unit", cost_unit)):
            if not 0 < unit < np.inf:
                raise NasError(f"slimming: {name} is {unit}; a number above 0 is needed.")
        self.step, self.rule = step, rule
        self._units, self._powers = (size_unit, cost_unit), (size_power, cost_power)
        self.current = self._first(start)
        self.trajectory: list[dict[str, Any]] = []
        self._of_importance = actions == "importance"
        self._important: ImportantActions | None = None
        self._rows: dict[int, int] = {}
        self._loss: Floats = np.zeros(0)
        self._params: Floats = np.zeros(0)
        self._finished = False

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

    def ending(self) -> str:
        if self._constrained and self.violation(self.current)[0] == 0:
            return "slimming met the constraints"
        if not len(self._actions()):
            return "slimming has nothing left to cut that saves anything"
        return "slimming ended: no evaluation of its next cuts succeeded"

    def advice(self) -> str:
        if self._finished:
            return ""
        return "The walk was not at its end: more --n-trials or larger steps (search.options.step) take it further."

    def course(self) -> list[dict[str, Any]]:
        """The trajectory: architecture, action, saved cost, cost and loss of each step, the start first."""
        return self.trajectory

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "current": self.current.codes.tolist(),
            "trajectory": self.trajectory,
            "loss": self._loss.tolist(),
            "params": self._params.tolist(),
            "finished": self._finished,
        }

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.current = ArchBatch(self.space, np.array(state["current"], dtype=np.int16))
        self.trajectory = [dict(taken) for taken in state["trajectory"]]
        self._loss, self._params = np.array(state["loss"]), np.array(state["params"])
        self._finished = bool(state["finished"])
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
        important = self._important if self._of_importance else None
        batch = all_actions(self.current, self.step) if important is None else important(self.current)
        batch = self._placed(batch)
        return batch[np.flatnonzero(self._cost(batch) < self._cost(self.current)[0])] if len(batch) else batch

    def _cost(self, batch: ArchBatch) -> Floats:
        assert self.cheap is not None
        values = self.cheap(batch)[0]
        found = [j for j, d in enumerate(self.directions) if d == "min" and not np.isnan(values[:, j]).any()]
        if not found:
            raise NasError(NEEDS_COST)
        return np.asarray(values[:, found[0]])

    def _advance(self) -> None:
        """Take the best action, or end."""
        here = self._rows[int(self.current.hashes[0])]
        if not self.trajectory:
            self.trajectory.append(self._record(self.current, here, "start", 0.0))
        actions = self._actions()
        if self.violation(self.current)[0] == 0 and self.cheap is not None and self._constrained:
            self._finished = True
            return
        if not len(actions):
            self._finished = True
            return
        rows = np.array([self._rows[key] for key in actions.hashes.tolist()])
        known = np.flatnonzero(np.isfinite(self._loss[rows] - self._loss[here]))
        if not len(known):
            self._finished = True
            return
        actions, rows = actions[known], rows[known]
        saved = self._cost(self.current)[0] - self._cost(actions)
        best = self._best(saved, self._loss[rows] - self._loss[here], rows, here, actions)
        what = self._difference(self.current, actions[np.array([best])])
        self.current = actions[np.array([best])]
        self.trajectory.append(self._record(self.current, int(rows[best]), what, float(saved[best])))

    @property
    def _constrained(self) -> bool:
        """Whether the largest architecture misses a constraint, so that meeting it is where to stop."""
        return bool(self.violation(self._placed(self._first("")))[0] > 0)

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

    def _difference(self, before: ArchBatch, after: ArchBatch) -> str:
        old, new = self._shown(before), self._shown(after)
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        changed = Counter(map(_base, names))
        keys = dict.fromkeys(name if changed[_base(name)] == 1 else _base(name) for name in names)
        return ", ".join(f"{key} {_told(old, key)} → {_told(new, key)}" for key in keys)

    def _shown(self, arch: ArchBatch) -> dict[str, Any]:
        """Values by name; the blocks of a stage that chooses them by position are one entry, `4 mb4d + 2 mb3d`."""
        values: dict[str, Any] = arch.to_dicts()[0]
        for stage, choices in choices_of(self.space).items():
            blocks = [str(values.pop(choice.decision, IDENTITY)) for choice in choices]
            runs = [(name, len(list(run))) for name, run in groupby(blocks) if name != IDENTITY]
            values[stage] = " + ".join(f"{count} {name}" for name, count in runs)
        return values

    def _record(self, arch: ArchBatch, row: int, what: str, saved: float) -> dict[str, Any]:
        return {
            "arch_id": arch.ids[0],
            "action": what,
            "saved": saved,
            "cost": float(self._cost(arch)[0]),
            "loss": float(self._loss[row]),
        }


def _base(name: str) -> str:
    """The decision that a block's own is one of."""
    return name.partition("[")[0]


def _told(values: Mapping[str, Any], key: str) -> str:
    """A value, or those of all blocks of a stage in their order."""
    return " ".join(str(value) for name, value in values.items() if key in (name, _base(name))) or "–"
