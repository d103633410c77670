"""Where candidates are evaluated: one after the other here, or by workers elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from nas.metrics import Metric
from nas.pipeline.evaluating import Evaluator
from nas.space.batch import Arch, ArchBatch


@dataclass(frozen=True)
class Evaluated:
    """One evaluation.

    Attributes:
        arch_id: of the architecture.
        metrics: by name; empty where it has none, or where every try to evaluate it failed.
        wall_s: seconds it took.
    """

    arch_id: str
    metrics: dict[str, Metric]
    wall_s: float


class Pool(Protocol):
    """Evaluates architectures; results come in any order.

    Attributes:
        capacity: how many are worth submitting at once.
        asynchronous: whether the search may go on before a whole batch is evaluated.
    """

    capacity: int
    asynchronous: bool

    def submit(self, arch: Arch) -> None:
        """Queue one architecture."""

    def next(self) -> Evaluated:
        """Wait for the next result; there must be one to wait for."""

    def look(self, batch: ArchBatch) -> list[Mapping[str, Metric]]:
        """Metrics of each architecture by a cheap look, at once, in their order; empty where there is none."""


class LocalPool:
    """This process, one architecture at a time."""

    capacity = 1
    asynchronous = False

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._queue: deque[Arch] = deque()

    def submit(self, arch: Arch) -> None:
        """Queue one architecture."""
        self._queue.append(arch)

    def next(self) -> Evaluated:
        """Evaluate the first of the queue."""
        arch = self._queue.popleft()
        begun = time.monotonic()
        metrics = self.evaluator.evaluate(arch)
        return Evaluated(arch.id, metrics, time.monotonic() - begun)

    def look(self, batch: ArchBatch) -> list[Mapping[str, Metric]]:
        """Look at one after the other."""
        return [self.evaluator.look(arch) for arch in batch]
