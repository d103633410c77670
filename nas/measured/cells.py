"""Numbers in cells: which cells say that nothing was measured, which are wrong, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from nas.measured.problems import Problems, listing
from nas.measured.sheet import Sheet
from nas.quantity import is_number

Floats = NDArray[np.float64]
ABSENT = frozenset(
    ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "-", "--", "–", "—", "?", "oom", "not measured")
)
NOT_TIMED = frozenset((-1.0, 0.0))
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")


@dataclass(frozen=True)
class Column:
    """Numbers of one column.

    Attributes:
        numbers: `(n,)`, NaN where nothing was measured.
        absent: rows without a number, by position.
        sheet: where it comes from.
        name: of the column.
    """

    numbers: Floats
    absent: tuple[int, ...]
    sheet: Sheet
    name: str

    def left_out(self) -> list[str]:
        """One line on the rows that are left out, if there are any."""
        return told_absent(self.sheet, self.name, self.absent)


def is_absent(text: str) -> bool:
    """Whether a cell says that there is no value: empty, `NA`, `-`, `OOM`, …"""
    return text.strip().lower() in ABSENT


def told_absent(sheet: Sheet, name: str, rows: Iterable[int]) -> list[str]:
    """One line on rows without a value, if there are any."""
    at = list(rows)
    if not at:
        return []
    places = listing([f"row {sheet.lines[row]} ({sheet.column(name)[row] or 'empty'})" for row in at])
    return [
        f"{sheet.path}: {len(at):,} of {len(sheet):,} rows have no measured {name} and are left out: {places}"
    ]


def times_column(sheet: Sheet, name: str) -> Column:
    """Latencies in ms: above 0; `-1` and `0` stand for what was not measured, as published tables write it.

    Raises:
        ConfigError: cells that are neither, all of them; or no number at all.
    """
    problems = Problems(sheet.path)
    numbers: list[float] = []
    for line, text in zip(sheet.lines, sheet.column(name)):
        number = nan if is_absent(text) else number_of(text)
        if number is None:
            problems.cell(line, name, text, why_no_number(text, "a latency in ms above 0"))
        elif number in NOT_TIMED:
            number = nan
        elif number < 0:
            problems.cell(line, name, text, "is below 0; a latency is above 0 ms.")
        numbers.append(nan if number is None else number)
    problems.check()
    return finished(sheet, name, np.array(numbers))


def finished(sheet: Sheet, name: str, numbers: Floats) -> Column:
    """A column whose cells were all read.

    Raises:
        ConfigError: it holds no number at all.
    """
    absent = np.flatnonzero(np.isnan(numbers))
    if len(absent) == len(numbers):
        problems = Problems(sheet.path)
        problems.add(sheet.lines[0], f"{name}: none of the {len(numbers):,} rows has a value.")
        problems.check()
    return Column(numbers, tuple(absent.tolist()), sheet, name)


def number_of(text: str) -> float | None:
    """The number that a cell holds; None where it holds none that is finite."""
    return float(text) if is_number(text) else None


def why_no_number(text: str, wanted: str) -> str:
    """What is wrong with a cell that holds no finite number, and what would be right."""
    if _COMMA.fullmatch(text):
        return f"has a decimal comma; write {text.replace(',', '.')}."
    try:
        infinite = not isfinite(float(text))
    except ValueError:
        infinite = False
    if infinite:
        return f"is not finite; {wanted} is needed, or nothing where none was measured."
    return f"is no number; {wanted} is needed, or nothing where none was measured."
