"""Tables of measured architectures: a CSV with one column per decision and one per metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.measured.archs import archs_of
from nas.measured.cells import Column, times_column
from nas.measured.sheet import Sheet
from nas.measured.sources import read_source
from nas.measured.units import accuracies_column
from nas.space.batch import ArchBatch
from nas.space.space import Space

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredTable:
    """Values of one metric by architecture.

    Attributes:
        hashes, numbers, codes: of the architectures it knows, by ascending hash.
        detail: file and column, for the metric's provenance.
        notes: how it was read, one line each: the unit, and what was left out.
    """

    hashes: NDArray[np.uint64]
    numbers: Floats
    detail: str
    codes: NDArray[np.int16] = field(repr=False)
    notes: tuple[str, ...] = ()

    def values(self, batch: ArchBatch) -> Floats:
        """The table's value of each arch, `(n,)`; NaN where it has none."""
        position = np.searchsorted(self.hashes, batch.hashes)
        position = np.minimum(position, len(self.hashes) - 1)
        return np.where(self.hashes[position] == batch.hashes, self.numbers[position], np.nan)

    def known(self, space: Space) -> ArchBatch:
        """The architectures of the space that it has a value of."""
        return ArchBatch(space, self.codes)


def read_table(text: str, space: Space, *, metric: str, percent: bool = False) -> MeasuredTable:
    """`table:FILE.csv` or `table:FILE.csv#COLUMN`; the column is the metric's name by default.

    Rows that say that nothing was measured, and architectures that break a rule of the space, are left out.

    Args:
        percent: an accuracy: in percent or a fraction, as most values say.

    Raises:
        NasError: no such file or column, a decision without a column, or wrong cells: all of them.
    """
    place, _, name = text.removeprefix("table:").partition("#")
    sheet = read_source(Path(place))
    name = name or metric
    sheet.need(name, tuple(space.index), f"Name one with {place}#COLUMN.")
    rows = archs_of(sheet, space)
    rows.refuse_twins()
    column, notes = _column(sheet, name, percent)
    numbers = column.numbers[rows.kept]
    there = np.flatnonzero(~np.isnan(numbers))
    if not len(there):
        raise NasError(f"{place}: {name} has no value of an architecture of the space {space.name!r}.")
    batch = rows.batch[there]
    order = np.argsort(batch.hashes, kind="stable")
    return MeasuredTable(
        batch.hashes[order],
        numbers[there][order],
        f"{Path(place).name}#{name}",
        batch.codes[order],
        (*notes, *rows.left_out()),
    )


def common(tables: Sequence[MeasuredTable], space: Space) -> ArchBatch | None:
    """The architectures that every table has a value of; None where that is all of the space, or there is no table.

    Raises:
        NasError: there is none.
    """
    if not tables:
        return None
    known = tables[0].known(space)
    for table in tables[1:]:
        known = known[np.flatnonzero(~np.isnan(table.values(known)))]
    if not len(known):
        named = " and ".join(table.detail for table in tables)
        raise NasError(f"{named} know no architecture in common, so none could be evaluated.")
    size, exact = space.size()
    return None if exact and len(known) == size else known


def _column(sheet: Sheet, name: str, percent: bool) -> tuple[Column, list[str]]:
    if percent:
        read = accuracies_column(sheet, name)
        return read.column, read.lines()
    column = times_column(sheet, name)
    return column, column.left_out()
