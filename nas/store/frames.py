"""Trials as a pandas DataFrame, column by column.

Columns: `number`, `arch_id`, `generation`, `state`, `violation`, `wall_s`, `revision`; for each
metric of the search its name, for one of a later stage `STAGE.NAME` (with `[PROVENANCE]` behind it
where the stage has it in several); beside each of them `….provenance`, and `….low` and `….high`
where there are intervals; `arch.DECISION` for each decision. What a trial lacks is NaN or None.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Text, select, type_coerce

from nas.metrics import PROVENANCES
from nas.store import measures
from nas.store.columns import load_json
from nas.store.models import metrics, trials
from nas.store.records import SEARCH
from nas.store.trials import metrics_where

if TYPE_CHECKING:
    from pandas import DataFrame

_PART = 500  # rows at a time; few enough that the garbage collector stays quiet


def frame(connection: Connection, study_id: int, condition: ColumnElement[bool]) -> DataFrame:
    """The trials that meet a condition, by number."""
    import pandas as pd

    columns = _trial_columns(connection, study_id, condition)
    archs = columns.pop("arch")
    columns |= _metric_columns(connection, study_id, condition, columns["number"])
    columns |= _arch_columns(archs)
    return pd.DataFrame(columns)


def _trial_columns(connection: Connection, study_id: int, condition: ColumnElement[bool]) -> dict[str, Any]:
    table = trials.c
    query = select(
        table.number,
        table.arch_id,
        table.generation,
        table.state,
        table.violation,
        table.wall_s,
        table.revision,
        type_coerce(table.arch, Text).label("arch"),
    ).where(table.study_id == study_id, condition)
    found = connection.execute(query.order_by(table.number))
    names = list(found.keys())
    columns: dict[str, Any] = {name: [] for name in names}
    for part in found.partitions(_PART):
        for name, cells in zip(names, zip(*part, strict=True), strict=True):
            columns[name].extend(cells)
    for name in ("number", "generation", "revision"):
        columns[name] = np.array(columns[name], dtype=np.int64)
    for name in ("violation", "wall_s"):
        columns[name] = np.array(columns[name], dtype=np.float64)
    return columns


def _metric_columns(
    connection: Connection, study_id: int, condition: ColumnElement[bool], numbers: NDArray[np.int64]
) -> dict[str, Any]:
    table = metrics.c
    query = select(table.number, table.kind_id, table.value, table.low, table.high)
    found = connection.execute(query.where(metrics_where(study_id, condition)))
    parts = [np.array([tuple(row) for row in part], dtype=np.float64) for part in found.partitions(_PART)]
    cells = np.concatenate([np.empty((0, 5)), *parts])
    rows = np.searchsorted(numbers, cells[:, 0].astype(np.int64))
    columns: dict[str, Any] = {}
    for title, group in _titles(measures.kinds(connection, study_id)).items():
        mine = np.isin(cells[:, 1], [kind.id for kind in group])
        if mine.any():
            columns |= _one_metric(title, group, cells[mine, 1:], rows[mine], len(numbers))
    return columns


def _titles(kinds: Sequence[measures.Kind]) -> dict[str, list[measures.Kind]]:
    """Column title of each group of kinds; in the search a trial has each metric only once."""
    groups: dict[tuple[str, str], list[measures.Kind]] = {}
    for kind in kinds:
        groups.setdefault((kind.stage, kind.name), []).append(kind)
    titles = {}
    for (stage, name), group in groups.items():
        if stage == SEARCH:
            titles[name] = group
        elif len(group) == 1:
            titles[f"{stage}.{name}"] = group
        else:
            titles |= {f"{stage}.{name}[{kind.provenance}]": [kind] for kind in group}
    return titles


def _one_metric(
    title: str, group: Sequence[measures.Kind], cells: NDArray[np.float64], rows: NDArray[np.int64], n: int
) -> dict[str, Any]:
    import pandas as pd

    spread = np.full((3, n), np.nan)
    spread[:, rows] = cells[:, 1:].T
    codes = np.full(n, -1, dtype=np.int8)
    for kind in group:
        codes[rows[cells[:, 0] == kind.id]] = PROVENANCES.index(kind.provenance)
    columns = {title: spread[0], f"{title}.provenance": pd.Categorical.from_codes(codes, list(PROVENANCES))}
    if not np.isnan(spread[1:]).all():
        columns |= {f"{title}.low": spread[1], f"{title}.high": spread[2]}
    return columns


def _arch_columns(texts: Sequence[str]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for start in range(0, len(texts), _PART):
        archs = load_json(f"[{','.join(texts[start : start + _PART])}]")
        for name, cells in _by_decision(archs).items():
            before = columns.setdefault(name, [])
            before.extend([None] * (start - len(before)))
            before.extend(cells)
    return {f"arch.{name}": cells + [None] * (len(texts) - len(cells)) for name, cells in columns.items()}


def _by_decision(archs: Sequence[dict[str, Any]]) -> dict[str, Sequence[Any]]:
    layouts = dict.fromkeys(tuple(arch) for arch in archs)
    if len(layouts) == 1:  # as in every study of one space; ten times as fast
        return dict(zip(next(iter(layouts)), zip(*map(dict.values, archs), strict=True), strict=True))
    names = dict.fromkeys(chain.from_iterable(layouts))
    return {name: [arch.get(name) for arch in archs] for name in names}
