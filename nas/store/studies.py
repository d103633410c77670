"""Rows of studies, and the turn-taking of their writers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, get_args

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from nas.errors import NasError, unknown
from nas.store.models import studies
from nas.store.records import Objective, StudyMark, StudyRow, StudyState

STATES: tuple[str, ...] = get_args(StudyState)
_LONGEST = 200


def create(connection: Connection, name: str, **columns: Any) -> StudyRow:
    """Insert a new study.

    Raises:
        NasError: the name is taken, or cannot be one.
    """
    check_name(name)
    objectives: Sequence[Objective] = columns.pop("objectives")
    if not objectives or len({objective.name for objective in objectives}) < len(objectives):
        raise NasError(f"study {name!r}: needs one or more objectives with different names.")
    now = datetime.now(UTC)
    row = {
        "name": name,
        "state": "running",
        "created": now,
        "updated": now,
        "objectives": [asdict(objective) for objective in objectives],
        "n_trials": 0,
        "n_complete": 0,
        "generation": -1,
        "revision": 0,
        "epoch": 0,
        **columns,
    }
    try:
        connection.execute(insert(studies), [row])
    except IntegrityError:
        raise NasError(
            f"the study {name!r} exists already: --resume continues it,"
            " --study-name OTHER starts another one."
        ) from None
    return by_name(connection, name)


def by_name(connection: Connection, name: str) -> StudyRow:
    """The study of that name.

    Raises:
        NasError: there is none; lists those there are.
    """
    row = connection.execute(select(studies).where(studies.c.name == name)).one_or_none()
    if row is None:
        names = connection.execute(select(studies.c.name)).scalars()
        raise NasError(unknown("study", name, names))
    return _row(row)


def by_id(connection: Connection, study_id: int) -> StudyRow:
    """The study with that key.

    Raises:
        NasError: there is none.
    """
    row = connection.execute(select(studies).where(studies.c.id == study_id)).one_or_none()
    if row is None:
        raise NasError(f"there is no study with the id {study_id}.")
    return _row(row)


def listing(connection: Connection) -> list[StudyRow]:
    """Every study, oldest first."""
    return [_row(row) for row in connection.execute(select(studies).order_by(studies.c.id))]


def marks(connection: Connection) -> list[StudyMark]:
    """What changes with each study, oldest first."""
    columns = studies.c
    query = select(columns.id, columns.name, columns.created, columns.epoch, columns.revision)
    return [StudyMark(*row) for row in connection.execute(query.order_by(columns.id))]


def advance(connection: Connection, study_id: int, now: datetime) -> StudyRow:
    """Begin a write: count the revision up, which holds off other writers until the commit."""
    changed = update(studies).where(studies.c.id == study_id)
    connection.execute(changed.values(revision=studies.c.revision + 1, updated=now))
    return by_id(connection, study_id)


def change(connection: Connection, study_id: int, **columns: Any) -> None:
    """Set columns of one study."""
    connection.execute(update(studies).where(studies.c.id == study_id).values(**columns))


def with_reference(study: StudyRow, point: Mapping[str, float]) -> dict[str, float]:
    """The reference point to store; it may be set once, so that hypervolumes stay comparable.

    Raises:
        NasError: not one number per objective, or another point is stored already.
    """
    names = [objective.name for objective in study.objectives]
    if set(point) != set(names):
        raise NasError(f"a reference point needs a number for each of {', '.join(names)}, not {dict(point)}.")
    wanted = {name: float(point[name]) for name in names}
    if study.reference_point not in (None, wanted):
        raise NasError(
            f"study {study.name!r} has the reference point {study.reference_point}; a study keeps its"
            f" first one, so it cannot become {wanted}."
        )
    return wanted


def check_name(name: str) -> None:
    """Refuse what no study can be called.

    Raises:
        NasError: empty, too long, or with characters that cannot be shown.
    """
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise NasError(
            f"a study's name needs 1 to {_LONGEST} printable characters, not {name[:60]!r}"
            f" ({len(name)} characters)."
        )


def _row(row: Row[Any]) -> StudyRow:
    columns = dict(row._mapping)
    columns["objectives"] = tuple(Objective(**objective) for objective in columns["objectives"])
    return StudyRow(**columns)
