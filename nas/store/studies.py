"""Rows of studies, and the turn-taking of their writers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, insert, inspect, select, update
from sqlalchemy.exc import IntegrityError

from nas.errors import NasError, unknown
from nas.shell import command_line
from nas.store.engine import named
from nas.store.failures import DAMAGE, Unreadable, reason
from nas.store.leases import FIELDS, Lease, of_row
from nas.store.models import leases, metadata, studies
from nas.store.records import Objective, StudyMark, StudyRow, StudyState

STATES: tuple[str, ...] = tuple(state for state in get_args(StudyState) if state != "lost")
OLDER = "nas_older"
"""Execution option of connections to a storage whose tables are older than this code."""
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
        raise NasError(taken(name, named(connection.engine.url))) from None
    return by_name(connection, name)


def taken(name: str, storage: str | None) -> str:
    """That there is a study of that name already, and the ways out.

    Args:
        storage: its URL; None where it is the default, so that the command that is named needs none.
    """
    return (
        f"the study {name!r} exists already: --resume continues it, --study-name OTHER starts another one, "
        f"{command_line(['nas', 'study', 'delete'], [name], storage)} makes room."
    )


def by_name(connection: Connection, name: str) -> StudyRow:
    """The study of that name.

    Raises:
        NasError: there is none; lists those there are. Or its row is damaged.
    """
    study = _one(connection, studies.c.name == name, f"study {name!r}")
    if study is None:
        names = connection.execute(select(studies.c.name)).scalars()
        raise NasError(unknown("study", name, names))
    return study


def by_id(connection: Connection, study_id: int) -> StudyRow:
    """The study with that key.

    Raises:
        NasError: there is none, or its row is damaged.
    """
    study = _one(connection, studies.c.id == study_id, f"study number {study_id}")
    if study is None:
        raise NasError(f"there is no study with the id {study_id}.")
    return study


def listing(connection: Connection) -> tuple[list[StudyRow], list[str]]:
    """Every study that can be read, oldest first, and what is wrong with those that cannot."""
    try:
        rows = connection.execute(joined(connection).order_by(studies.c.id)).all()
        return [_row(row) for row in rows], []
    except DAMAGE:
        return _one_by_one(connection)


def _one_by_one(connection: Connection) -> tuple[list[StudyRow], list[str]]:
    whole, damaged = [], []
    for study_id, name in connection.execute(
        select(studies.c.id, studies.c.name).order_by(studies.c.id)
    ).all():
        try:
            study = _one(connection, studies.c.id == study_id, f"study {name!r}")
        except NasError as error:
            damaged.append(str(error))
            continue
        whole += [] if study is None else [study]
    return whole, damaged


def marks(connection: Connection) -> list[StudyMark]:
    """What changes with each study that can be read, oldest first."""
    return [
        StudyMark(row.id, row.name, row.created, row.epoch, row.revision, row.state)
        for row in listing(connection)[0]
    ]


def names(connection: Connection) -> list[str]:
    """Every study's name, oldest first."""
    return [str(name) for name in connection.execute(select(studies.c.name).order_by(studies.c.id)).scalars()]


def name_of(connection: Connection, study_id: int) -> str:
    """A study's name by its key, whatever else of its row can be read."""
    return str(connection.execute(select(studies.c.name).where(studies.c.id == study_id)).scalar())


def key_of(connection: Connection, name: str) -> int:
    """Key of the study of that name, whatever else of its row can be read.

    Raises:
        NasError: there is none; lists those there are.
    """
    found = connection.execute(select(studies.c.id).where(studies.c.name == name)).scalar()
    if found is None:
        names = connection.execute(select(studies.c.name)).scalars()
        raise NasError(unknown("study", name, names))
    return int(found)


def runner(connection: Connection, study_id: int) -> Lease | None:
    """The process that runs a study and is alive."""
    columns = [leases.c[key].label(f"lease_{key}") for key in FIELDS]
    row = connection.execute(select(*columns).where(leases.c.study_id == study_id)).one_or_none()
    lease = None if row is None else of_row(dict(row._mapping))
    return lease if lease is not None and lease.is_alive() else None


def remove(connection: Connection, study_id: int) -> None:
    """Delete a study with all that belongs to it."""
    for table in reversed(metadata.sorted_tables):
        if "study_id" in table.c:  # databases that check no foreign keys cascade nothing
            connection.execute(delete(table).where(table.c.study_id == study_id))
    connection.execute(delete(studies).where(studies.c.id == study_id))


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


def joined(connection: Connection) -> Select[Any]:
    """Studies, each beside its lease."""
    if connection.get_execution_options().get(OLDER) and not inspect(connection).has_table(leases.name):
        return select(studies)
    beside = [leases.c[key].label(f"lease_{key}") for key in FIELDS]
    return select(studies, *beside).join_from(studies, leases, isouter=True)


def _one(connection: Connection, condition: ColumnElement[bool], what: str) -> StudyRow | None:
    try:
        row = connection.execute(joined(connection).where(condition)).one_or_none()
        return None if row is None else _row(row)
    except DAMAGE as error:
        raise Unreadable(
            f"the row of {what} is damaged ({reason(error)}). Put back a copy of the storage from before, or remove "
            "the study: nas study delete NAME."
        ) from None


def _row(row: Row[Any]) -> StudyRow:
    columns = dict(row._mapping)
    lease = of_row(columns)
    study: StudyRow = _reading().validate_python({**columns, "runner": None})
    if study.state != "running":
        return study
    alive = lease is not None and lease.is_alive()
    return replace(study, state="running" if alive else "lost", runner=lease)


@cache
def _reading() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(StudyRow)
