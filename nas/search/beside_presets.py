"""The front beside the presets of its space, both with final numbers: is it better than what was there already?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.metrics import Metric
from nas.search.objective import Constraint, Objective
from nas.search.pareto import hypervolume, minimised

Metrics = Mapping[str, Metric]


@dataclass(frozen=True)
class Beside:
    """A front beside presets.

    Attributes:
        presets: that have every objective, of the same data, and keep the constraints.
        reached: of these, how many a member of the front equals or dominates.
        ahead: names of presets that dominate a member by more than the intervals of both allow.
        front, alone: hypervolume of the front, and of the presets, as shares of that of both together.
    """

    presets: int
    reached: int
    ahead: tuple[str, ...]
    front: float
    alone: float

    @property
    def words(self) -> str:
        """In a sentence."""
        said = f"the front equals or dominates {self.reached} of {self.presets} presets"
        if self.ahead:
            return f"{said}; {', '.join(self.ahead)} dominate a member beyond the noise of the accuracies"
        return f"{said}, and none dominates a member beyond the noise of the accuracies"


def beside(
    objectives: Sequence[Objective],
    members: Sequence[Metrics],
    presets: Mapping[str, Metrics],
    reference: Mapping[str, float],
    constraints: Sequence[Constraint] = (),
) -> Beside | None:
    """The comparison; None where no member, or no preset that keeps the constraints, has every objective.

    Shares, such as accuracies, are compared where they are of the same data and weights, as their details say.

    Args:
        members: final metrics of the front's members.
        presets: final metrics of each, by name.
        reference: corner of the hypervolume, by objective.
    """
    names, directions = [o.metric for o in objectives], [o.direction for o in objectives]
    known = [row for row in members if all(name in row for name in names)]
    of_data = {_data(row, objectives) for row in known}
    compared = {
        preset: row
        for preset, row in presets.items()
        if all(name in row for name in names)
        and _data(row, objectives) in of_data
        and not any(limit.metric in row and _misses(limit, row) for limit in constraints)
    }
    if not known or not compared:
        return None
    ours = minimised([[row[name].value for name in names] for row in known], directions)
    theirs = minimised([[row[name].value for name in names] for row in compared.values()], directions)
    reached = np.any(np.all(ours[None] <= theirs[:, None], axis=2), axis=1)
    sure = [[_end(row[o.metric], o, best=False) for o in objectives] for row in compared.values()]
    hoped = [[_end(row[o.metric], o, best=True) for o in objectives] for row in known]
    worst, best = minimised(sure, directions), minimised(hoped, directions)
    no_worse = np.all(worst[:, None] <= best[None], axis=2)
    beyond = np.any(no_worse & np.any(worst[:, None] < best[None], axis=2), axis=1)
    ahead = tuple(name for name, is_ahead in zip(compared, beyond) if is_ahead)
    corner = minimised([[reference[name] for name in names]], directions)[0]
    volumes = [
        hypervolume(points, corner, ["min"] * len(names))
        for points in (ours, theirs, np.concatenate([ours, theirs]))
    ]
    whole = volumes[2] or 1.0
    return Beside(len(compared), int(reached.sum()), ahead, volumes[0] / whole, volumes[1] / whole)


def _data(row: Metrics, objectives: Sequence[Objective]) -> tuple[str, ...]:
    """What its shares were measured on."""
    return tuple(row[o.metric].detail for o in objectives if row[o.metric].unit == "fraction")


def _misses(limit: Constraint, row: Metrics) -> bool:
    return bool(limit.violation(np.array([row[limit.metric].value]))[0] > 0)


def _end(metric: Metric, objective: Objective, *, best: bool) -> float:
    """An end of its interval; what follows from the architecture, whose errors are shared, as it is."""
    end = metric.high if (objective.direction == "max") == best else metric.low
    return metric.value if objective.cheap or end is None else end
