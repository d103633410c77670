"""Accuracies of a column: in percent or as fractions, as most of them say; never half of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import nan
from typing import Literal

import numpy as np

from nas.measured.cells import Column, finished, is_absent, number_of, why_no_number
from nas.measured.problems import Problems
from nas.measured.sheet import Sheet
from nas.quantity import fraction_of_percent

Unit = Literal["percent", "fraction"]
WANTED = "an accuracy from 0 to 100 % is needed, or nothing where none was measured."
_PERCENT_HEAD = re.compile(r"%|percent|pct", re.IGNORECASE)
_FRACTION_HEAD = re.compile(r"fraction|\[0[-–, ]+1\]", re.IGNORECASE)


@dataclass(frozen=True)
class Accuracies:
    """A column of accuracies as fractions.

    Attributes:
        unit: what the file has them in.
        why: what says so.
    """

    column: Column
    unit: Unit
    why: str

    def lines(self) -> list[str]:
        """What a person must know of how the column was read, one line each."""
        plural = "percent" if self.unit == "percent" else "fractions"
        place = f"{self.column.sheet.path}#{self.column.name}"
        return [f"{place}: accuracies read as {plural} ({self.why})", *self.column.left_out()]


def accuracies_column(sheet: Sheet, name: str) -> Accuracies:
    """Accuracies as fractions; a cell may end in `%`.

    Raises:
        ConfigError: cells that are no accuracy, or are in another unit than most; all of them.
    """
    problems = Problems(sheet.path)
    texts = sheet.column(name)
    plain: dict[int, str] = {}
    signed: dict[int, str] = {}
    for row, text in enumerate(texts):
        if is_absent(text):
            continue
        bare = text.removesuffix("%").rstrip()
        number = number_of(bare)
        if number is None:
            problems.cell(sheet.lines[row], name, text, why_no_number(bare, "an accuracy from 0 to 100 %"))
        elif not 0 <= number <= 100:
            problems.cell(sheet.lines[row], name, text, f"is impossible; {WANTED}")
        else:
            (signed if bare != text else plain)[row] = bare
    unit, why = _unit(name, list(plain.values()), bool(signed))
    for row, text in plain.items():
        message = _in_other_unit(text, unit, why)
        if message:
            problems.cell(sheet.lines[row], name, text, message)
    problems.check()
    numbers = np.full(len(texts), nan)
    for row, text in signed.items():
        numbers[row] = fraction_of_percent(text)
    for row, text in plain.items():
        numbers[row] = fraction_of_percent(text) if unit == "percent" else float(text)
    return Accuracies(finished(sheet, name, numbers), unit, why)


def _unit(name: str, texts: Sequence[str], signed: bool) -> tuple[Unit, str]:
    """The unit of cells without a sign, and what says so."""
    if _PERCENT_HEAD.search(name):
        return "percent", "the column's name says so"
    if _FRACTION_HEAD.search(name):
        return "fraction", "the column's name says so"
    if not texts:
        return "percent", "every cell has the sign" if signed else "there is none"
    above = sum(Decimal(text) > 1 for text in texts)
    if 2 * above > len(texts):
        return "percent", f"{above:,} of {len(texts):,} values are above 1"
    return "fraction", f"{len(texts) - above:,} of {len(texts):,} values are not above 1"


def _in_other_unit(text: str, unit: Unit, why: str) -> str:
    """What is wrong with a cell where most are in `unit`; nothing where it may be in it too.

    0 and 1 may be percent, as a network at chance among 100 classes has. What the column's name says is not doubted.
    """
    if unit == "fraction" and Decimal(text) > 1:
        return f"is above 1, but accuracies are fractions here ({why}); write all in one unit."
    if unit == "percent" and 0 < Decimal(text) < 1 and "name" not in why:
        return (
            f"is below 1, but accuracies are in percent here ({why}); write all in one unit, or let the column's name "
            "end in %."
        )
    return ""
