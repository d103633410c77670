"""Two devices side by side: settings, and times of the units both know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nas.errors import NasError
from nas.latency.arch.statistics import spearman
from nas.latency.coverage import known_units
from nas.latency.device import Device
from nas.latency.signature import sizes_of
from nas.latency.times import FloatArray, UnitTimes
from nas.space.space import Space

_SETTINGS = ("hardware", "runtime", "compute_unit", "precision", "threads", "batch", "source", "licence")


@dataclass(frozen=True)
class Comparison:
    """Times of the same units on two devices.

    Attributes:
        kind: of unit; empty: all.
        units: how many both know.
        low, median, high: 5 %, 50 % and 95 % quantiles of the second's time over the first's.
        spearman: rank correlation; None with fewer than three units or without variation.
    """

    kind: str
    units: int
    low: float
    median: float
    high: float
    spearman: float | None


def settings_that_differ(a: Device, b: Device) -> dict[str, tuple[str, str]]:
    """Settings in which two devices differ, as text."""
    both = {name: (str(_setting(a, name)), str(_setting(b, name))) for name in _SETTINGS}
    return {name: pair for name, pair in both.items() if pair[0] != pair[1]}


def compare(a: Device, b: Device, space: Space | None) -> list[Comparison]:
    """Times by kind and over all, of the units in both tables, or of the space's if one is given.

    Raises:
        NasError: no unit in common; or a unit of the space that one of them cannot time.
    """
    pairs = _of_space(a, b, space) if space else _of_tables(a, b)
    pairs = {kind: (x, y) for kind, (x, y) in pairs.items() if len(x)}
    if not pairs:
        raise NasError(
            f"the tables of {a.name!r} and {b.name!r} have no unit in common; give --space to compare what they "
            f"know of a space's units."
        )
    every = tuple(np.concatenate(part) for part in zip(*pairs.values()))
    return [_comparison(kind, *pair) for kind, pair in pairs.items()] + [_comparison("", *every)]


def _of_tables(a: Device, b: Device) -> dict[str, tuple[FloatArray, FloatArray]]:
    if not (a.table and b.table):
        return {}
    pairs = {}
    for kind in a.table.kinds:
        found, theirs = b.table.lookup(kind, a.table.rows(kind))
        pairs[kind] = (a.table.times(kind).ms[found], theirs.ms)
    return pairs


def _of_space(a: Device, b: Device, space: Space) -> dict[str, tuple[FloatArray, FloatArray]]:
    pairs = {}
    for known in known_units(a.units, space):
        times: UnitTimes = a.unit_times(known.kind, sizes_of(known.kind, known.rows))
        others = b.unit_times(known.kind, sizes_of(known.kind, known.rows))
        there = (times.ms > 0) & (others.ms > 0)
        pairs[known.kind] = (times.ms[there], others.ms[there])
    return pairs


def _comparison(kind: str, a: FloatArray, b: FloatArray) -> Comparison:
    low, median, high = (float(value) for value in np.quantile(b / a, (0.05, 0.5, 0.95)))
    return Comparison(kind, len(a), low, median, high, spearman(a, b))


def _setting(device: Device, name: str) -> object:
    value: object = getattr(device.file, name)
    if name == "runtime":
        runtime: Mapping[str, str] = device.file.runtime.model_dump()
        value = f"{runtime['name']} {runtime['version']}"
    return value
