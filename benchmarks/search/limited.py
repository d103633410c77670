"""Slimming beside `random` and `predictor` under a bound of latency, at equal evaluations.

    python -m benchmarks.search.limited --seeds 10

Spaces and latencies are real, accuracies are those of the fixed surrogate of `benchmarks.search.phones`, with noise.
The bound is the latency of which a quarter of uniform draws stay below. A strategy is scored by the hypervolume within
the bound of the true values of what its evaluations say is the front, as a share of that of all searches of a space.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.search.bounded import DIRECTIONS, Problem
from benchmarks.search.phones import DEVICE, DRAWS, surrogate
from benchmarks.search.task import Floats, Task
from nas.latency.device import load_device
from nas.pipeline.feasible import Region
from nas.pipeline.metrics import CheapMetrics, cheap_function
from nas.search.objective import parse_constraint, parse_objectives
from nas.search.pareto import hypervolume, non_dominated
from nas.search.strategies import Strategy, strategy
from nas.settings import SearchSettings
from nas.space import ArchBatch, load_space

SPACES = ("elasticvit", "efficientformer", "efficientformer_v2", "turbovit")
SLIMMING, RIVALS = "slimming", ("random", "predictor")
BUDGET, SEEDS = 75, 10
"""Evaluations of the first command; and seeds."""


class Limited:
    """A space under a bound of latency.

    Attributes:
        limit: in milliseconds.
        task: the same without the bound, its evaluations with noise.
    """

    def __init__(self, name: str) -> None:
        self.space = load_space(name)
        self.problem: Problem = surrogate(self.space, DEVICE)
        drawn = self.problem.values(self.space.sample(DRAWS, seed=0))
        self.limit = float(np.quantile(drawn[:, 1], 0.25))
        floor = float(np.quantile(drawn[drawn[:, 1] <= self.limit, 0], 0.05))
        free = (False, True)
        bare = Task(name, self.space, DIRECTIONS, self.problem.values, free, (floor, self.limit), 1.0)
        self.task = bare.noisy()
        metrics = CheapMetrics(self.space, (load_device(DEVICE),))
        limits = [parse_constraint(f"latency<={self.limit}ms")]
        self._cheap = cheap_function(metrics, parse_objectives(["accuracy:max", "latency:min"]), limits)
        self._draws = Region(metrics, limits).draws

    def search(self, name: str, budget: int, seed: int) -> Floats:
        """True values, `(n, 2)`, of the front that a search's evaluations say there is."""
        made = strategy(name, self.space, DIRECTIONS, seed=seed, cheap=self._cheap, budget=budget)
        made.draw_from(self._draws)
        rng = np.random.default_rng([seed, 1])
        while len(made.archs) < budget:
            batch = made.ask(min(SearchSettings().batch_of(budget), budget - len(made.archs)))
            if not len(batch):
                break
            self._evaluate(made, batch, rng)
        inside = np.flatnonzero(made.violations <= 0)
        front = inside[non_dominated(made.values[inside], DIRECTIONS)]
        return self.problem.values(made.archs[front])

    def _evaluate(self, made: Strategy, batch: ArchBatch, rng: np.random.Generator) -> None:
        said = self.task.evaluated(self.problem.values(batch), rng)
        loss = -np.log(np.clip(said[:, 0], 1e-3, 1))
        made.tell(batch, said, self._cheap(batch)[1], {"loss": loss, "params": np.ones(len(batch))})

    def volume(self, values: Floats) -> float:
        """Hypervolume within the bound."""
        return hypervolume(values, self.task.reference, DIRECTIONS)


def compare(name: str, budget: int, seeds: int) -> str:
    """A line of the table."""
    limited = Limited(name)
    volumes = {
        method: np.array([limited.volume(limited.search(method, budget, seed)) for seed in range(seeds)])
        for method in (SLIMMING, *RIVALS)
    }
    most = max(float(each.max()) for each in volumes.values())
    own = volumes[SLIMMING]
    cells = [f"{name} | {limited.limit:.3g} ms | {budget}", f"{np.median(own) / most:.3f}"]
    for rival in RIVALS:
        ahead = int((own >= volumes[rival]).sum())
        cells.append(f"{np.median(volumes[rival]) / most:.3f}, ahead of it in {ahead} of {seeds}")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.limited")
    parser.add_argument("--spaces", nargs="+", default=SPACES)
    parser.add_argument("--budget", type=int, default=BUDGET)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    print("| space | bound | evaluations | slimming | " + " | ".join(RIVALS) + " |\n|" + "---|" * 6)
    for name in options.spaces:
        print(compare(name, options.budget, options.seeds), flush=True)


if __name__ == "__main__":
    main()
