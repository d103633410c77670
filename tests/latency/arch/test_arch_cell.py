"""Cells: what becomes of each edge, against paths walked one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import nas
from nas.latency.arch.cell import Cell, connected
from nas.space.batch import ArchBatch

EDGES = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
PATHS = [[0, 3], [0, 1, 3], [0, 2, 3], [0, 1, 2, 3]]


@pytest.fixture(scope="module")
def every() -> ArchBatch:
    space = nas.load_space("nasbench201")
    codes = np.array(list(itertools.product(range(5), repeat=6)), dtype=np.int16)
    return ArchBatch(space, codes)


def walk(row: list[int], start: int) -> bool:
    """Whether the output can be reached from a node."""
    return start == 3 or any(
        row[index] != 0 and walk(row, to) for index, (to, begin) in enumerate(EDGES) if begin == start
    )


def test_341_cells_lead_nowhere(every: ArchBatch) -> None:
    there = connected(every)
    assert (~there).sum() == 341
    for row, leads in list(zip(every.codes.tolist(), there))[::37]:
        on = {EDGES[index] for index, code in enumerate(row) if code != 0}
        assert leads == any(all((b, a) in on for a, b in itertools.pairwise(path)) for path in PATHS)


def test_edges_are_used_alone_or_idle(every: ArchBatch) -> None:
    cell = Cell.of(every.space)
    assert cell is not None and list(cell.ends) == EDGES
    states = cell.states(every)
    for at in range(0, len(every), 41):
        row = every.codes[at].tolist()
        for index, (to, _) in enumerate(EDGES):
            into = sum(row[other] != 0 for other, (end, _) in enumerate(EDGES) if end == to)
            used = row[index] != 0 and walk(row, to)
            assert states.used[at, index] == used
            assert states.alone[at, index] == (row[index] != 0 and not used and into == 1)


def test_a_space_of_networks_has_no_cell() -> None:
    space = nas.load_space("elasticvit")
    assert Cell.of(space) is None
    assert connected(space.sample(5, seed=0)).all()
