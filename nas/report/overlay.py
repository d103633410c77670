"""Fronts of several studies over each other, with hypervolumes against one reference point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nas.errors import NasError
from nas.report.points import Floats
from nas.report.units import Scale, scale_for, title
from nas.search.pareto import hypervolume
from nas.store import Objective, StudyRow, TrialRow


class Fronts(Protocol):
    """What fronts are read from: a storage, or what keeps its answers."""

    def study(self, name: str) -> StudyRow:
        """The study of that name, or an error."""

    def front(self, study_id: int) -> list[TrialRow]:
        """Trials on a study's front."""


@dataclass(frozen=True)
class Outline:
    """The front of one study.

    Attributes:
        study: its name.
        values: objective values in stored units, float64 (n, m), sorted by the first cost.
        arch_ids: of the front's members, in the same order.
        hypervolume: against the overlay's reference point; NaN for an empty front.
    """

    study: str
    values: Floats
    arch_ids: list[str]
    hypervolume: float


@dataclass(frozen=True)
class Overlay:
    """Studies with the same kinds of objectives.

    Attributes:
        objectives: what all of them optimise, named without their device where the devices differ.
        reference: worst corner of all the studies' own reference points, float64 (m,).
        x, y: positions of the objectives on the axes.
        scales: how each objective is shown.
    """

    objectives: tuple[Objective, ...]
    reference: Floats
    outlines: list[Outline]
    x: int
    y: int
    scales: list[Scale]

    def titles(self) -> list[str]:
        """What each objective is called."""
        return [title(objective.name) for objective in self.objectives]


def overlay(storage: Fronts, names: Sequence[str]) -> Overlay:
    """The fronts of the named studies together.

    Raises:
        NasError: no such study, none at all, or studies whose objectives cannot be compared.
    """
    studies = [storage.study(name) for name in names]
    if not studies:
        raise NasError("there is no study to compare.")
    kinds = [_kinds(study) for study in studies]
    odd = next((study for study, kind in zip(studies, kinds) if kind != kinds[0]), None)
    if odd is not None:
        raise NasError(
            f"studies {studies[0].name!r} and {odd.name!r} cannot be compared: the objectives are "
            f"{', '.join(map(str, kinds[0]))} and {', '.join(map(str, _kinds(odd)))}."
        )
    objectives = _objectives(studies)
    directions = [objective.direction for objective in objectives]
    reference = _reference(studies, directions)
    outlines = [_outline(storage, study, reference, directions) for study in studies]
    y = next((i for i, d in enumerate(directions) if d == "max"), len(directions) - 1)
    x = next((i for i in range(len(directions)) if i != y), 0)
    every = np.concatenate([outline.values for outline in outlines])
    scales = [scale_for(objective.unit, every[:, i]) for i, objective in enumerate(objectives)]
    return Overlay(objectives, reference, outlines, x, y, scales)


def by_group(groups: Mapping[str, Sequence[str]], found: Overlay) -> dict[str, list[float]]:
    """Hypervolumes of the studies of each group, in their order."""
    volumes = {outline.study: outline.hypervolume for outline in found.outlines}
    return {group: [volumes[name] for name in names if name in volumes] for group, names in groups.items()}


def _kinds(study: StudyRow) -> list[tuple[str, str]]:
    return [(objective.name.split("@")[0], objective.direction) for objective in study.objectives]


def _objectives(studies: Sequence[StudyRow]) -> tuple[Objective, ...]:
    first = studies[0].objectives
    same = all([o.name for o in study.objectives] == [o.name for o in first] for study in studies)
    return first if same else tuple(Objective(o.name.split("@")[0], o.direction, o.unit) for o in first)


def _reference(studies: Sequence[StudyRow], directions: Sequence[str]) -> Floats:
    points = [
        [study.reference_point[objective.name] for objective in study.objectives]
        for study in studies
        if study.reference_point is not None
    ]
    if not points:
        return np.full(len(directions), np.nan)
    corners = np.array(points)
    worst = [corners[:, i].min() if d == "max" else corners[:, i].max() for i, d in enumerate(directions)]
    return np.array(worst)


def _outline(storage: Fronts, study: StudyRow, reference: Floats, directions: Sequence[str]) -> Outline:
    front = storage.front(study.id)
    names = [objective.name for objective in study.objectives]
    values = np.array([[trial.metrics[name].value for name in names] for trial in front])
    values = values.reshape(len(front), len(names))
    order = np.lexsort(values.T[::-1]) if len(front) else np.zeros(0, dtype=np.int64)
    known = len(front) > 0 and not np.isnan(reference).any()
    volume = hypervolume(values, reference, directions) if known else float("nan")
    return Outline(study.name, values[order], [front[i].arch_id for i in order], volume)
