"""ElasticViT's space on a phone: latencies as the tool predicts them, accuracies of a fixed surrogate.

The accuracy of an architecture is `A - C / MACs` plus the effects of its decisions: a smooth curve that saturates, a
parabola over the levels of each decision, and products of the levels of a few pairs. `A` and `C` are such that
60 million MACs have 67.2 % and 800 million 80.0 %, as the abstract of ElasticViT (arXiv 2303.09730) says of its
networks; the effects are drawn once, and their sum's standard deviation is 0.8 %. Nothing of it was trained: the space
and the latencies are real, the accuracies are made up.

The true front is known within two bounds: what was found, and what a Lagrangian bound allows, 2 % more hypervolume
(elimination is exact, but the front is not convex everywhere). Shares are of what was found.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.search import bounded
from benchmarks.search.bounded import Problem, Sums
from benchmarks.search.task import Floats, Task
from nas import cache
from nas.costs.counts import plan_for
from nas.costs.extremes import Table
from nas.latency.device import load_device
from nas.latency.plan import latency_plan
from nas.search.pareto import hypervolume
from nas.space import ArchBatch, Space, load_space

DEVICE = "pixel6"
SMALL, LARGE = (60e6, 0.672), (800e6, 0.800)
"""MACs and accuracy of the smallest and the largest published network."""
SATURATION = (LARGE[1] - SMALL[1]) / (1 / SMALL[0] - 1 / LARGE[0])
LIMIT = SMALL[1] + SATURATION / SMALL[0]
SLOPE, PAIRED, PAIRS = 0.0012, 0.0025, 15
"""Standard deviations of the effects' coefficients, and the number of pairs: so that all effects together have a
standard deviation of 0.008 over uniform draws, beside the curve's of 0.013."""
LATENCIES = np.linspace(1, 150, 20_000)
"""In milliseconds, beyond those of all architectures on both sides."""
DRAWS = 10_000
"""Uniform draws, of which quartiles are known to a hundredth of their range."""


def elasticvit() -> Task:
    """Accuracy of the surrogate, and the latency of a device, which is free."""
    space = load_space("elasticvit")
    problem = surrogate(space, DEVICE)
    front, _ = known_front(problem)
    reference = _reference(problem)
    reachable = hypervolume(problem.values(front), reference, bounded.DIRECTIONS)
    return Task("elasticvit", space, bounded.DIRECTIONS, problem.values, (False, True), reference, reachable)


def surrogate(space: Space, device: str) -> Problem:
    """The problem on a space with networks."""
    timed = load_device(device)
    effects, macs, latency = Sums(_effects(space)), plan_for(space), latency_plan(timed.units, space)

    def values(batch: ArchBatch) -> Floats:
        accuracy = LIMIT - SATURATION / macs(batch)["macs"] + effects.values(batch)
        return np.stack([accuracy, latency(batch)["latency"]], axis=1)

    return Problem(space, effects, macs, latency, LIMIT, SATURATION, values)


def _effects(space: Space) -> list[Table]:
    """A parabola for each decision, and products for some pairs of neighbors in the order of the space."""
    rng = np.random.default_rng(0)
    places = [np.linspace(-1, 1, len(d)) if len(d) > 1 else np.zeros(1) for d in space.decisions]
    tables: list[Table] = []
    for index, place in enumerate(places):
        straight, bent = rng.normal(size=2) * SLOPE
        tables.append(((index,), straight * place + bent * (place**2 - (place**2).mean())))
    near = [(a, b) for a, b in combinations(range(len(places)), 2) if b - a <= 4]
    for at in rng.permutation(len(near))[:PAIRS]:
        a, b = near[at]
        tables.append((near[at], rng.normal() * PAIRED * np.outer(places[a], places[b])))
    return tables


def known_front(problem: Problem) -> tuple[ArchBatch, Floats]:
    """The front as far as it is known, and the accuracies at `LATENCIES` that none exceeds.

    Kept on disk, as it takes half a minute.
    """
    sources = [file.read_text(encoding="utf-8") for file in (Path(__file__), Path(bounded.__file__))]
    key = [problem.space.digest, str(load_device(DEVICE).units.digest), *sources]
    stored = cache.load("benchmark", key)
    if stored is None:
        front, bound = bounded.bounds(problem)
        stored = {"codes": front.codes, "bound": bound(LATENCIES)}
        cache.save("benchmark", key, stored)
    return ArchBatch(problem.space, stored["codes"]), stored["bound"]


def _reference(problem: Problem) -> tuple[float, float]:
    """An accuracy that a quarter of uniform draws misses, and a latency that a quarter exceeds."""
    drawn = problem.values(problem.space.sample(DRAWS, seed=0))
    return float(np.quantile(drawn[:, 0], 0.25)), float(np.quantile(drawn[:, 1], 0.75))
