"""Pairs of arch and latency: from a CSV file, or from what a study measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas.errors import NasError
from nas.latency.network_table import COLUMNS as NETWORK_COLUMNS
from nas.latency.network_table import NetworkTable
from nas.latency.report import DataFacts
from nas.latency.times import FloatArray
from nas.measured.archs import archs_of
from nas.measured.cells import times_column
from nas.measured.sheet import Sheet
from nas.measured.sources import read_source
from nas.space.batch import ArchBatch
from nas.space.space import Space

if TYPE_CHECKING:
    from nas.store import Storage

LATENCY_COLUMN = "latency_ms"


@dataclass(frozen=True)
class Pairs:
    """Archs and their latencies.

    Attributes:
        batch: archs, `n`.
        ms: their latencies in ms, shape `(n,)`.
        data: where they come from.
        outside: archs that were left out, because they lie outside the space's ranges.
        notes: how the file was read, one line each: what was left out.
    """

    batch: ArchBatch
    ms: FloatArray
    data: DataFacts
    outside: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.batch)

    def stated(self, **facts: str) -> Pairs:
        """The same pairs with these facts (`source`, `licence`) about where they come from."""
        return replace(self, data=self.data.model_copy(update=facts))


def pairs_from_csv(space: Space, path: str | Path, *, column: str = LATENCY_COLUMN) -> Pairs:
    """Pairs from a table of timed networks (`networks.csv`), or a CSV with one column per decision; see `nas.measured`.

    Args:
        space: of the archs.
        path: the file; `.gz` is unpacked.
        column: with one column per decision: the column with latencies in ms. Rows that say that none was
            measured are left out, as are archs that break a rule of the space; the pairs' notes say so.

    Raises:
        NasError: no such file or column, an arch outside the space, or no pair at all.
    """
    path = Path(path)
    sheet = read_source(path)
    timed_networks = sheet.heads == NETWORK_COLUMNS
    pairs = _networks(space, path) if timed_networks else _columns(space, sheet, column)
    if not len(pairs):
        raise NasError(f"{path}: has no latency of an arch of {space.name!r}.")
    return pairs


def known_elsewhere(
    pairs: Pairs, places: Sequence[str], *, column: str = LATENCY_COLUMN
) -> dict[str, FloatArray]:
    """Latencies of the same archs on other devices in ms, `(n,)` each, by the file's name, `#COLUMN` included.

    Args:
        pairs: whose archs are looked up.
        places: CSV files as `pairs_from_csv` takes them, `FILE` or `FILE#COLUMN`; each is one device.
        column: with ms, where a place names none.

    Raises:
        NasError: a file is missing or wrong, lacks an arch, or is named twice.
    """
    found: dict[str, FloatArray] = {}
    for place in places:
        file, _, own = place.partition("#")
        path = Path(file)
        device = path.name.partition(".")[0] + (f"#{own}" if own else "")
        if device in found:
            raise NasError(f"{place}: {device!r} is given twice; other devices need names of their own.")
        found[device] = _looked_up(pairs, pairs_from_csv(pairs.batch.space, path, column=own or column), path)
    return found


def _looked_up(pairs: Pairs, known: Pairs, path: Path) -> FloatArray:
    at = {arch_id: index for index, arch_id in enumerate(known.batch.ids)}
    missing = [index for index, arch_id in enumerate(pairs.batch.ids) if arch_id not in at]
    if missing:
        first = ", ".join(f"{name} = {value}" for name, value in pairs.batch[missing[0]].values.items())
        raise NasError(
            f"{path}: has no latency of {len(missing)} of the {len(pairs)} archs, the first with {first}. What is "
            f"transferred needs each arch's latency there too."
        )
    return known.ms[[at[arch_id] for arch_id in pairs.batch.ids]]


def pairs_from_study(storage: Storage, study: str, space: Space, *, metric: str = "latency") -> Pairs:
    """The archs of a study whose latency was measured, in whatever stage; a later stage's replaces an earlier one's.

    Raises:
        NasError: no such study, another space, or nothing measured.
    """
    row = storage.study(study)
    if row.space_hash != space.hash:
        raise NasError(
            f"the study {study!r} searched {row.space!r}, which is not {space.name!r} as it is now."
        )
    archs, ms = [], []
    for trial in storage.trials(row.id):
        measured = [
            item.metric
            for item in trial.stored
            if item.name == metric and item.metric.provenance == "measured" and item.metric.unit == "ms"
        ]
        if measured and np.isfinite(measured[-1].value):
            archs.append(trial.arch)
            ms.append(measured[-1].value)
    if not archs:
        raise NasError(
            f"the study {study!r} has no measured {metric!r} in ms; time its archs on the device first."
        )
    facts = DataFacts(
        file=study, sha256="", source=f"study {study}", licence="the user's own", units=len(archs)
    )
    return Pairs(space.encode(archs), np.array(ms), facts)


def _networks(space: Space, path: Path) -> Pairs:
    archs, times = NetworkTable.read(path).of(space)
    inside = [index for index, arch in enumerate(archs) if space.contains(arch)]
    batch = space.encode([archs[index] for index in inside])
    return Pairs(batch, times.ms[inside], _facts(path, len(inside)), outside=len(archs) - len(inside))


def _columns(space: Space, sheet: Sheet, column: str) -> Pairs:
    sheet.need(column, tuple(space.index), "Name the one with the latencies in ms.")
    rows = archs_of(sheet, space)
    times = times_column(sheet, column)
    ms = times.numbers[rows.kept]
    there = np.flatnonzero(~np.isnan(ms))
    notes = (*times.left_out(), *rows.left_out())
    return Pairs(rows.batch[there], ms[there], _facts(sheet.path, len(there)), notes=notes)


def _facts(path: Path, count: int) -> DataFacts:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return DataFacts(file=path.name, sha256=digest, source="not stated", licence="not stated", units=count)
