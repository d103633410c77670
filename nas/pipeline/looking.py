"""A cheap look at candidates: how they do on few images, which ranks those that are worth an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.metrics import Metric
from nas.search.objective import Objective
from nas.space.batch import ArchBatch

Floats = NDArray[np.float64]


class Looking:
    """Looks at candidates and keeps what it saw until that is stored. No number of a look is a trial's.

    Args:
        look: metrics of each architecture of a batch on few images, by name.
        objectives: of the run, in the order of what a strategy is told.
    """

    def __init__(
        self, look: Callable[[ArchBatch], Sequence[Mapping[str, Metric]]], objectives: Sequence[Objective]
    ) -> None:
        self._look, self._objectives = look, objectives
        self._seen: list[dict[str, Any]] = []

    def __call__(self, batch: ArchBatch) -> Floats:
        """Objective values float `(n, m)` of a batch, NaN where a look says nothing of an objective."""
        rows = []
        for arch_id, metrics in zip(batch.ids, self._look(batch), strict=True):
            values = {name: metric.value for name, metric in metrics.items()}
            detail = next((metric.detail for metric in metrics.values()), "")
            self._seen.append({"arch_id": arch_id, **values, "detail": detail})
            rows.append([values.get(objective.metric, np.nan) for objective in self._objectives])
        return np.array(rows, dtype=np.float64).reshape(len(batch), len(self._objectives))

    def taken(self) -> list[dict[str, Any]]:
        """What was seen since the last call."""
        seen, self._seen = self._seen, []
        return seen
