"""Times of units by the first source that knows them: free kinds, the table, the predictor's levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas import cache
from nas.errors import NasError
from nas.latency.predictor import LEVELS as PREDICTED
from nas.latency.predictor import Predictor
from nas.latency.report import SpreadReport
from nas.latency.residual import Residual
from nas.latency.rows import IntArray
from nas.latency.signature import format_signature, rows_of
from nas.latency.table import LatencyTable
from nas.latency.times import CODES, UnitTimes

LEVELS = ("free", "measured", "table", *PREDICTED, "unknown")


@dataclass(frozen=True)
class TimedUnits:
    """What is known of the times of a device's units.

    Attributes:
        name: the device's.
        table: exact times, or None.
        predictor: for the units the table lacks, or None.
        free: kinds of unit that cost no time of their own.
        parts: kinds of unit whose share of a network's time is kept apart, for the residual; None: no residual.
    """

    name: str
    table: LatencyTable | None
    predictor: Predictor | None
    free: frozenset[str]
    parts: Sequence[str] | None

    @property
    def digest(self) -> str | None:
        """64 hexadecimal digits over all that its times come from; None where that is not in files."""
        times = [known.digest for known in (self.table, self.predictor) if known is not None]
        if None in times:
            return None
        which = (self.table is not None, self.predictor is not None, sorted(self.free), self.parts)
        return cache.digest([repr(which), *(text for text in times if text)])

    @property
    def spread(self) -> SpreadReport | None:
        """How units' errors add up in networks."""
        return self.predictor.report.spread if self.predictor else None

    @property
    def residual(self) -> Residual | None:
        """What does not add up in networks."""
        return self.predictor.residual if self.predictor else None

    def unit_times(self, kind: str, sizes: Mapping[str, Any]) -> UnitTimes:
        """Times of `n` units of one kind (see `nas.latency.device.Device.unit_times`)."""
        rows = rows_of(kind, sizes)
        times = UnitTimes.exact(np.zeros(len(rows)), "counted")
        if kind in self.free:
            return times
        missing = np.ones(len(rows), dtype=bool)
        if self.table:
            found, known = self.table.lookup(kind, rows)
            times, missing = times.filled(found, known), ~found
        if not missing.any():
            return times
        if self.predictor is None:
            raise NasError(self._unknown(kind, format_signature(kind, rows[int(missing.argmax())])))
        return times.filled(missing, self.predictor.predict(kind, rows[missing]))

    def levels(self, kind: str, rows: IntArray) -> NDArray[np.uint8]:
        """Where the time of each unit comes from, positions in `LEVELS`, shape `(n,)`.

        Args:
            kind: kind of unit.
            rows: sizes, shape `(n, k)`.
        """
        levels = np.full(len(rows), LEVELS.index("free"), dtype=np.uint8)
        if kind in self.free:
            return levels
        missing = np.ones(len(rows), dtype=bool)
        if self.table:
            found, known = self.table.lookup(kind, rows)
            measured = known.provenance == CODES["measured"]
            levels[found] = np.where(measured, LEVELS.index("measured"), LEVELS.index("table"))
            missing = ~found
        levels[missing] = LEVELS.index("unknown")
        if missing.any() and self.predictor:
            levels[missing] = LEVELS.index(PREDICTED[0]) + self.predictor.levels(kind, rows[missing])
        return levels

    def _unknown(self, kind: str, signature: str) -> str:
        kinds = self.table.kinds if self.table else []
        if kind in kinds:
            why = f"its table lacks this {kind} unit"
        else:
            why = f"its table knows nothing of {kind!r} units, only of {', '.join(kinds) or 'none'}"
        return (
            f"device {self.name!r} cannot time `{signature}`: {why}, and it has no predictor. Fit one "
            f"(nas predictor fit), add the unit to the table, or choose another device."
        )
