"""Distinct rows of integer matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def unique_rows(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct rows in lexicographic order, and where each row went.

    Args:
        rows: shape `(n, k)`.

    Returns:
        `(distinct, inverse)` of shapes `(m, k)` and `(n,)`, with `distinct[inverse] == rows`.
    """
    count = len(rows)
    if count == 0:
        return rows, np.zeros(0, dtype=np.int64)
    code, radix = np.zeros(count, dtype=np.int64), 1
    for column in rows.T:
        low = int(column.min())
        span = int(column.max()) - low + 1
        if radix * span > 2**62:
            values, code = np.unique(code, return_inverse=True)
            radix = len(values)
        if radix * span > 2**62:
            values, column = np.unique(column, return_inverse=True)
            low, span = 0, len(values)
        code = code * span + (column - low)
        radix *= span
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    return rows[first], inverse.reshape(-1)
