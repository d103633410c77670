"""Harder tests of unit predictors than random folds: a size never seen, and networks none of whose units were seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.latency.fit import fit_predictor
from nas.latency.metric_array import MetricArray
from nas.latency.model import TreeOptions, fit_unit_model
from nas.latency.network import network_latency
from nas.latency.predictor import Predictor
from nas.latency.report import DataFacts
from nas.latency.rows import IntArray, RowIndex
from nas.latency.signature import sizes_of
from nas.latency.slots import units_of
from nas.latency.spread import sample_networks
from nas.latency.table import LatencyTable
from nas.latency.timed_units import TimedUnits
from nas.latency.times import FloatArray
from nas.space.space import Space

WIDTHS = ("channels", "cin", "cout")
SIDE = "h"
_LEAST_VALUES = 3
_FACTS = DataFacts(file="", sha256="", source="part of a table", licence="that of the table", units=0)


@dataclass(frozen=True)
class ValueLeftOut:
    """Units with one value of a size, predicted by a fit without them.

    Attributes:
        size, value: e.g. `cin`, 48.
        edge: whether it is the smallest or largest value of the size.
        rows: sizes of the units, shape `(n, k)`.
        true, predicted: ms, shape `(n,)`.
    """

    size: str
    value: int
    edge: bool
    rows: IntArray
    true: FloatArray
    predicted: FloatArray


def leave_values_out(
    kind: str, rows: IntArray, ms: FloatArray, size: str, trees: TreeOptions
) -> Iterator[ValueLeftOut]:
    """Leave each value of a size out in turn; nothing for a size with fewer than three values.

    Args:
        kind: kind of unit.
        rows, ms: timed units, shapes `(n, k)` and `(n,)`.
        size: name of the size; a kind without it yields nothing.
        trees: how the trees are grown.
    """
    column = sizes_of(kind, rows).get(size)
    values = [] if column is None else np.unique(column).tolist()
    if column is None or len(values) < _LEAST_VALUES:
        return
    for value in values:
        held = column == value
        model = fit_unit_model(kind, rows[~held], ms[~held], trees)
        edge = value in (values[0], values[-1])
        yield ValueLeftOut(size, value, edge, rows[held], ms[held], model.predict(rows[held]))


@dataclass(frozen=True)
class NetworksLeftOut:
    """Networks none of whose units were in the fit.

    Attributes:
        true: sums of the table's times in ms, shape `(n,)`.
        predicted: what the predictor says, with its interval, `(n,)`.
        units_true, units_predicted: their distinct units' times in ms, shape `(m,)`.
        left_out: units taken out of the table, `m`.
    """

    true: FloatArray
    predicted: MetricArray
    units_true: FloatArray
    units_predicted: FloatArray

    @property
    def left_out(self) -> int:
        """Number of units that were taken out of the table."""
        return len(self.units_true)


def leave_networks_out(
    table: LatencyTable,
    space: Space,
    count: int,
    *,
    free: Collection[str] = (),
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> NetworksLeftOut:
    """Draw networks, take all their units out of the table, fit to the rest, predict the networks.

    Args:
        table: times of every unit the space's networks need.
        space: half of the networks are uniform over it, half have every decision uniform.
        count: number of networks.
        free: kinds of unit that cost no time of their own.
        seed: of the networks.
        progress: called with one line per kind that is fitted.
    """
    batch = sample_networks(space, count, seed)
    slots = space.lower(batch)
    kinds = [kind for kind in dict.fromkeys(slot.kind for slot in slots) if kind not in free]
    taken = {
        kind: np.unique(units_of([slot for slot in slots if slot.kind == kind], count)[0], axis=0)
        for kind in kinds
    }
    rest = _without(table, taken)
    predictor = fit_predictor(
        rest, name="rest", data=_FACTS, seed=seed, spaces={space.name: space}, free=free, progress=progress
    )
    whole = TimedUnits("table", table, None, frozenset(free), None)
    left = TimedUnits("rest", None, predictor, frozenset(free), None)
    return NetworksLeftOut(
        true=np.asarray(network_latency(whole, slots, count)),
        predicted=network_latency(left, slots, count),
        units_true=np.concatenate([_lookup(table, kind, rows) for kind, rows in taken.items()]),
        units_predicted=np.concatenate([predictor.predict(kind, rows).ms for kind, rows in taken.items()]),
    )


def predict_table(predictor: Predictor, table: LatencyTable) -> tuple[FloatArray, MetricArray]:
    """True ms of every unit of a table, `(n,)`, and what a predictor says of it, kinds in the table's order."""
    true, parts = [], []
    for kind in table.kinds:
        true.append(table.times(kind).ms)
        parts.append(predictor.predict(kind, table.rows(kind)))
    return np.concatenate(true), MetricArray(
        np.concatenate([part.ms for part in parts]),
        unit="ms",
        codes=np.concatenate([part.provenance for part in parts]),
        low=np.concatenate([part.low for part in parts]),
        high=np.concatenate([part.high for part in parts]),
        detail=predictor.report.name,
    )


def part_of(table: LatencyTable, kept: Callable[[str, IntArray], NDArray[np.bool_]]) -> LatencyTable:
    """The units for which `kept(kind, rows)`, bool `(n,)`, holds."""
    chosen = {
        (kind, tuple(row))
        for kind in table.kinds
        for row, keep in zip(table.rows(kind).tolist(), kept(kind, table.rows(kind)))
        if keep
    }
    return LatencyTable({key: entry for key, entry in table.items() if key in chosen})


def _without(table: LatencyTable, taken: dict[str, IntArray]) -> LatencyTable:
    def kept(kind: str, rows: IntArray) -> NDArray[np.bool_]:
        return RowIndex(taken[kind]).find(rows) < 0 if kind in taken else np.ones(len(rows), dtype=bool)

    return part_of(table, kept)


def _lookup(table: LatencyTable, kind: str, rows: IntArray) -> FloatArray:
    found, times = table.lookup(kind, rows)
    assert found.all()
    return times.ms
