"""Drift: how fast the device is now, compared with when profiling began, from a sentinel kernel timed throughout."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

WINDOW = 7
JUMP = 0.10
THROTTLED = 1.5


@dataclass
class Drift:
    """The sentinel's recent times against its baseline.

    Attributes:
        baseline: its time in ms when profiling of this device began.
    """

    baseline: float
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    @property
    def factor(self) -> float:
        """What times of now are multiplied with: baseline over the median of the recent sentinels."""
        return self.baseline / float(np.median(self._recent)) if self._recent else 1.0

    def steady(self, ms: float) -> bool:
        """Take a new sentinel time; whether it is within 10 % of the last one.

        A jump forgets the older times: from then on the device runs at another speed.
        """
        last = self._recent[-1] if self._recent else ms
        steady = abs(ms / last - 1) <= JUMP
        if not steady:
            self._recent.clear()
        self._recent.append(ms)
        return steady

    @property
    def throttled(self) -> bool:
        """Whether for a while now the sentinel takes half as long again as at first."""
        return len(self._recent) == WINDOW and self.factor < 1 / THROTTLED

    def forget(self) -> None:
        """Forget the recent times."""
        self._recent.clear()
