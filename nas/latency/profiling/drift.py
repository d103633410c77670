"""Drift: how fast the device is now, compared with when profiling began, from a sentinel kernel timed throughout."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from nas.errors import NasError

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

        Raises:
            NasError: for a while now the sentinel takes half as long again as at first.
        """
        last = self._recent[-1] if self._recent else ms
        steady = abs(ms / last - 1) <= JUMP
        if not steady:
            self._recent.clear()
        self._recent.append(ms)
        if len(self._recent) == WINDOW and self.factor < 1 / THROTTLED:
            raise NasError(
                f"the device is throttled or busy: the sentinel kernel takes {1 / self.factor:.1f} times as long as "
                f"when profiling began ({self.baseline:.3f} ms). Nothing is lost; let it cool down, stop what else "
                f"runs, and give the same command again."
            )
        return steady
