"""One run: a competitor on a task, with a budget and a seed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from benchmarks.search.competitors import searcher
from benchmarks.search.task import Floats, Task
from nas.search.pareto import non_dominated
from nas.settings import SearchSettings


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    task: str
    competitor: str
    budget: int
    batch: int
    seed: int

    @property
    def key(self) -> str:
        """By which its result is kept."""
        return f"{self.task} / {self.competitor} / {self.budget} / {self.batch} / {self.seed}"


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        share: of the reachable hypervolume that the true values of all evaluated architectures cover.
        front_share: that of those alone which are on the front of what the evaluations say, as a user is given them.
        evaluations: distinct architectures evaluated; fewer than planned where the competitor came to its end.
        cpu_s: CPU seconds per evaluation that the competitor used.
    """

    share: float
    front_share: float
    evaluations: int
    cpu_s: float


def usual_batch(budget: int) -> int:
    """How many architectures the tool asks for at once."""
    return SearchSettings().batch_of(budget)


def run(task: Task, competitor: str, budget: int, batch: int, seed: int) -> Result:
    """Run a competitor to the end of its budget, and score it by true values."""
    rng = np.random.default_rng([seed, 1])
    true, said = [np.zeros((0, len(task.directions)))], [np.zeros((0, len(task.directions)))]
    evaluations, start = 0, time.process_time()
    search = searcher(competitor, task, budget, batch, seed)
    cpu = time.process_time() - start
    while evaluations < budget:
        start = time.process_time()
        asked = search.ask(min(batch, budget - evaluations))
        cpu += time.process_time() - start
        if not len(asked):
            break
        true.append(task.values(asked))
        said.append(task.evaluated(true[-1], rng))
        evaluations += len(asked)
        start = time.process_time()
        search.tell(asked, said[-1])
        cpu += time.process_time() - start
    return _scored(task, np.concatenate(true), np.concatenate(said), cpu)


def _scored(task: Task, true: Floats, said: Floats, cpu: float) -> Result:
    front = non_dominated(said, task.directions)
    return Result(task.share(true), task.share(true[front]), len(true), cpu / max(len(true), 1))
