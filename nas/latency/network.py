"""Latency of networks: the sum of their units' times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from nas.latency.metric_array import MetricArray
from nas.latency.rows import IntArray, unique_rows
from nas.latency.signature import rows_of, sizes_of
from nas.latency.times import UnitTimes


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


class TimesUnits(Protocol):
    """What knows the times of units: a device."""

    @property
    def name(self) -> str:
        """The device's name."""

    def unit_times(self, kind: str, sizes: Mapping[str, Any]) -> UnitTimes:
        """Times of `n` units of one kind."""


def network_latency(device: TimesUnits, slots: Sequence[Slot], count: int) -> MetricArray:
    """Latency in ms of `count` networks, float64 `(count,)`: the sum over their active layers.

    Each distinct unit is looked up once. A network is as certain as its least certain unit. The ends of its
    interval are the sums of its units' ends, which holds more than 90 % of the truth, since the units' errors
    do not all point one way.

    Raises:
        NasError: a unit that the device cannot time.
    """
    ms, low, high = np.zeros(count), np.zeros(count), np.zeros(count)
    codes = np.zeros(count, dtype=np.uint8)
    for kind in dict.fromkeys(slot.kind for slot in slots):
        rows, network = _units([slot for slot in slots if slot.kind == kind], count)
        distinct, inverse = unique_rows(rows)
        times = device.unit_times(kind, sizes_of(kind, distinct)).take(inverse)
        ms += np.bincount(network, weights=times.ms, minlength=count)
        low += np.bincount(network, weights=times.low, minlength=count)
        high += np.bincount(network, weights=times.high, minlength=count)
        np.maximum.at(codes, network, times.provenance)
    return MetricArray(ms, unit="ms", codes=codes, low=low, high=high, detail=device.name)


def _units(slots: Sequence[Slot], count: int) -> tuple[IntArray, IntArray]:
    """Sizes `(m, k)` of all active layers in `slots` of one kind, and the network of each, `(m,)`."""
    rows, network = [], []
    for slot in slots:
        there = np.flatnonzero(np.broadcast_to(np.asarray(slot.active, dtype=bool), (count,)))
        every = rows_of(slot.kind, slot.sizes)
        rows.append(np.broadcast_to(every, (count, every.shape[1]))[there])
        network.append(there)
    return np.concatenate(rows), np.concatenate(network)
