"""Rows as CSV files, which appear whole or not at all."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from nas.errors import NasError
from nas.files import write_atomically

PERCENT = 100.0
Row = Mapping[str, object]
Cells = dict[str, str]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows that have the same columns; fractions with six digits, NaN as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(list(rows[0]))
    writer.writerows([[_shown(value) for value in row.values()] for row in rows])
    write_atomically(path, text.getvalue())


def write_table(folder: Path, name: str, rows: Sequence[Row]) -> None:
    """`NAME.csv` for programs and `NAME.md` for people, the same rows."""
    write_rows(folder / f"{name}.csv", rows)
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_shown(row[column]) for column in columns) + " |" for row in rows]
    write_atomically(folder / f"{name}.md", "\n".join(lines) + "\n")


def read_rows(path: Path) -> list[Cells]:
    """Rows as text by column.

    Raises:
        NasError: there is no such file.
    """
    if not path.is_file():
        raise NasError(f"{path}: no such file; it is written when the study has been run.")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)
