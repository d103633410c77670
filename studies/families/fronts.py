"""Which preset is best at which latency, and how sums of units compare with whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from presets import Preset

from nas.metrics import Metric, holds

TIE = 0.3  # points of top-1
MEDIAN, EVERY = (0.9, 1.1), (0.8, 1.25)  # predicted over measured, for a table that adds up


@dataclass(frozen=True)
class Placed:
    """A preset on a device.

    Attributes:
        predicted: the device's latency of it, in ms.
        measured: its whole network's, where there is one.
        by_measured: whether it competes by the measured time, and not at all without one.
    """

    preset: Preset
    predicted: Metric
    measured: Metric | None
    by_measured: bool

    @property
    def ms(self) -> float | None:
        """The latency it competes with; None: it does not."""
        if self.by_measured:
            return self.measured.value if self.measured else None
        return self.predicted.value

    @property
    def ratio(self) -> float | None:
        """Predicted over measured latency."""
        return self.predicted.value / self.measured.value if self.measured else None


@dataclass(frozen=True)
class Competitor:
    """A preset with a latency and a published top-1."""

    family: str
    label: str
    ms: float
    top1: float
    more_data: bool


def competitors(placed: Sequence[Placed], more_data: bool) -> list[Competitor]:
    """All that compete, the fastest first; `more_data`: with those that have seen more than ImageNet-1k."""
    found = [
        Competitor(p.preset.family, p.preset.label, p.ms, p.preset.top1, p.preset.more_data)
        for p in placed
        if p.ms is not None and p.preset.top1 is not None and (more_data or not p.preset.more_data)
    ]
    return sorted(found, key=lambda one: (one.ms, -one.top1))


def front(among: Sequence[Competitor]) -> list[Competitor]:
    """Those with a higher top-1 than everything that is no slower, the fastest first."""
    best: list[Competitor] = []
    for one in sorted(among, key=lambda one: (one.ms, -one.top1)):
        if not best or one.top1 > best[-1].top1:
            best.append(one)
    return best


def leads(among: Sequence[Competitor]) -> list[dict[str, object]]:
    """A row for each preset of the front: from when to when it is best, and which other family is next."""
    best = front(among)
    ends = [*(one.ms for one in best[1:]), None]
    rows: list[dict[str, object]] = []
    for one, end in zip(best, ends):
        others = [other for other in among if other.family != one.family and other.ms <= one.ms]
        second = max(others, key=lambda other: other.top1, default=None)
        lead = None if second is None else one.top1 - second.top1
        rows.append(
            {
                "from ms": f"{one.ms:.2f}",
                "to ms": "" if end is None else f"{end:.2f}",
                "family": one.family,
                "preset": one.label,
                "published top-1": f"{one.top1:g}",
                "best of another family that is no slower": "" if second is None else second.label,
                "lead, points": "" if lead is None else f"{lead:.2f}",
                "verdict": "leads" if lead is None or lead >= TIE else "tie",
            }
        )
    return rows


def families(placed: Sequence[Placed]) -> list[dict[str, object]]:
    """A row for each family: how many presets, how many on the front, how its sums of units compare."""
    every = {one.label for one in front(competitors(placed, True))}
    plain = {one.label for one in front(competitors(placed, False))}
    rows = []
    for family, group in groupby(placed, key=lambda one: one.preset.family):
        some = list(group)
        labels = {one.preset.label for one in some}
        rows.append(
            {
                "family": family,
                "presets": len(some),
                "on the front": len(labels & every),
                "on the front, ImageNet-1k alone": len(labels & plain),
                **_adding(some),
            }
        )
    return rows


def _adding(some: Sequence[Placed]) -> dict[str, object]:
    ratios = np.array([one.ratio for one in some if one.ratio is not None])
    if not len(ratios):
        return {
            "measured": 0, "median predicted over measured": "", "smallest": "", "largest": "",
            "in the 90 % interval": "", "the table adds up": "",
        }  # fmt: skip
    held = [holds(one.predicted, one.measured) for one in some if one.measured is not None]
    median, low, high = float(np.median(ratios)), float(ratios.min()), float(ratios.max())
    adds = MEDIAN[0] <= median <= MEDIAN[1] and low >= EVERY[0] and high <= EVERY[1]
    return {
        "measured": len(ratios),
        "median predicted over measured": f"{median:.2f}",
        "smallest": f"{low:.2f}",
        "largest": f"{high:.2f}",
        "in the 90 % interval": f"{sum(held)} of {len(held)}",
        "the table adds up": "yes" if adds else "no",
    }
