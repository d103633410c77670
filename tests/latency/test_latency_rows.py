"""Row keys against Python's own sets and dictionaries."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas.latency.rows import IntArray, RowIndex, unique_rows

SMALL = arrays(np.int64, st.tuples(st.integers(0, 30), st.integers(1, 4)), elements=st.integers(-3, 3))
HUGE = arrays(np.int64, st.tuples(st.integers(1, 12), st.just(6)), elements=st.integers(0, 10**15))


def _tuples(rows: IntArray) -> list[tuple[int, ...]]:
    return [tuple(row) for row in rows.tolist()]


@settings(deadline=None)
@given(SMALL | HUGE)
def test_unique_rows_are_the_set_in_order(rows: IntArray) -> None:
    distinct, inverse = unique_rows(rows)
    assert _tuples(distinct) == sorted(set(_tuples(rows)))
    assert _tuples(distinct[inverse]) == _tuples(rows)


@settings(deadline=None)
@given(SMALL | HUGE, st.data())
def test_row_index_finds_what_a_dictionary_finds(rows: IntArray, data: st.DataObject) -> None:
    known, _ = unique_rows(rows)
    known = known[data.draw(st.permutations(range(len(known))))] if len(known) else known
    positions = {row: index for index, row in enumerate(_tuples(known))}
    noise = data.draw(arrays(np.int64, (20, rows.shape[1]), elements=st.integers(-4, 4)))
    wanted = np.concatenate([rows, noise])
    assert RowIndex(known).find(wanted).tolist() == [positions.get(row, -1) for row in _tuples(wanted)]
