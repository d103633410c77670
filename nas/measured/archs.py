"""The architecture of each row: a column per decision, or one column of NAS-Bench-201's strings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.measured.problems import Problems, listing
from nas.measured.sheet import Sheet
from nas.quantity import is_number

if TYPE_CHECKING:
    from nas.space.batch import ArchBatch
    from nas.space.decision import Decision
    from nas.space.space import Space

Codes = NDArray[np.int16]
ARCH_HEADS = ("arch", "arch_str", "architecture")
_EDGE = re.compile(r"edge_([1-9])_([0-9])")
_OPERATION = re.compile(r"([^|~+]+)~([0-9]+)")


@dataclass(frozen=True)
class Rows:
    """Architectures of a table.

    Attributes:
        batch: one for each row that is kept.
        kept: which rows they are, by position.
        broken: rows whose architecture breaks a rule of the space, by position.
        sheet: where they come from.
    """

    batch: ArchBatch
    kept: NDArray[np.int64]
    broken: NDArray[np.int64]
    sheet: Sheet

    def refuse_twins(self) -> None:
        """Nothing, where each architecture stands in one row.

        Raises:
            ConfigError: the rows in which architectures stand again.
        """
        _, first, inverse = np.unique(self.batch.hashes, return_index=True, return_inverse=True)
        problems, lines = Problems(self.sheet.path), self.sheet.lines
        for at in np.flatnonzero(first[inverse] != np.arange(len(self.batch))).tolist():
            before = lines[self.kept[first[inverse[at]]]]
            line = lines[self.kept[at]]
            problems.add(line, f"the same architecture stands in row {before}; keep one of them.")
        problems.check()

    def left_out(self) -> list[str]:
        """One line on the rows that are left out, if there are any."""
        if not len(self.broken):
            return []
        places = listing([f"row {self.sheet.lines[row]}" for row in self.broken.tolist()])
        return [
            f"{self.sheet.path}: {len(self.broken):,} of {len(self.sheet):,} rows break a rule of the space "
            f"{self.batch.space.name!r} and are left out: {places}"
        ]


def archs_of(sheet: Sheet, space: Space) -> Rows:
    """The architecture of each row; those that break a rule of the space are left out.

    Raises:
        NasError: a decision without a column, cells that are none of its values (all of them), or no row at all.
    """
    columns = _strings(sheet, space) or {d.name: sheet.column(d.name) for d in _named(sheet, space)}
    problems = Problems(sheet.path)
    codes = np.stack([_codes(sheet, d, columns[d.name], problems) for d in space.decisions], axis=1)
    problems.check()
    batch = space.decode(codes)
    effect = space.active(batch.codes)
    for index, decision in enumerate(space.decisions):
        for row in np.flatnonzero((codes[:, index] < 0) & effect[:, index]).tolist():
            problems.cell(
                sheet.lines[row], decision.name, "", f"is empty; it is one of {_allowed(decision)}."
            )
    problems.check()
    valid = space.valid(batch)
    kept, broken = np.flatnonzero(valid), np.flatnonzero(~valid)
    if not len(kept):
        raise NasError(f"{sheet.path}: every row breaks a rule of the space {space.name!r}.")
    return Rows(batch[kept], kept, broken, sheet)


def _named(sheet: Sheet, space: Space) -> Sequence[Decision]:
    missing = [d.name for d in space.decisions if d.name not in sheet]
    if missing:
        more = f" (nor for {len(missing) - 1} others)" if len(missing) > 1 else ""
        raise NasError(
            f"{sheet.path}: no column for the decision {missing[0]!r}{more}; one column per decision is needed. It has "
            f"{listing(list(sheet.heads), 8)}."
        )
    return space.decisions


def _codes(sheet: Sheet, decision: Decision, texts: Sequence[str], problems: Problems) -> Codes:
    """Positions of the column's values, -1 where a decision that may be without effect is empty."""
    known: dict[str, int | None] = {text: code_of(decision, text) for text in set(texts)}
    if decision.active_when is not None:
        known[""] = -1
    codes = np.zeros(len(texts), dtype=np.int16)
    for row, text in enumerate(texts):
        code = known[text]
        if code is None:
            problems.cell(sheet.lines[row], decision.name, text, f"is not one of {_allowed(decision)}.")
        else:
            codes[row] = code
    return codes


def code_of(decision: Decision, text: str) -> int | None:
    """Position of the value that a cell writes; None where it is none of them: `3`, `3.0` and `03` are 3."""
    words = _words(decision)
    if text in words:
        return words[text]
    return decision.code(float(text)) if is_number(text) else None


@cache
def _words(decision: Decision) -> Mapping[str, int]:
    return {str(value).strip(): code for code, value in enumerate(decision.values)}


def _allowed(decision: Decision) -> str:
    return listing([str(value) for value in decision.values], 12)


def _strings(sheet: Sheet, space: Space) -> dict[str, list[str]] | None:
    """Cells by decision where they stand in strings, `|nor_conv_3x3~0|+|…|`; None where they do not."""
    head = next((name for name in ARCH_HEADS if name in sheet), None)
    named = all(d.name in sheet for d in space.decisions)
    if head is None or named or not all(_EDGE.fullmatch(d.name) for d in space.decisions):
        return None
    problems = Problems(sheet.path)
    cells: dict[str, list[str]] = {d.name: [] for d in space.decisions}
    for line, text in zip(sheet.lines, sheet.column(head)):
        edges = edges_of(text)
        if edges is None or edges.keys() != cells.keys():
            problems.cell(
                line, head, text, "is no cell of NAS-Bench-201, such as |nor_conv_3x3~0|+|…~0|…~1|+|…."
            )
            edges = dict.fromkeys(cells, "")
        for name in cells:
            cells[name].append(edges[name])
    problems.check()
    return cells


def edges_of(text: str) -> dict[str, str] | None:
    """Operations of a cell by edge, `edge_TO_FROM`; None where the text is no such string.

    The string lists nodes from 1 on, separated by `+`, each with `OPERATION~FROM` between bars.
    """
    edges: dict[str, str] = {}
    for node, part in enumerate(text.split("+"), start=1):
        if not (part.startswith("|") and part.endswith("|")):
            return None
        for written in part.strip("|").split("|"):
            match = _OPERATION.fullmatch(written)
            if match is None:
                return None
            edges[f"edge_{node}_{match[2]}"] = match[1]
    return edges
