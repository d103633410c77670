"""The asynchronous search: a new candidate as soon as any worker is free, so that none waits for the slowest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.pipeline.pool import Evaluated
from nas.pipeline.progress import Interrupt, Reporter
from nas.pipeline.training import Interrupted
from nas.space.batch import ArchBatch, concatenate

if TYPE_CHECKING:
    from nas.pipeline.searching import Search


class Stream:
    """One asynchronous search.

    Candidates are asked for a batch at a time, because asking one of some strategies (a predictor's search) takes
    as long as asking many, and so early that every worker still has one to do and one to go on with.
    Results are told and stored as many at a time as there are workers. Candidates without a stored result are
    written down with each checkpoint, and evaluated first when the search is resumed, so that none is lost.
    """

    def __init__(self, search: Search, task: Any) -> None:
        self.search, self.task = search, task
        self.waiting: dict[str, tuple[ArchBatch, float]] = {}
        self.done: list[Evaluated] = []
        self.since = time.monotonic()

    def run(self, reporter: Reporter, interrupt: Interrupt) -> None:
        """Search to the end, or to the deadline.

        Raises:
            Interrupted: stopped; what has no result yet is evaluated on resumption.
        """
        if self.search.progress.unfinished:
            codes = np.array(self.search.progress.unfinished, dtype=np.int16)
            self._submit(ArchBatch(self.search.plan.space, codes))
        exhausted = late = False
        while True:
            if interrupt.asked:
                if self.done:
                    self._learn()
                raise Interrupted
            free = self._free()
            late = late or (free > 0 and self.search.late(reporter))
            if free > 0 and not exhausted and not late:
                batch = self.search.ask(min(free, self.search.size))
                exhausted = not len(batch) and not self._flying
                self._submit(batch)
            if not self._flying:
                break
            self.done.append(self.search.pool.next())
            self.task.advance()
            if len(self.done) >= self.search.pool.capacity or not self._flying:
                self._learn()
        if exhausted:
            self.search.say_exhausted(reporter)

    @property
    def _flying(self) -> int:
        return len(self.waiting) - len(self.done)

    def _free(self) -> int:
        search = self.search
        left = search.plan.settings.search.n_trials - search.progress.trials - len(self.waiting)
        wanted = search.size if self._flying < 2 * search.pool.capacity else 0
        return min(max(wanted, 0), left)

    def _submit(self, batch: ArchBatch) -> None:
        if not len(batch):
            return
        predicted = self.search.predict(batch)
        for index, arch in enumerate(batch):
            guess = np.nan if predicted is None else float(predicted[index])
            self.waiting[arch.id] = (batch[np.array([index])], guess)
            self.search.pool.submit(arch)

    def _learn(self) -> None:
        results, self.done = self.done, []
        told = [self.waiting.pop(result.arch_id) for result in results]
        rest = [item for item, _ in self.waiting.values()]
        self.search.progress.unfinished = concatenate(rest).codes.tolist() if rest else []
        guesses = np.array([guess for _, guess in told])
        predicted = None if np.isnan(guesses).any() else guesses
        self.search.learn(concatenate([item for item, _ in told]), results, predicted, self.since)
        self.since = time.monotonic()
