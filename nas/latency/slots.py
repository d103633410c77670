"""The units in the slots of lowered networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from nas.latency.rows import IntArray
from nas.latency.signature import rows_of


class Slot(Protocol):
    """A place for one layer in `n` networks (`nas.space.lowering.Slot`)."""

    @property
    def kind(self) -> str:
        """Kind of unit."""

    @property
    def sizes(self) -> Mapping[str, Any]:
        """An integer or an int array `(n,)` per key of the unit."""

    @property
    def active(self) -> Any:
        """Whether the layer is there: bool or bool array `(n,)`."""


def units_of(slots: Sequence[Slot], count: int) -> tuple[IntArray, IntArray]:
    """Sizes `(m, k)` of all active layers in `slots` of one kind, and the network of each, `(m,)`."""
    rows, network = [], []
    for slot in slots:
        there = np.flatnonzero(np.broadcast_to(np.asarray(slot.active, dtype=bool), (count,)))
        every = rows_of(slot.kind, slot.sizes)
        rows.append(np.broadcast_to(every, (count, every.shape[1]))[there])
        network.append(there)
    return np.concatenate(rows), np.concatenate(network)
