"""Tables as text: the cells of a CSV file, and on which line each row stands."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nas.errors import NasError, unknown
from nas.measured.problems import Problems

MOST_BYTES = 1 << 30
_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_PICKLES = (".pickle", ".pkl", ".pth", ".pt", ".npy", ".npz")
_SHEETS = (".xlsx", ".xls", ".ods")


@dataclass(frozen=True)
class Sheet:
    """Cells of a table, all of them text without blanks around it.

    Attributes:
        path: the file.
        heads: names of the columns.
        rows: cells of each row, as many as there are heads.
        lines: on which line of the file each row ends.
    """

    path: Path
    heads: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _at(self) -> dict[str, int]:
        return {head: index for index, head in enumerate(self.heads)}

    def __contains__(self, head: object) -> bool:
        return head in self._at

    def column(self, head: str) -> list[str]:
        """The cells of one column."""
        at = self._at[head]
        return [row[at] for row in self.rows]

    def need(self, head: str, others: Sequence[str], hint: str) -> None:
        """Nothing, where there is such a column.

        Args:
            others: columns that it cannot be meant instead.
            hint: how to name the right one.

        Raises:
            NasError: there is none.
        """
        if head not in self:
            known = [name for name in self.heads if name not in others]
            raise NasError(f"{self.path}: {unknown('column', head, known)} {hint}")


def read_sheet(path: Path) -> Sheet:
    """A CSV file, its first line the names of its columns; `.gz` is unpacked.

    Raises:
        NasError: no such file, no text, no table, or rows of another length than the first, all of them listed.
    """
    text = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""))
    problems = Problems(path)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        heads = _heads(path, next(reader, []))
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            if len(fields) != len(heads):
                problems.add(
                    reader.line_num, f"{len(fields)} values; the first line names {len(heads)} columns."
                )
            rows.append([field.strip() for field in fields])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise NasError(f"{path}:{reader.line_num}: not a CSV table: {error}.") from None
    problems.check()
    if not rows:
        raise NasError(f"{path}: the table has no rows.")
    return Sheet(path, heads, rows, lines)


def _heads(path: Path, fields: Sequence[str]) -> tuple[str, ...]:
    heads = tuple(field.strip() for field in fields)
    if not any(heads):
        raise NasError(f"{path}: the first line must name the columns, separated by commas; it is empty.")
    if len(heads) == 1:
        for separator, name in _SEPARATORS.items():
            if separator in heads[0]:
                raise NasError(f"{path}: its columns are separated by {name}; save it with commas.")
    twice = next((head for i, head in enumerate(heads) if head and head in heads[:i]), None)
    if twice is not None:
        raise NasError(f"{path}:1: two columns are named {twice!r}; each name may stand only once.")
    return heads


def _text(path: Path) -> str:
    if not path.exists():
        raise NasError(f"{path}: no such file.")
    if path.is_dir():
        raise NasError(f"{path}: this is a folder; a table is a CSV file.")
    if path.suffix.lower() in _PICKLES:
        raise NasError(
            f"{path}: a pickle may run code when it is read, so it is not. Write its numbers as CSV or JSON with the "
            "tool that made it; see docs/measured-tables.md."
        )
    if path.suffix.lower() in _SHEETS:
        raise NasError(f"{path}: a spreadsheet; save it as CSV.")
    try:
        data = _unpacked(path)
    except (OSError, EOFError, zlib.error) as error:
        raise NasError(f"{path}: cannot be read: {error}.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise NasError(f"{path}:{line}: byte {error.start} is not UTF-8 text.") from None


def _unpacked(path: Path) -> bytes:
    """The bytes of a file, unpacked where it is packed; read once, as a pipe can be."""
    with path.open("rb") as file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        with gzip.open(file) if packed else file as opened:
            data: bytes = opened.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(f"more than {MOST_BYTES >> 30} GiB")
    return data
