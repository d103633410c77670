"""Tables of measured architectures: a CSV with one column per decision and one per metric."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError, unknown
from nas.space.batch import ArchBatch
from nas.space.space import Space

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredTable:
    """Values of one metric by architecture.

    Attributes:
        detail: file and column, for the metric's provenance.
    """

    hashes: NDArray[np.uint64]
    numbers: Floats
    detail: str

    def values(self, batch: ArchBatch) -> Floats:
        """The table's value of each arch, `(n,)`; NaN where it has none."""
        position = np.searchsorted(self.hashes, batch.hashes)
        position = np.minimum(position, len(self.hashes) - 1)
        return np.where(self.hashes[position] == batch.hashes, self.numbers[position], np.nan)


def read_table(text: str, space: Space, *, metric: str, percent: bool = False) -> MeasuredTable:
    """`table:FILE.csv` or `table:FILE.csv#COLUMN`; the column is the metric's name by default.

    Args:
        percent: numbers above 1 are percentages and are divided by 100.

    Raises:
        NasError: no such file or column, a decision without a column, or an architecture that is not one.
    """
    place, _, column = text.removeprefix("table:").partition("#")
    column = column or metric
    frame = _frame(Path(place))
    missing = [d.name for d in space.decisions if d.name not in frame.columns]
    if missing:
        raise NasError(
            f"{place}: no column for the decision {missing[0]!r}; one column per decision is needed."
        )
    if column not in frame.columns:
        known = [name for name in frame.columns if name not in space.index]
        raise NasError(f"{place}: {unknown('column', column, known)} Name one with {place}#COLUMN.")
    batch = _archs(frame, space, place)
    numbers = np.asarray(frame[column], dtype=np.float64)
    if percent and np.nanmax(numbers) > 1.0:
        numbers = numbers / 100.0
    hashes = batch.hashes
    order = np.argsort(hashes, kind="stable")
    if len(np.unique(hashes)) != len(hashes):
        raise NasError(f"{place}: some architectures stand in more than one row.")
    return MeasuredTable(hashes[order], numbers[order], f"{Path(place).name}#{column}")


def _frame(path: Path) -> Any:
    import pandas

    if not path.is_file():
        raise NasError(f"{path}: no such table.")
    try:
        return pandas.read_csv(path, keep_default_na=False, na_values=[""])
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise NasError(f"{path}: not a CSV table: {error}.") from None


def _archs(frame: Any, space: Space, place: str) -> ArchBatch:
    columns = []
    for decision in space.decisions:
        codes = [decision.code(value) for value in frame[decision.name].tolist()]
        if None in codes:
            row = codes.index(None)
            allowed = ", ".join(str(value) for value in decision.values)
            raise NasError(
                f"{place}:{row + 2}: {decision.name} = {frame[decision.name].iloc[row]!r} is not one of {allowed}."
            )
        columns.append(codes)
    return space.decode(np.array(columns, dtype=np.int16).T)
