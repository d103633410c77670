"""Costs that plug-ins register: a number for each layer, summed or the largest taken over a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nas.arith import Num
from nas.blocks.base import Unit
from nas.costs.columns import Column, Floats
from nas.costs.plan import CostPlan
from nas.errors import NasError
from nas.metrics import Direction, Provenance
from nas.space.batch import Arch, ArchBatch
from nas.space.space import Space

PerLayer = Callable[[type[Unit], Mapping[str, Any]], Num]


@dataclass(frozen=True)
class LayerMetric:
    """A registered cost; see `nas.plugins.metric`."""

    name: str
    unit: str
    direction: Direction
    combine: Literal["sum", "max"]
    provenance: Provenance
    function: PerLayer

    def of_layers(self, unit: type[Unit], sizes: Mapping[str, NDArray[Any]]) -> Floats:
        """Its value for layers of one unit, `(m, 1)`.

        Raises:
            NasError: the function fails, or gives something else than one finite number for each layer.
        """
        length = len(next(iter(sizes.values())))
        try:
            values = np.asarray(self.function(unit, sizes), dtype=np.float64)
            values = np.broadcast_to(values, (length,))
        except Exception as error:
            what = f"{type(error).__name__}: {error}{_where(error)}"
            raise NasError(
                f"the metric {self.name!r} fails for layers of {unit.kind!r}: {what}. Its sizes "
                f"are arrays of shape ({length},) here; they are {', '.join(sizes)}."
            ) from None
        if not np.isfinite(values).all():
            raise NasError(
                f"the metric {self.name!r} gives a value that is no number for a layer of {unit.kind!r}."
            )
        return values[:, None]


def _where(error: Exception) -> str:
    from nas.plugins.failures import culprit

    place = culprit(error)
    return f" ({place})" if place else ""


METRICS: dict[str, LayerMetric] = {}
_PLANS: WeakKeyDictionary[Space, tuple[tuple[LayerMetric, ...], CostPlan]] = WeakKeyDictionary()


def add(metric: LayerMetric) -> None:
    """Make a metric known."""
    METRICS[metric.name] = metric


def remove(name: str) -> None:
    """Forget a metric."""
    del METRICS[name]


def plan_of(space: Space) -> CostPlan:
    """The space's plan for all registered metrics, made at first use and when others are registered.

    Raises:
        NasError: a metric cannot be computed for a layer of the space.
    """
    chosen = tuple(METRICS.values())
    known = _PLANS.get(space)
    if known is None or known[0] != chosen:
        columns = [Column((metric.name,), metric.combine, metric.of_layers) for metric in chosen]
        known = _PLANS[space] = (chosen, CostPlan(space, columns))
    return known[1]


def values_of(space: Space, batch: ArchBatch) -> dict[str, Floats]:
    """Every registered metric, float64 `(n,)` by name.

    Raises:
        NasError: a metric cannot be computed for a layer of the space.
    """
    return plan_of(space)(batch) if METRICS else {}


def values_of_one(space: Space, arch: Arch) -> dict[str, float]:
    """The same of one arch, which may lie outside the space."""
    if not METRICS:
        return {}
    slots = [slot for slot in space.lower(arch) if slot.active]
    totals = {}
    for name, metric in METRICS.items():
        layers = [
            metric.of_layers(
                slot.unit, {key: np.atleast_1d(np.asarray(size)) for key, size in slot.sizes.items()}
            )
            for slot in slots
        ]
        each = [float(layer[0, 0]) for layer in layers]
        totals[name] = sum(each) if metric.combine == "sum" else max(each)
    return totals
