"""A device's latencies for arch batches, tabulated per space: one gather and one sum per group of slots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from numpy.typing import NDArray

from nas.blocks.base import Unit
from nas.costs.columns import Column, Floats
from nas.costs.plan import CostPlan
from nas.latency.metric_array import MetricArray
from nas.latency.network import largest, largest_names, latency_of, summed, summed_names
from nas.space.batch import ArchBatch
from nas.space.space import Space

if TYPE_CHECKING:
    from nas.latency.timed_units import TimedUnits

_PLANS: WeakKeyDictionary[Space, dict[int, tuple[TimedUnits, CostPlan]]] = WeakKeyDictionary()


def columns(device: TimedUnits) -> list[Column]:
    """What a plan adds up, and takes the largest of, for a device (`nas.latency.network`)."""

    def sums(unit: type[Unit], sizes: Mapping[str, NDArray[Any]]) -> Floats:
        return summed(device, unit.kind, sizes)

    def maxima(unit: type[Unit], sizes: Mapping[str, NDArray[Any]]) -> Floats:
        return largest(device, unit.kind, sizes)

    return [Column(summed_names(device), "sum", sums), Column(largest_names(device), "max", maxima)]


def latency_plan(device: TimedUnits, space: Space) -> CostPlan:
    """The plan behind `planned_latency`, made at first use; its column `latency` is the sum over units, in ms.

    Raises:
        NasError: a unit of the space that the device cannot time.
    """
    plans = _PLANS.setdefault(space, {})
    if id(device) not in plans:
        digest = device.digest
        about = None if digest is None else ["latency", digest]
        plans[id(device)] = (device, CostPlan(space, columns(device), about))
    return plans[id(device)][1]


def planned_latency(device: TimedUnits, space: Space, batch: ArchBatch) -> MetricArray:
    """Latency in ms of each arch, float64 `(n,)`, as `network_latency` would find it.

    Raises:
        NasError: a unit of the space that the device cannot time.
    """
    return latency_of(device, latency_plan(device, space)(batch))
