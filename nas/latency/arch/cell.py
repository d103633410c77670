"""Cells: spaces whose decisions are the operations on the edges of a small graph.

A cell is recognised by its decisions: each is named `edge_TO_FROM` (as in NAS-Bench-201, behind any prefix), and
may be `none`, which cuts the edge. Node 0 is the input, the highest node the output, and a node is the sum of its
edges. Which edges cost time depends on the runtime: some run every operation, some drop those the output does
not need, unless nothing was added to them (seen in TensorFlow Lite's timings of NAS-Bench-201: a dead
convolution that is a node's only edge is timed, one that is summed with another is not).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.space.batch import ArchBatch
from nas.space.space import Space

CUT = "none"
_EDGE = re.compile(r"(?:.*[._])?edge_(\d+)_(\d+)")
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class EdgeStates:
    """What becomes of the edges of `n` cells; bool `(n, edges)` each.

    Attributes:
        used: the output depends on what the edge writes.
        alone: it does not, and the edge is the only one into its node.
        connected: whether a path leads from the input to the output, bool `(n,)`.
    """

    used: Mask
    alone: Mask
    connected: Mask


@dataclass(frozen=True)
class Cell:
    """The graph that a space's decisions stand for.

    Attributes:
        ends: `(to, from)` of each decision's edge.
        cuts: position of `none` among each decision's values.
    """

    ends: tuple[tuple[int, int], ...]
    cuts: tuple[int, ...]

    @classmethod
    def of(cls, space: Space) -> Cell | None:
        """The space's cell; None where its decisions are not the edges of one."""
        matches = [_EDGE.fullmatch(decision.name) for decision in space.decisions]
        ends = tuple((int(match[1]), int(match[2])) for match in matches if match)
        cuttable = all(CUT in decision.values for decision in space.decisions)
        if len(ends) < len(matches) or not cuttable or any(to <= start for to, start in ends):
            return None
        if len(set(ends)) < len(ends):
            return None
        return cls(ends, tuple(decision.values.index(CUT) for decision in space.decisions))

    def states(self, batch: ArchBatch) -> EdgeStates:
        """What becomes of each edge."""
        there = batch.codes != np.array(self.cuts)
        nodes = max(to for to, _ in self.ends) + 1
        from_input = np.zeros((len(batch), nodes), dtype=bool)
        to_output, edges_into = from_input.copy(), np.zeros((len(batch), nodes), dtype=np.int64)
        from_input[:, 0] = to_output[:, -1] = True
        order = sorted(range(len(self.ends)), key=lambda edge: self.ends[edge])
        for edge in order:
            to, start = self.ends[edge]
            from_input[:, to] |= there[:, edge] & from_input[:, start]
            edges_into[:, to] += there[:, edge]
        for edge in sorted(order, key=lambda edge: -self.ends[edge][0]):
            to, start = self.ends[edge]
            to_output[:, start] |= there[:, edge] & to_output[:, to]
        into = np.array([to for to, _ in self.ends])
        used = there & to_output[:, into]
        alone = there & ~used & (edges_into[:, into] == 1)
        return EdgeStates(used, alone, from_input[:, -1].copy())


def connected(batch: ArchBatch) -> Mask:
    """Which archs lead from input to output, bool `(n,)`: all but cells whose every path is cut."""
    cell = Cell.of(batch.space)
    return np.ones(len(batch), dtype=bool) if cell is None else cell.states(batch).connected
