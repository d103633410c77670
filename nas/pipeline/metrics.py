"""Metrics that follow from the architecture alone: counted costs, device latencies and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.costs.counts import cost
from nas.costs.registered import METRICS, values_of, values_of_one
from nas.latency.device import Device
from nas.latency.metric_array import MetricArray
from nas.metrics import Metric
from nas.pipeline.table import MeasuredTable
from nas.search.objective import Constraint, Objective, total_violation
from nas.space.batch import Arch, ArchBatch
from nas.space.space import Space

Floats = NDArray[np.float64]
UNITS = {"macs": "MACs", "params": "params", "memory": "bytes", "train_params": "params"}


@dataclass(frozen=True)
class CheapMetrics:
    """All metrics of a run that need no evaluation.

    Attributes:
        space: of the archs.
        devices: latency as `latency`, or `latency@NAME` if there are several.
        latency_table: measured latencies instead of a device.
    """

    space: Space
    devices: tuple[Device, ...] = ()
    latency_table: MeasuredTable | None = None

    @property
    def latency_names(self) -> tuple[str, ...]:
        """Names of the latency metrics."""
        if self.latency_table is not None:
            return ("latency",)
        if len(self.devices) == 1:
            return ("latency",)
        return tuple(f"latency@{device.name}" for device in self.devices)

    @property
    def training_steps(self) -> tuple[str, ...]:
        """Those of the latencies that are times of a training step."""
        named = zip(self.latency_names, self.devices)
        return tuple(name for name, device in named if device.file.trains)

    def values(self, batch: ArchBatch) -> dict[str, Floats]:
        """Every metric, float64 `(n,)` by name."""
        found: dict[str, Floats] = {}
        if self.space.blueprint is not None:
            found.update(
                {name: values.astype(np.float64) for name, values in cost(self.space, batch).items()}
            )
            found.update(values_of(self.space, batch))
        if self.latency_table is not None:
            found["latency"] = self.latency_table.values(batch)
        for name, device in zip(self.latency_names, self.devices):
            found[name] = np.asarray(device.latency(self.space, batch))
        return found

    def metrics(self, archs: ArchBatch | Arch) -> list[dict[str, Metric]]:
        """The same with units, provenance and intervals, per arch; an arch may lie outside the space."""
        n = 1 if isinstance(archs, Arch) else len(archs)
        rows: list[dict[str, Metric]] = [{} for _ in range(n)]
        if self.space.blueprint is not None:
            for name, values in cost(self.space, archs).items():
                for row, value in zip(rows, values):
                    row[name] = Metric(float(value), UNITS[name], "counted")
            self._registered(archs, rows)
        if self.latency_table is not None and isinstance(archs, ArchBatch):
            for row, value in zip(rows, self.latency_table.values(archs)):
                row["latency"] = Metric(float(value), "ms", "table", detail=self.latency_table.detail)
        for name, device in zip(self.latency_names, self.devices):
            latency: MetricArray = device.latency(self.space, archs)
            for index, row in enumerate(rows):
                row[name] = latency.metric(index)
        return rows

    def _registered(self, archs: ArchBatch | Arch, rows: list[dict[str, Metric]]) -> None:
        """Add what plug-ins count."""
        every = values_of_one(self.space, archs) if isinstance(archs, Arch) else values_of(self.space, archs)
        for name, values in every.items():
            of = METRICS[name]
            for row, value in zip(rows, np.atleast_1d(values)):
                row[name] = Metric(float(value), of.unit, of.provenance)


def cheap_function(
    metrics: CheapMetrics,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
    pool: ArchBatch | None = None,
) -> Callable[[ArchBatch], tuple[Floats, Floats]]:
    """Objective values `(n, m)`, NaN for what needs an evaluation, and violations of the cheap constraints.

    Args:
        pool: the architectures that alone can be evaluated, where a table knows no others: others are infinitely far
            from feasible.
    """
    cheap = [constraint for constraint in constraints if constraint.cheap]
    members = None if pool is None else np.sort(pool.hashes)

    def evaluate(batch: ArchBatch) -> tuple[Floats, Floats]:
        known: dict[str, Any] = metrics.values(batch)
        none = np.full(len(batch), np.nan)
        rows = [known.get(objective.metric, none) for objective in objectives]
        values = np.stack(rows, axis=1)
        if members is None:
            return values, total_violation(cheap, known, len(batch))
        inside = np.flatnonzero(np.isin(batch.hashes, members))
        violations = np.full(len(batch), np.inf)
        there = {name: np.asarray(numbers)[inside] for name, numbers in known.items()}
        violations[inside] = total_violation(cheap, there, len(inside))
        return values, violations

    return evaluate
