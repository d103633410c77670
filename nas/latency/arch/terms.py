"""What a latency of whole archs is explained by: named amounts per arch, in groups.

* `ops`: for decisions that share their words, how often each word is chosen;
* `used`, `alone`: the same over those edges of a cell only (`nas.latency.arch.cell`);
* `work`: multiply-accumulates and elements by kind of kernel, summed over the network, if the space has one;
* `choice`: every decision's value;
* `other`: the arch's known latency on another device, in ms.

A term's name is `GROUP:NAME`; `constant` is 1 for every arch.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.latency.arch.cell import CUT, Cell
from nas.latency.features import Amounts, work_terms
from nas.latency.signature import rows_of
from nas.latency.times import FloatArray
from nas.space.batch import ArchBatch
from nas.space.space import Space

CONSTANT = "constant"
OTHER = "other"
Terms = dict[str, FloatArray]


def arch_terms(batch: ArchBatch, others: Mapping[str, FloatArray] | None = None) -> Terms:
    """Terms by name, each of shape `(n,)`.

    Args:
        batch: archs.
        others: by device, known latencies of the same archs in ms, shape `(n,)`, above 0.

    Raises:
        NasError: latencies of other devices that are missing, or not positive.
    """
    terms = Amounts(
        len(batch),
        {CONSTANT: np.ones(len(batch)), **_counts(batch), **_work(batch), **_choices(batch)},
    )
    for device, ms in (others or {}).items():
        values = np.asarray(ms, dtype=np.float64)
        if values.shape != (len(batch),) or not (np.isfinite(values) & (values > 0)).all():
            raise NasError(f"the latencies on {device!r} must be {len(batch)} finite numbers above 0.")
        terms[f"{OTHER}:{device}"] = values
    return terms


def group_of(term: str) -> str:
    """The group a term belongs to."""
    return term.partition(":")[0]


def _counts(batch: ArchBatch) -> Terms:
    space, active = batch.space, batch.space.active(batch.codes)
    terms: Terms = {}
    for number, columns in enumerate(_families(space)):
        mark = str(number) if number else ""
        terms |= _count(batch, columns, active, f"ops{mark}")
    cell = Cell.of(space)
    if cell is not None:
        states, every = cell.states(batch), list(range(len(space.decisions)))
        terms |= _count(batch, every, states.used, "used") | _count(batch, every, states.alone, "alone")
    return terms


def _families(space: Space) -> list[list[int]]:
    """Positions of categorical decisions that share their values, two or more each."""
    found: dict[tuple[object, ...], list[int]] = {}
    for index, decision in enumerate(space.decisions):
        if decision.kind == "categorical":
            found.setdefault(decision.values, []).append(index)
    return [columns for columns in found.values() if len(columns) > 1]


def _count(batch: ArchBatch, columns: list[int], mask: NDArray[np.bool_], group: str) -> Terms:
    values = batch.space.decisions[columns[0]].values
    codes = np.where(mask[:, columns], batch.codes[:, columns], -1)
    return {
        f"{group}:{value}": (codes == code).sum(axis=1).astype(np.float64)
        for code, value in enumerate(values)
        if value != CUT
    }


def _work(batch: ArchBatch) -> Terms:
    if batch.space.blueprint is None:
        return {}
    terms: Terms = {}
    for slot in batch.space.lower(batch):
        rows = rows_of(slot.kind, slot.sizes)
        active = np.broadcast_to(np.asarray(slot.active, dtype=bool), (len(batch),))
        for name, amount in {**work_terms(slot.kind, rows), f"units_{slot.kind}": np.ones(1)}.items():
            if name != CONSTANT:
                key = f"work:{name}"
                terms[key] = terms.get(key, np.zeros(len(batch))) + np.where(active, amount, 0.0)
    return terms


def _choices(batch: ArchBatch) -> Terms:
    columns, names = batch.space.features(batch)
    return {
        f"choice:{name}": np.maximum(column, 0.0).astype(np.float64)
        for name, column in zip(names, columns.T)
        if not name.endswith(f"={CUT}")
    }
