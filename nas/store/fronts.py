"""The front of a study, maintained as trials arrive.

A trial enters the front with the commit that finds it non-dominated and leaves it with the one
that dominates it; both are kept with their generation, so that any generation's front is an
indexed query, and with their revision, so that a rollback is exact. Generations are counted by
the highest one seen so far, which makes them monotone where workers finish out of order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, and_, bindparam, insert, or_, select, update

from nas.search.pareto import hypervolume, merge_front
from nas.store.models import front_members, metric_kinds, metrics
from nas.store.records import SEARCH, StudyRow, TrialRecord


@dataclass(frozen=True)
class Front:
    """The members of a front: trial numbers int64 (f,) and objective values float64 (f, m)."""

    numbers: NDArray[np.int64]
    values: NDArray[np.float64]


def load(connection: Connection, study: StudyRow) -> Front:
    """Read the current front from the storage."""
    names = [objective.name for objective in study.objectives]
    query = (
        select(metrics.c.number, metric_kinds.c.name, metrics.c.value)
        .join(metric_kinds, metric_kinds.c.id == metrics.c.kind_id)
        .join(
            front_members,
            and_(front_members.c.study_id == metrics.c.study_id, front_members.c.number == metrics.c.number),
        )
        .where(members(study.id, None), metric_kinds.c.stage == SEARCH, metric_kinds.c.name.in_(names))
    )
    rows = connection.execute(query).all()
    numbers = np.unique(np.array([row.number for row in rows], dtype=np.int64))
    values = np.full((len(numbers), len(names)), np.nan)
    for row in rows:
        values[np.searchsorted(numbers, row.number), names.index(row.name)] = row.value
    return Front(numbers, values)


def members(study_id: int, generation: int | None) -> ColumnElement[bool]:
    """Condition for the members of a generation's front; of the current one for None."""
    within = front_members.c.study_id == study_id
    if generation is None:
        return and_(within, front_members.c.left_generation.is_(None))
    left = front_members.c.left_generation
    return and_(
        within,
        front_members.c.entered_generation <= generation,
        or_(left.is_(None), left > generation),
    )


def join(
    connection: Connection,
    study: StudyRow,
    front: Front,
    numbers: Sequence[int],
    records: Sequence[TrialRecord],
    generation: int,
) -> Front:
    """Let newly finished trials compete for the front and store who enters and who leaves.

    Args:
        study: with the revision of this commit.
        numbers, records: the finished trials.
        generation: highest generation so far, these trials included.
    """
    rows = [index for index, record in enumerate(records) if eligible(study, record)]
    new = np.array([objective_values(study, records[index]) for index in rows], dtype=np.float64)
    stay, enter = merge_front(front.values, new.reshape(len(rows), len(study.objectives)), study.directions)
    entering = np.array([numbers[index] for index in rows], dtype=np.int64)[enter]
    _store_left(connection, study, front.numbers[~stay], generation)
    _store_entered(connection, study, entering, generation)
    kept = np.concatenate([front.values[stay], new.reshape(-1, len(study.objectives))[enter]])
    return Front(np.concatenate([front.numbers[stay], entering]), kept)


def eligible(study: StudyRow, record: TrialRecord) -> bool:
    """Whether a trial may be on the front: complete, feasible, with a number for every objective."""
    return (
        record.state == "complete"
        and record.violation <= 0
        and all(objective.name in record.metrics for objective in study.objectives)
    )


def objective_values(study: StudyRow, record: TrialRecord) -> list[float]:
    """The trial's value of each objective."""
    return [float(record.metrics[objective.name].value) for objective in study.objectives]


def volume(study: StudyRow, front: Front) -> float | None:
    """Hypervolume of a front up to the study's reference point, None where it has none."""
    if study.reference_point is None:
        return None
    corner = [study.reference_point[objective.name] for objective in study.objectives]
    return hypervolume(front.values, corner, study.directions)


def _store_left(connection: Connection, study: StudyRow, numbers: NDArray[np.int64], generation: int) -> None:
    if not len(numbers):
        return
    table = front_members
    leaving = (
        update(table)
        .where(table.c.study_id == study.id, table.c.number == bindparam("member"))
        .values(left_generation=generation, left_revision=study.revision)
    )
    connection.execute(leaving, [{"member": number} for number in numbers.tolist()])


def _store_entered(
    connection: Connection, study: StudyRow, numbers: NDArray[np.int64], generation: int
) -> None:
    if not len(numbers):
        return
    shared = {
        "study_id": study.id,
        "entered_generation": generation,
        "left_generation": None,
        "entered_revision": study.revision,
        "left_revision": None,
    }
    connection.execute(insert(front_members), [{**shared, "number": number} for number in numbers.tolist()])
