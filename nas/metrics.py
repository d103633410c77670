"""Metrics: named numbers with unit, direction and how they were obtained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Provenance = Literal["counted", "measured", "table", "predicted", "estimated"]
PROVENANCES: tuple[Provenance, ...] = ("counted", "measured", "table", "predicted", "estimated")
Direction = Literal["min", "max"]


@dataclass(frozen=True)
class Metric:
    """One number and all that must be known to read it.

    Attributes:
        value: the number, in `unit`.
        unit: `"MACs"`, `"params"`, `"bytes"`, `"ms"` or `"fraction"` (top-1 in 0..1).
        provenance: `counted` (exact arithmetic on the architecture), `measured`, `table`,
            `predicted` or `estimated`.
        low, high: ends of the interval, in `unit`; None where the number is exact.
        detail: what the number refers to: for an accuracy the data set, split and whether the
            weights were inherited or retrained; for a latency the device.
    """

    value: float
    unit: str
    provenance: Provenance
    low: float | None = None
    high: float | None = None
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data; keys without a value are left out."""
        data: dict[str, Any] = {
            "value": self.value,
            "unit": self.unit,
            "provenance": self.provenance,
        }
        if self.low is not None and self.high is not None:
            data["interval"] = [self.low, self.high]
        if self.detail:
            data["detail"] = self.detail
        return data


def holds(predicted: Metric, measured: Metric) -> bool:
    """Whether a prediction's interval holds a measured value; one without an interval has to be equal."""
    low = predicted.value if predicted.low is None else predicted.low
    high = predicted.value if predicted.high is None else predicted.high
    return low <= measured.value <= high
