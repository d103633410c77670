"""What one commit to a study works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, delete, insert

from nas.store.fronts import Front
from nas.store.records import StudyRow


@dataclass
class Write:
    """An open transaction that holds the study's row.

    Attributes:
        study: as it will be after the commit, its new revision included.
        front: the current front, where it is known without reading it.
    """

    connection: Connection
    study: StudyRow
    now: datetime
    front: Front | None = None


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows in few statements."""
    if not rows:
        return
    statement = insert(table)
    if connection.dialect.name == "postgresql":
        # only with RETURNING does SQLAlchemy send many rows as one statement, here 5x as fast
        connection.execute(statement.returning(*table.primary_key), list(rows)).close()
    else:
        connection.execute(statement, list(rows))


def replace(
    connection: Connection, table: Table, keys: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows, taking out those with equal keys first; the same SQL on every database."""
    if not rows:
        return
    matching = and_(*(table.c[key] == bindparam(f"key_{key}") for key in keys))
    connection.execute(
        delete(table).where(matching), [{f"key_{key}": row[key] for key in keys} for row in rows]
    )
    insert_rows(connection, table, rows)
