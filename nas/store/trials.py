"""Trials: storing batches of them, and reading them back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace as changed
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, bindparam, select, update

from nas.errors import NasError
from nas.metrics import Metric
from nas.store import fronts, measures, studies
from nas.store.failures import DAMAGE, Unreadable, reason
from nas.store.models import front_members, metrics, trials
from nas.store.records import SEARCH, StoredMetric, TrialRecord, TrialRow, TrialState
from nas.store.writing import Write, insert_rows

STATES: tuple[str, ...] = get_args(TrialState)


def add(write: Write, records: Sequence[TrialRecord]) -> NDArray[np.int64]:
    """Store a batch; see `Storage.add_trials`."""
    batch = [_checked(record) for record in _first_of_each(records)]
    known = _known(write, [record.arch_id for record in batch])
    fresh = [record for record in batch if record.arch_id not in known]
    resolved = [
        record
        for record in batch
        if record.state != "running" and known.get(record.arch_id, (0, ""))[1] == "running"
    ]
    numbers = {arch_id: number for arch_id, (number, _) in known.items()}
    first = write.study.n_trials
    numbers.update((record.arch_id, first + index) for index, record in enumerate(fresh))
    _insert(write, fresh, first)
    _finish(write, resolved, numbers)
    finished = [record for record in [*fresh, *resolved] if record.state != "running"]
    _store_metrics(write, finished, numbers)
    _count(write, fresh, finished)
    _compete(write, finished, numbers)
    return np.array([numbers[record.arch_id] for record in records], dtype=np.int64)


def read(connection: Connection, study_id: int, condition: ColumnElement[bool]) -> list[TrialRow]:
    """Trials of a study that meet a condition, by number, with all their metrics."""
    columns = trials.c
    query = select(
        columns.number,
        columns.arch_id,
        columns.arch,
        columns.generation,
        columns.state,
        columns.violation,
        columns.created,
        columns.finished,
        columns.wall_s,
        columns.revision,
    ).where(columns.study_id == study_id, condition)
    try:
        stored = _stored(connection, study_id, condition)
        rows = connection.execute(query.order_by(columns.number))
        return [_row(row, stored.get(row["number"], ())) for row in rows.mappings()]
    except DAMAGE as error:
        raise Unreadable(_which(connection, study_id, error)) from None


def _row(row: RowMapping, stored: Sequence[StoredMetric]) -> TrialRow:
    """A trial of a row.

    Raises:
        ValueError: what its columns hold is no trial.
    """
    trial = TrialRow(**row, stored=tuple(stored))
    if trial.state not in STATES:
        raise ValueError(f"state {trial.state!r}")
    if not isinstance(trial.arch, dict) or not isinstance(trial.violation, float):
        raise ValueError("arch or violation")
    return trial


def _which(connection: Connection, study_id: int, error: Exception) -> str:
    """Which rows of a study's trials cannot be read."""
    query = select(trials).where(trials.c.study_id == study_id)
    numbers = connection.execute(select(trials.c.number).where(trials.c.study_id == study_id)).scalars().all()
    damaged: list[str] = []
    first = reason(error)
    for number in numbers:
        try:
            row = connection.execute(query.where(trials.c.number == number)).mappings().one()
            shown = {key: row[key] for key in _SHOWN}
            _row(shown, ())  # type: ignore[arg-type]
        except DAMAGE as wrong:
            first = first if damaged else reason(wrong)
            damaged.append(str(number))
    where = f"the rows of trials {', '.join(damaged[:8])}" if damaged else "a row of its metrics"
    return (
        f"{where} of study {studies.name_of(connection, study_id)!r} cannot be read ({first}). Put back a copy of the "
        "storage from before, or remove the study: nas study delete NAME."
    )


_SHOWN = tuple(name for name in TrialRow.__dataclass_fields__ if name != "stored")


def since(revision: int) -> ColumnElement[bool]:
    """Condition for trials that were added or changed after a revision."""
    return trials.c.revision > revision


def on_front(study_id: int, generation: int | None) -> ColumnElement[bool]:
    """Condition for trials on the front of a generation, or on the current one."""
    return trials.c.number.in_(select(front_members.c.number).where(fronts.members(study_id, generation)))


def metrics_where(study_id: int, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Condition for the metrics of the trials of a study that meet a condition."""
    # a subquery, because SQLite without statistics would drive a join from the larger table
    wanted = select(trials.c.number).where(trials.c.study_id == study_id, condition)
    return and_(metrics.c.study_id == study_id, metrics.c.number.in_(wanted))


def _stored(
    connection: Connection, study_id: int, condition: ColumnElement[bool]
) -> dict[int, list[StoredMetric]]:
    kinds = {kind.id: kind for kind in measures.kinds(connection, study_id)}
    columns = metrics.c
    query = select(columns.number, columns.kind_id, columns.value, columns.low, columns.high, columns.detail)
    query = query.where(metrics_where(study_id, condition)).order_by(columns.number, columns.kind_id)
    found: dict[int, list[StoredMetric]] = {}
    for number, kind_id, value, low, high, detail in connection.execute(query):
        kind = kinds[kind_id]
        shown = kind.detail if detail is None else detail
        metric = Metric(
            measures.value(value),
            kind.unit,
            kind.provenance,
            measures.bound(low),
            measures.bound(high),
            shown,
        )
        found.setdefault(number, []).append(StoredMetric(kind.name, kind.stage, metric))
    return found


def _first_of_each(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    first: dict[str, TrialRecord] = {}
    for record in records:
        first.setdefault(record.arch_id, record)
    return list(first.values())


def _checked(record: TrialRecord) -> TrialRecord:
    if record.state not in STATES:
        raise NasError(f"trial {record.arch_id}: state {record.state!r} is none of {', '.join(STATES)}.")
    if record.state == "running" and record.metrics:
        raise NasError(f"trial {record.arch_id}: a running trial has no metrics yet.")
    violation = math.inf if math.isnan(record.violation) else max(0.0, float(record.violation))
    return changed(record, violation=violation)


def _known(write: Write, arch_ids: Sequence[str]) -> dict[str, tuple[int, str]]:
    known: dict[str, tuple[int, str]] = {}
    for part in measures.chunks(arch_ids):
        query = select(trials.c.arch_id, trials.c.number, trials.c.state).where(
            trials.c.study_id == write.study.id, trials.c.arch_id.in_(part)
        )
        known.update((arch_id, (number, state)) for arch_id, number, state in write.connection.execute(query))
    return known


def _insert(write: Write, records: Sequence[TrialRecord], first: int) -> None:
    revision = write.study.revision
    rows = [
        {
            "study_id": write.study.id,
            "number": first + index,
            "arch_id": record.arch_id,
            "arch": dict(record.arch),
            "generation": record.generation,
            "state": record.state,
            "violation": record.violation,
            "created": write.now,
            "finished": None if record.state == "running" else write.now,
            "wall_s": record.wall_s,
            "created_revision": revision,
            "finished_revision": None if record.state == "running" else revision,
            "revision": revision,
        }
        for index, record in enumerate(records)
    ]
    insert_rows(write.connection, trials, rows)


def _finish(write: Write, records: Sequence[TrialRecord], numbers: dict[str, int]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "trial": numbers[record.arch_id],
            "state": record.state,
            "violation": record.violation,
            "wall_s": record.wall_s,
        }
        for record in records
    ]
    if rows:
        finishing = update(trials).where(
            trials.c.study_id == write.study.id, trials.c.number == bindparam("trial")
        )
        shared = {
            "finished": write.now,
            "finished_revision": write.study.revision,
            "revision": write.study.revision,
        }
        write.connection.execute(finishing, [{**row, **shared} for row in rows])


def _store_metrics(write: Write, records: Sequence[TrialRecord], numbers: dict[str, int]) -> None:
    found = [
        (numbers[record.arch_id], name, metric)
        for record in records
        for name, metric in record.metrics.items()
    ]
    insert_rows(write.connection, metrics, measures.rows(write, SEARCH, found))


def _count(write: Write, fresh: Sequence[TrialRecord], finished: Sequence[TrialRecord]) -> None:
    counts: dict[str, Any] = {
        "n_trials": write.study.n_trials + len(fresh),
        "n_complete": write.study.n_complete + sum(record.state == "complete" for record in finished),
        "generation": max([write.study.generation, *(record.generation for record in fresh)]),
    }
    studies.change(write.connection, write.study.id, **counts)
    write.study = changed(write.study, **counts)


def _compete(write: Write, finished: Sequence[TrialRecord], numbers: dict[str, int]) -> None:
    front = fronts.load(write.connection, write.study) if write.front is None else write.front
    ordered = [numbers[record.arch_id] for record in finished]
    write.front = fronts.join(write.connection, write.study, front, ordered, finished, write.study.generation)
