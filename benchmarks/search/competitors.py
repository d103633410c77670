"""Who takes part: any strategy of ours by its name, and other libraries under theirs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol

from benchmarks.search.peers import PEERS
from benchmarks.search.task import Floats, Task
from nas.search.strategies import strategy
from nas.space import ArchBatch


class Searcher(Protocol):
    """What is asked for architectures and told what their evaluations say."""

    def ask(self, n: int) -> ArchBatch:
        """At most `n` architectures that were not asked for before; none where it has come to its end."""

    def tell(self, batch: ArchBatch, values: Floats) -> None:
        """Objective values `(n, m)` of architectures that were asked for."""


OURS = ("predictor", "nsga2", "nsga2:elasticvit", "nevergrad:TwoPointsDE", "random")
COMPETITORS = (*OURS, *PEERS)
ONE_BY_ONE, MOST = "optuna:GP", 250
"""A Gaussian process that is fitted anew for each proposal took 0.2 to 1.4 s for each at 20 evaluations."""


def searcher(name: str, task: Task, budget: int, batch: int, seed: int) -> Searcher:
    """A competitor at the start of a task.

    Args:
        budget: evaluations that it will have.
        batch: how many architectures it is asked for at once.

    Raises:
        NasError: nobody has this name.
    """
    if name in PEERS:
        return PEERS[name][0](task, budget, batch, seed)
    return strategy(name, task.space, task.directions, seed=seed, cheap=task.cheap, budget=budget)


def why_not(name: str, budget: int) -> str:
    """Why a competitor does not take part at a budget; empty where it does."""
    if name in PEERS and find_spec(PEERS[name][1]) is None:
        return f"{PEERS[name][1]} is not installed (python -m pip install '.[peers]')."
    if name == ONE_BY_ONE and budget > MOST:
        return f"it is asked one by one, and only for up to {MOST} evaluations."
    return ""
