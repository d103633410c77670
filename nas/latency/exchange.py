"""What a device knows as one CSV file, and such files read back as tables.

    signature,ms,low_ms,high_ms,provenance,level,spread_ms,runs,source

The last three are those of the device's table and empty for predictions. Only times that were measured or published
are read back: a table holds no predictions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.errors import ConfigError, NasError, unknown
from nas.latency.coverage import known_units
from nas.latency.device import Device
from nas.latency.rows import IntArray
from nas.latency.signature import format_signature, parse_signature, sizes_of
from nas.latency.table import COLUMNS as TABLE_COLUMNS
from nas.latency.table import (
    Entry,
    Key,
    LatencyTable,
    entry_fields,
    parse_entry,
    read_csv,
    says_untimed,
    write_csv,
)
from nas.latency.timed_units import LEVELS
from nas.measured.problems import Problems
from nas.metrics import PROVENANCES
from nas.space.space import Space

COLUMNS = ("signature", "ms", "low_ms", "high_ms", "provenance", "level", "spread_ms", "runs", "source")
_TABLED = ("measured", "table")


@dataclass(frozen=True)
class Read:
    """Times of a CSV file.

    Attributes:
        table: those that were measured or published.
        left_out: how many lines were predicted or estimated.
        untimed: lines that say that nothing was timed, left out as well.
    """

    table: LatencyTable
    left_out: int
    untimed: tuple[int, ...] = ()


def export(device: Device, path: Path, space: Space | None) -> int:
    """Write all a device knows as one CSV file; returns its lines.

    Args:
        device: to export.
        path: file to write.
        space: whose units are added to those of its table.

    Raises:
        NasError: neither a table nor a space.
    """
    rows: dict[str, list[IntArray]] = {}
    if device.table:
        rows = {kind: [device.table.rows(kind)] for kind in device.table.kinds}
    for known in known_units(device.units, space) if space else ():
        timed = known.levels != LEVELS.index("unknown")
        rows.setdefault(known.kind, []).append(known.rows[timed])
    if not rows:
        raise NasError(f"device {device.name!r} has no table; give --space to export what it predicts.")
    lines = [line for kind in sorted(rows) for line in _lines(device, kind, np.concatenate(rows[kind]))]
    write_csv(path, COLUMNS, lines)
    return len(lines)


def read_exported(path: Path) -> Read:
    """The measured and published times of a file that `export` wrote, or of a `table.csv`.

    Raises:
        ConfigError: no such file, another first line, a wrong line, or a unit that stands twice.
        NasError: predictions only.
    """
    untimed: list[int] = []
    if _first_line(path) == ",".join(TABLE_COLUMNS):
        table = LatencyTable.read(path, untimed=untimed)
        return Read(table, 0, tuple(untimed))
    entries: dict[Key, Entry] = {}
    left_out = 0
    problems = Problems(path)
    for line, (signature, ms, _, _, provenance, level, *rest) in read_csv(path, COLUMNS, problems):
        if says_untimed(ms):
            untimed.append(line)
            continue
        with problems.at(line):
            key = parse_signature(signature)
            if level not in LEVELS:
                raise NasError(unknown("level", level, LEVELS))
            if level not in _TABLED:
                left_out += 1
                continue
            if key in entries:
                raise NasError(f"{signature!r} stands twice; each signature may stand only once.")
            spread, runs, source = rest
            entries[key] = parse_entry([ms, spread, runs, provenance, source])
    problems.check()
    if not entries:
        if not left_out:
            raise NasError(f"{path}: no line has a time; -1, 0, NA and the like say that nothing was timed.")
        raise NasError(
            f"{path}: all {left_out} times are predictions; a table holds measured and published ones."
        )
    return Read(LatencyTable(entries), left_out, tuple(untimed))


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read as UTF-8 text: {error}", path=path) from None


def _lines(device: Device, kind: str, rows: IntArray) -> Iterable[list[str]]:
    rows = np.unique(rows, axis=0)
    times, levels = device.unit_times(kind, sizes_of(kind, rows)), device.units.levels(kind, rows)
    for row, ms, low, high, code, level in zip(
        rows, times.ms, times.low, times.high, times.provenance, levels, strict=True
    ):
        values, rest = [f"{value:.6g}" for value in (ms, low, high)], ["", "", ""]
        if device.table and LEVELS[level] in _TABLED:
            # The time itself unrounded, so that it is the same when it is read back.
            values[0], *spread_and_runs, _, source = entry_fields(device.table[kind, tuple(row.tolist())])
            rest = [*spread_and_runs, source]
        yield [format_signature(kind, row), *values, PROVENANCES[code], LEVELS[level], *rest]
