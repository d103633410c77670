"""Rows of small integers as keys: distinct rows of a batch, and rows found in a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.rows import IntArray, unique_rows

__all__ = ["IntArray", "RowIndex", "unique_rows"]


class RowIndex:
    """Finds rows among `n` distinct known rows, one column at a time, without a Python loop over rows."""

    def __init__(self, rows: IntArray) -> None:
        """Index `rows`, shape `(n, k)`, all distinct."""
        code = np.zeros(len(rows), dtype=np.int64)
        self._steps: list[tuple[IntArray, IntArray]] = []
        for column in rows.T:
            values, rank = np.unique(column, return_inverse=True)
            prefixes, code = np.unique(code * len(values) + rank, return_inverse=True)
            self._steps.append((values, prefixes))
        self._position = np.empty(len(rows), dtype=np.int64)
        self._position[code] = np.arange(len(rows))

    def find(self, rows: IntArray) -> IntArray:
        """Position of each of `rows`, shape `(m, k)`, among the known ones, -1 if unknown; shape `(m,)`."""
        if len(self._position) == 0:
            return np.full(len(rows), -1, dtype=np.int64)
        code, known = np.zeros(len(rows), dtype=np.int64), np.ones(len(rows), dtype=bool)
        for column, (values, prefixes) in zip(rows.T, self._steps):
            rank, hit = _position(values, column)
            code, step = _position(prefixes, code * len(values) + rank)
            known &= hit & step
        return np.where(known, self._position[code], -1)


def _position(sorted_values: IntArray, wanted: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    at = np.minimum(np.searchsorted(sorted_values, wanted), len(sorted_values) - 1)
    return at, sorted_values[at] == wanted
