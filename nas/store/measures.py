"""Metrics of trials: what is the same for many stands once, in a kind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from nas.errors import NasError
from nas.metrics import PROVENANCES, Metric, Provenance
from nas.store.models import metric_kinds, metrics, trials
from nas.store.records import SEARCH
from nas.store.writing import Write, replace

RESERVED = ("number", "arch_id", "generation", "state", "violation", "wall_s", "revision")
"""Columns of a frame that no metric may be named after."""
_CHUNK = 500  # values of one IN (...)


@dataclass(frozen=True)
class Kind:
    """What metrics of one kind have in common; `detail` unless a metric says otherwise."""

    id: int
    name: str
    unit: str
    provenance: Provenance
    stage: str
    detail: str


def kinds(connection: Connection, study_id: int) -> list[Kind]:
    """Every kind of metric a study has.

    Raises:
        ValueError: one that no version has written.
    """
    table = metric_kinds.c
    columns = (table.id, table.name, table.unit, table.provenance, table.stage, table.detail)
    query = select(*columns).where(table.study_id == study_id).order_by(table.id)
    found = [Kind(*row) for row in connection.execute(query)]
    for kind in found:
        if kind.provenance not in PROVENANCES:
            raise ValueError(f"provenance {kind.provenance!r} of metric {kind.name!r}")
    return found


def rows(write: Write, stage: str, found: Iterable[tuple[int, str, Metric]]) -> list[dict[str, Any]]:
    """Rows for (trial number, metric name, metric); makes the kinds that are new.

    Raises:
        NasError: a name that is reserved, an unknown provenance, or a unit that differs from the
            one the metric has in this study.
    """
    known = {
        (kind.name, kind.provenance): kind
        for kind in kinds(write.connection, write.study.id)
        if kind.stage == stage
    }
    made = []
    for number, name, metric in found:
        kind = known.get((name, metric.provenance))
        if kind is None:
            kind = known[name, metric.provenance] = _make(write, stage, name, metric)
        if kind.unit != metric.unit:
            raise NasError(f"metric {name!r} is stored in {kind.unit!r} here, not in {metric.unit!r}.")
        made.append(
            {
                "study_id": write.study.id,
                "number": number,
                "kind_id": kind.id,
                "value": _number(metric.value),
                "low": _number(metric.low),
                "high": _number(metric.high),
                "detail": None if metric.detail == kind.detail else metric.detail,
            }
        )
    return made


def add(write: Write, stage: str, found: Mapping[int, Mapping[str, Metric]]) -> None:
    """Add metrics of a later stage to trials; one of equal name and provenance is replaced.

    Raises:
        NasError: the stage of the search, or a trial that is not there.
    """
    if stage == SEARCH or not stage:
        raise NasError(f"metrics of the stage {SEARCH!r} come with their trial; name another stage.")
    missing = set(found) - _present(write, sorted(found))
    if missing:
        raise NasError(f"study {write.study.name!r} has no trial {min(missing)}.")
    flat = [(number, name, metric) for number, named in found.items() for name, metric in named.items()]
    replace(write.connection, metrics, ("study_id", "number", "kind_id"), rows(write, stage, flat))
    for numbers in chunks(sorted(found)):
        touched = update(trials).where(trials.c.study_id == write.study.id, trials.c.number.in_(numbers))
        write.connection.execute(touched.values(revision=write.study.revision))


def value(stored: float | None) -> float:
    """A stored value; NULL is NaN, because SQLite has none.

    Raises:
        ValueError: no number, which SQLite would store in any column.
    """
    number = bound(stored)
    return math.nan if number is None else number


def bound(stored: float | None) -> float | None:
    """An end of a stored interval.

    Raises:
        ValueError: no number.
    """
    if stored is not None and not isinstance(stored, (int, float)):
        raise ValueError(f"{str(stored)[:40]!r} is no number")
    return stored


def chunks(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Parts that are short enough for one statement."""
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


def _present(write: Write, numbers: Sequence[int]) -> set[int]:
    present: set[int] = set()
    for part in chunks(numbers):
        query = select(trials.c.number).where(trials.c.study_id == write.study.id, trials.c.number.in_(part))
        present.update(write.connection.execute(query).scalars())
    return present


def _make(write: Write, stage: str, name: str, metric: Metric) -> Kind:
    if name in RESERVED or not name:
        raise NasError(f"a metric cannot be named {name!r}.")
    if metric.provenance not in PROVENANCES:
        raise NasError(
            f"metric {name!r}: provenance {metric.provenance!r} is none of {', '.join(PROVENANCES)}."
        )
    for kind in kinds(write.connection, write.study.id):
        if kind.name == name and kind.unit != metric.unit:
            raise NasError(f"metric {name!r} is stored in {kind.unit!r} here, not in {metric.unit!r}.")
    row = {
        "study_id": write.study.id,
        "name": name,
        "unit": metric.unit,
        "provenance": metric.provenance,
        "stage": stage,
        "detail": metric.detail,
    }
    made = write.connection.execute(insert(metric_kinds).values(row))
    key = made.inserted_primary_key
    assert key is not None
    return Kind(key[0], name, metric.unit, metric.provenance, stage, metric.detail)


def _number(given: float | None) -> float | None:
    return None if given is None or math.isnan(given) else float(given)
