"""A device's latencies for arch batches, tabulated per space: one gather and one sum per group of slots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nas.blocks.base import Unit
from nas.costs.plan import Column, CostPlan, Floats
from nas.latency.metric_array import MetricArray
from nas.space.batch import ArchBatch
from nas.space.space import Space

if TYPE_CHECKING:
    from nas.latency.device import Device

_PLANS: WeakKeyDictionary[Space, dict[int, tuple[Device, CostPlan]]] = WeakKeyDictionary()


def columns(device: Device) -> list[Column]:
    """What a plan adds up for a device: ms and the ends of the interval, and the least certain provenance."""

    def times(unit: type[Unit], sizes: Mapping[str, NDArray[Any]]) -> Floats:
        found = device.unit_times(unit.kind, sizes)
        return np.stack([found.ms, found.low, found.high], axis=1)

    def certainty(unit: type[Unit], sizes: Mapping[str, NDArray[Any]]) -> Floats:
        return device.unit_times(unit.kind, sizes).provenance.astype(np.float64)[:, None]

    return [Column(("latency", "low", "high"), "sum", times), Column(("provenance",), "max", certainty)]


def planned_latency(device: Device, space: Space, batch: ArchBatch) -> MetricArray:
    """Latency in ms of each arch, float64 `(n,)`, as `network_latency` would sum it.

    Raises:
        NasError: a unit of the space that the device cannot time.
    """
    plans = _PLANS.setdefault(space, {})
    if id(device) not in plans:
        plans[id(device)] = (device, CostPlan(space, columns(device)))
    values = plans[id(device)][1](batch)
    return MetricArray(
        values["latency"],
        unit="ms",
        codes=values["provenance"].astype(np.uint8),
        low=values["low"],
        high=values["high"],
        detail=device.name,
    )
