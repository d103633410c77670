"""Latency tables: signature → median, spread, runs, how it was obtained.

A table is a CSV file a person can read and diff, sorted by kind and sizes:

    signature,median_ms,spread_ms,runs,provenance,source
    ffn h=8 w=8 channels=64 hidden=128 act=hard_swish norm=layer_norm,0.1043,0.002,50,measured,host 2026-03-01

`spread_ms` is half the width of the interval that holds 90 % of the runs. It and `runs` are empty where the
source does not state them.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from nas import cache
from nas.errors import ConfigError, NasError, unknown
from nas.files import write_atomically
from nas.latency.rows import IntArray, RowIndex
from nas.latency.signature import format_signature, parse_signature
from nas.latency.times import CODES, UnitTimes
from nas.measured.cells import NOT_TIMED, is_absent, number_of
from nas.measured.problems import Problems

ENTRY_COLUMNS = ("median_ms", "spread_ms", "runs", "provenance", "source")
COLUMNS = ("signature", *ENTRY_COLUMNS)
TableProvenance = Literal["measured", "table"]
_PROVENANCES: tuple[TableProvenance, ...] = ("measured", "table")
_DIGITS = 19
Key = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Entry:
    """One timed unit or network.

    Attributes:
        median_ms: median time in ms, above 0.
        provenance: `measured` by this tool, or `table`: published by others.
        source: where the number comes from.
        spread_ms: half the width of the interval holding 90 % of the runs, in ms; None if not stated.
        runs: number of timed runs; None if not stated.
    """

    median_ms: float
    provenance: TableProvenance
    source: str
    spread_ms: float | None = None
    runs: int | None = None

    @property
    def rank(self) -> tuple[bool, int]:
        """What is worth more when two tables disagree: measured before published, then more runs."""
        return self.provenance == "measured", self.runs or 0


class LatencyTable:
    """Times of units by signature; immutable."""

    def __init__(self, entries: dict[Key, Entry]) -> None:
        self._entries = dict(sorted(entries.items()))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __getitem__(self, key: Key) -> Entry:
        return self._entries[key]

    def items(self) -> Iterable[tuple[Key, Entry]]:
        """Keys and entries, sorted by kind and sizes."""
        return self._entries.items()

    @property
    def kinds(self) -> list[str]:
        """Kinds of unit it has times of, sorted."""
        return sorted({kind for kind, _ in self._entries})

    def rows(self, kind: str) -> IntArray:
        """Sizes of all its units of one kind, shape `(n, k)`, sorted."""
        return self._columns[kind][0]

    def times(self, kind: str) -> UnitTimes:
        """Times of all its units of one kind, in the order of `rows`."""
        return self._columns[kind][1]

    def lookup(self, kind: str, rows: IntArray) -> tuple[NDArray[np.bool_], UnitTimes]:
        """Which of `rows` (shape `(n, k)`) it knows, shape `(n,)`, and the times of those it knows."""
        if kind not in self._columns:
            return np.zeros(len(rows), dtype=bool), UnitTimes.exact(np.zeros(0), "table")
        at = self._index[kind].find(rows)
        return at >= 0, self.times(kind).take(at[at >= 0])

    def merge(self, other: LatencyTable) -> LatencyTable:
        """Both tables' units; where both know one, the measured, the more often run, else `other`'s entry."""
        entries = dict(self._entries)
        for key, entry in other.items():
            if key not in entries or entry.rank >= entries[key].rank:
                entries[key] = entry
        return LatencyTable(entries)

    def write(self, path: str | Path) -> None:
        """Write the CSV file, atomically."""
        write_csv(path, COLUMNS, ([format_signature(*key), *entry_fields(e)] for key, e in self.items()))

    @classmethod
    def read(cls, path: str | Path, *, untimed: list[int] | None = None) -> Self:
        """Read and check a CSV file.

        Args:
            untimed: gets the lines that say that nothing was timed (`-1`, `NA`, …), which are left out then; None:
                they are wrong.

        Raises:
            ConfigError: no such file, not UTF-8, or wrong lines; names the file and the lines.
        """
        entries: dict[Key, Entry] = {}
        problems = Problems(Path(path))
        for line, fields in read_csv(path, COLUMNS, problems):
            if untimed is not None and says_untimed(fields[1]):
                untimed.append(line)
                continue
            with problems.at(line):
                key, entry = parse_signature(fields[0]), parse_entry(fields[1:])
                if key in entries:
                    raise NasError(f"{fields[0]!r} stands twice; each signature may stand only once.")
                entries[key] = entry
        problems.check()
        return cls(entries)

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits over all units and times: equal for tables that answer equally."""
        parts: list[str | bytes] = []
        for kind, (rows, times) in self._columns.items():
            parts += [kind, repr(rows.shape), rows.tobytes(), times.ms.tobytes(), times.provenance.tobytes()]
            parts += [times.low.tobytes(), times.high.tobytes()]
        return cache.digest(parts)

    @cached_property
    def _columns(self) -> dict[str, tuple[IntArray, UnitTimes]]:
        groups: dict[str, list[tuple[tuple[int, ...], Entry]]] = {}
        for (kind, row), entry in self._entries.items():
            groups.setdefault(kind, []).append((row, entry))
        return {
            kind: (np.array([row for row, _ in group], dtype=np.int64), times_of([e for _, e in group]))
            for kind, group in groups.items()
        }

    @cached_property
    def _index(self) -> dict[str, RowIndex]:
        return {kind: RowIndex(rows) for kind, (rows, _) in self._columns.items()}


def times_of(entries: Sequence[Entry]) -> UnitTimes:
    """Medians of `n` entries as times, the interval from their spread."""
    ms = np.array([entry.median_ms for entry in entries])
    spread = np.array([entry.spread_ms or 0.0 for entry in entries])
    codes = np.array([CODES[entry.provenance] for entry in entries], dtype=np.uint8)
    return UnitTimes(ms, codes, np.maximum(ms - spread, 0.0), ms + spread)


def write_csv(path: str | Path, columns: Sequence[str], records: Iterable[Sequence[str]]) -> None:
    """Write a CSV file with `columns` as its first line, atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(records)
    write_atomically(Path(path), text.getvalue())


def says_untimed(text: str) -> bool:
    """Whether a time says that there is none, as tables of others do: empty, `NA`, `-1`, `0`, …"""
    return is_absent(text) or number_of(text.strip()) in NOT_TIMED


def read_csv(path: str | Path, columns: Sequence[str], problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Number of its last line and fields of each record of a CSV file whose first line is `columns`.

    Args:
        problems: is told of records of another length.

    Raises:
        ConfigError: no such file, not UTF-8, no CSV, or another first line.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read as UTF-8 text: {error}", path=path) from None
    reader = csv.reader(io.StringIO(text))
    try:
        if next(reader, []) != list(columns):
            raise ConfigError(f"the first line must be {','.join(columns)}.", path=path, line=1)
        for fields in reader:
            if len(fields) == len(columns):
                yield reader.line_num, fields
            else:
                wanted = f"{len(columns)} are needed: {', '.join(columns)}."
                problems.add(reader.line_num, f"{len(fields)} values; {wanted}")
    except csv.Error as error:
        raise ConfigError(f"not a CSV table: {error}.", path=path, line=reader.line_num) from None


def entry_fields(entry: Entry) -> list[str]:
    """An entry as the fields `ENTRY_COLUMNS`."""
    spread = "" if entry.spread_ms is None else repr(entry.spread_ms)
    runs = "" if entry.runs is None else str(entry.runs)
    return [repr(entry.median_ms), spread, runs, entry.provenance, entry.source]


def parse_entry(fields: Sequence[str]) -> Entry:
    """The inverse of `entry_fields`.

    Raises:
        NasError: a field is wrong; says what would be right.
    """
    median, spread, runs, provenance, source = fields
    if provenance not in _PROVENANCES:
        raise NasError(unknown("provenance", provenance, _PROVENANCES))
    if runs and not (runs.isascii() and runs.isdigit() and len(runs) < _DIGITS and int(runs) > 0):
        raise NasError(f"runs is {runs!r}; a whole number from 1 on, or nothing, is needed.")
    return Entry(
        median_ms=_milliseconds("median_ms", median, allow_zero=False),
        provenance=provenance,
        source=source,
        spread_ms=_milliseconds("spread_ms", spread, allow_zero=True) if spread else None,
        runs=int(runs) if runs else None,
    )


def _milliseconds(name: str, text: str, allow_zero: bool) -> float:
    try:
        value = float(text)
    except ValueError:
        raise NasError(f"{name} is {text!r}; a number of milliseconds is needed.") from None
    if not math.isfinite(value) or value < 0 or (value == 0 and not allow_zero):
        raise NasError(f"{name} is {text}; a finite number {'from' if allow_zero else 'above'} 0 is needed.")
    return value
