"""Axes of parallel coordinates, and where a brush on them begins and ends whatever the axis becomes."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.report.snapshot import Snapshot

ARCH = "arch."
NONE = "–"
_SLACK = 1e-9  # share of an end, so that a brush to an axis's end keeps what lies there
_WHOLE = re.compile(r"(-?\d+)\.0")

End = float | Sequence[Any]
"""Of a brush: a metric in stored units; of a decision `[value, offset]`, positions that it lies above that value."""
Ranges = Mapping[str, Sequence[Sequence[Any]]]
"""(low, high) ends of the brushes by key."""


@dataclass(frozen=True)
class Axis:
    """Where things lie on an axis.

    Attributes:
        factor: shown number = stored number times this; of a metric.
        ticks: the values of a decision in order; `–` where it has no effect. Empty for a metric.
    """

    factor: float = 1.0
    ticks: Sequence[str] = ()

    def place(self, end: Any) -> float:
        """Where an end of a brush is shown."""
        if not self.ticks:
            return float(end) * self.factor
        value, offset = end
        at = bisect_left(self.ticks, _order(value), key=_order)
        known = at < len(self.ticks) and self.ticks[at] == value
        return at + float(offset) if known else at - 0.5  # between its neighbours, where it is no more

    def end(self, place: float) -> End:
        """What a place on the axis stands for."""
        if not self.ticks:
            return place / self.factor
        at = min(max(round(place), 0), len(self.ticks) - 1)
        return [self.ticks[at], place - at]

    def pairs(self, ends: Iterable[Sequence[Any]]) -> list[list[float]]:
        """Brushes as they are shown."""
        return [[self.place(low), self.place(high)] for low, high in ends]

    def ends(self, pairs: Iterable[Sequence[float]]) -> list[Sequence[End]]:
        """Brushes that are shown, as they are kept."""
        return [[self.end(low), self.end(high)] for low, high in pairs]

    def within(self, ends: Iterable[Sequence[Any]]) -> list[tuple[float, float]]:
        """The same as `pairs`, wide enough for what lies on their ends."""
        return [(low - _SLACK * abs(low), high + _SLACK * abs(high)) for low, high in self.pairs(ends)]


def decision_axis(snapshot: Snapshot, key: str) -> Axis:
    """The values of a decision: those of the space, where the run noted them, and those of any trial."""
    noted: Mapping[str, Mapping[str, float]] = snapshot.facts.get("space_distribution") or {}
    known = [_WHOLE.sub(r"\1", value) for value in noted.get(key.removeprefix(ARCH), {})]
    seen = [text_of(value) for value in snapshot.trials[key].tolist()]
    return Axis(ticks=tuple(sorted({*known, *seen}, key=_order)))


def text_of(value: Any) -> str:
    """A value as its tick says it."""
    if value is None or value != value:
        return NONE
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _order(text: str) -> tuple[int, float, str]:
    if text == NONE:
        return 0, 0.0, text
    try:
        return 1, float(text), text
    except ValueError:
        return 2, 0.0, text
