"""What a device knows of a space's units: how much was timed, and how far the rest may be off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nas.latency.profiling.use import space_use
from nas.latency.rows import IntArray
from nas.latency.signature import sizes_of
from nas.latency.timed_units import LEVELS, TimedUnits
from nas.latency.times import FloatArray, UnitTimes
from nas.space.space import Space

DRAWS = 5_000
TOLD = {
    "free": "no time of its own",
    "measured": "measured",
    "table": "published table",
    "trees": "predicted",
    "extrapolated": "extrapolated",
    "transfer": "transferred",
    "kernels": "by kernels",
    "unknown": "unknown",
}


@dataclass(frozen=True)
class KnownUnits:
    """A space's units of one kind, as sampled networks have them, and what a device knows of each.

    Attributes:
        kind: of unit.
        rows: their sizes, shape `(n, k)`, distinct.
        use: how many of each a network has on average, shape `(n,)`.
        levels: positions in `nas.latency.timed_units.LEVELS`, shape `(n,)`.
        times: times of those that are not unknown.
    """

    kind: str
    rows: IntArray
    use: FloatArray
    levels: IntArray
    times: UnitTimes

    def shares(self) -> dict[str, tuple[float, float]]:
        """Share of each level that occurs: of distinct units, and of a network's layers; both in 0..1."""
        return {
            level: (float(np.mean(at)), float(self.use[at].sum() / self.use.sum()))
            for code, level in enumerate(LEVELS)
            if (at := self.levels == code).any()
        }

    @property
    def half_width(self) -> float:
        """Half the 90 % interval over the time, in the mean over a network's layers; NaN where none has time."""
        timed = self.use[self.levels != LEVELS.index("unknown")]
        there = self.times.ms > 0
        if not there.any():
            return float("nan")
        width = (self.times.high - self.times.low)[there] / self.times.ms[there] / 2
        return float(np.average(width, weights=timed[there]))


def known_units(units: TimedUnits, space: Space, draws: int = DRAWS) -> Iterator[KnownUnits]:
    """What a device knows of the units of sampled networks and presets of a space, by kind.

    Raises:
        NasError: a space without a network.
    """
    for kind, use in space_use(space, draws).items():
        levels = units.levels(kind, use.rows).astype(np.int64)
        timed = use.rows[levels != LEVELS.index("unknown")]
        times = units.unit_times(kind, sizes_of(kind, timed))
        yield KnownUnits(kind, use.rows, use.count, levels, times)


def overall(kinds: list[KnownUnits]) -> dict[str, tuple[float, float]]:
    """Share of each level that occurs, over all kinds: of distinct units, and of a network's layers."""
    levels = np.concatenate([one.levels for one in kinds])
    use = np.concatenate([one.use for one in kinds])
    everything = KnownUnits("", np.zeros((len(use), 0), dtype=np.int64), use, levels, kinds[0].times)
    return everything.shares()
