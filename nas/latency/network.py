"""Latency of networks: the sum of their units' times, what does not add up, and how far that may be off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from nas.latency import residual as composition
from nas.latency import spread as errors
from nas.latency.metric_array import MetricArray
from nas.latency.report import SpreadReport
from nas.latency.residual import Residual
from nas.latency.rows import unique_rows
from nas.latency.signature import rows_of, sizes_of
from nas.latency.slots import Slot, units_of
from nas.latency.times import CODES, FloatArray, UnitTimes


class TimesUnits(Protocol):
    """What knows the times of units, and how they add up: a device."""

    @property
    def name(self) -> str:
        """The device's name."""

    @property
    def spread(self) -> SpreadReport | None:
        """How its units' errors add up; None: in full."""

    @property
    def residual(self) -> Residual | None:
        """What does not add up; None: nothing is known of that."""

    @property
    def parts(self) -> Sequence[str] | None:
        """Kinds of unit whose share of a network's time the residual needs; None: no residual."""

    def unit_times(self, kind: str, sizes: Mapping[str, Any]) -> UnitTimes:
        """Times of `n` units of one kind."""


def summed_names(device: TimesUnits) -> tuple[str, ...]:
    """What is summed over a network's units."""
    extra = () if device.parts is None else composition.names_of(device.parts)
    return ("latency", *errors.COLUMNS, *extra)


def largest_names(device: TimesUnits) -> tuple[str, ...]:
    """What is the largest of a network's units."""
    return ("provenance", *(() if device.parts is None else composition.MAXIMA))


def summed(device: TimesUnits, kind: str, sizes: Mapping[str, Any]) -> FloatArray:
    """Columns `summed_names` of `n` units of one kind, shape `(n, k)`."""
    times = device.unit_times(kind, sizes)
    columns = [times.ms[:, None], errors.unit_columns(times)]
    if device.parts is not None:
        columns.append(composition.summed_columns(kind, rows_of(kind, sizes), times.ms, device.parts))
    return np.concatenate(columns, axis=1)


def largest(device: TimesUnits, kind: str, sizes: Mapping[str, Any]) -> FloatArray:
    """Columns `largest_names` of `n` units of one kind, shape `(n, k)`."""
    codes = device.unit_times(kind, sizes).provenance.astype(np.float64)[:, None]
    if device.parts is None:
        return codes
    return np.concatenate([codes, composition.largest_columns(kind, rows_of(kind, sizes))], axis=1)


def network_sums(device: TimesUnits, slots: Sequence[Slot], count: int) -> dict[str, FloatArray]:
    """The columns of `summed_names` and `largest_names` of `count` networks, each `(count,)`.

    Each distinct unit is looked up once.

    Raises:
        NasError: a unit that the device cannot time.
    """
    sums = np.zeros((count, len(summed_names(device))))
    maxima = np.zeros((count, len(largest_names(device))))
    for kind in dict.fromkeys(slot.kind for slot in slots):
        rows, network = units_of([slot for slot in slots if slot.kind == kind], count)
        distinct, inverse = unique_rows(rows)
        sizes = sizes_of(kind, distinct)
        np.add.at(sums, network, summed(device, kind, sizes)[inverse])
        np.maximum.at(maxima, network, largest(device, kind, sizes)[inverse])
    names = (*summed_names(device), *largest_names(device))
    return dict(zip(names, np.concatenate([sums, maxima], axis=1).T))


def network_latency(device: TimesUnits, slots: Sequence[Slot], count: int) -> MetricArray:
    """Latency in ms of `count` networks, float64 `(count,)`: the sum over their active layers, corrected.

    A network is as certain as its least certain unit, but where a residual corrects it at most `predicted`.

    Raises:
        NasError: a unit that the device cannot time.
    """
    return latency_of(device, network_sums(device, slots, count))


def latency_of(device: TimesUnits, values: Mapping[str, FloatArray]) -> MetricArray:
    """Latency in ms with its interval, float64 `(n,)`, of networks with these sums and maxima."""
    ms, half = values["latency"], errors.half_width(values, device.spread)
    codes = values["provenance"].astype(np.uint8)
    if device.residual:
        half = device.residual.half_width(half)
        outside = device.residual.outside(ms)
        codes = np.maximum(codes, np.where(outside, CODES["estimated"], CODES["predicted"]).astype(np.uint8))
        ms = ms * np.exp(device.residual.correction(values))
    factor = np.exp(half)
    return MetricArray(ms, unit="ms", codes=codes, low=ms / factor, high=ms * factor, detail=device.name)
