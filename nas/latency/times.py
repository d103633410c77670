"""Times of units, with how they were obtained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nas.latency.statistics import NORMAL
from nas.metrics import PROVENANCES, Provenance

_LEAST = 1e-3  # least low end of an interval, as a share of the time
FloatArray = NDArray[np.float64]
CodeArray = NDArray[np.uint8]

CODES: dict[Provenance, int] = {name: code for code, name in enumerate(PROVENANCES)}


@dataclass(frozen=True)
class UnitTimes:
    """Times of `n` units in milliseconds.

    Attributes:
        ms: the times, shape `(n,)`.
        provenance: positions in `nas.metrics.PROVENANCES`, shape `(n,)`; a larger one is less certain.
        low, high: ends of the 90 % interval in ms, shape `(n,)`; equal to `ms` where the source states none.
    """

    ms: FloatArray
    provenance: CodeArray
    low: FloatArray
    high: FloatArray

    @property
    def sigma(self) -> FloatArray:
        """Standard deviation in ms, shape `(n,)`: what the logarithm of the interval is for a normal error."""
        floor = np.maximum(_LEAST * self.ms, np.finfo(np.float64).tiny)
        ratio = np.maximum(self.high, floor) / np.maximum(self.low, floor)
        return np.asarray(self.ms * np.log(ratio) / (2 * NORMAL))

    @classmethod
    def exact(cls, ms: FloatArray, provenance: Provenance) -> Self:
        """Times of one provenance and without an interval."""
        return cls(ms, np.full(len(ms), CODES[provenance], dtype=np.uint8), ms, ms)

    def take(self, index: NDArray[np.int64]) -> UnitTimes:
        """The times at `index`."""
        return UnitTimes(self.ms[index], self.provenance[index], self.low[index], self.high[index])

    def filled(self, at: NDArray[np.bool_], other: UnitTimes) -> UnitTimes:
        """These times with `other`'s where `at` (shape `(n,)`) holds; `other` has one per true entry."""
        result = UnitTimes(self.ms.copy(), self.provenance.copy(), self.low.copy(), self.high.copy())
        for name in ("ms", "provenance", "low", "high"):
            getattr(result, name)[at] = getattr(other, name)
        return result
