"""Slimming by a number of evaluations: it reaches its target with them, and its front is ahead of random draws."""

from __future__ import annotations

import json
from functools import cache
from math import log

import numpy as np
import pytest

from nas.latency.device import load_device
from nas.pipeline.feasible import Region
from nas.pipeline.metrics import CheapMetrics, cheap_function
from nas.search.objective import parse_constraint, parse_objectives
from nas.search.pareto import hypervolume
from nas.search.strategies import Strategy, strategy
from nas.search.strategies.cuts import Pace, ranked
from nas.space import ArchBatch, load_space
from nas.testing.strategies import whole_state

DIRECTIONS = ("max", "min")
SLOWEST = 120.0  # ms: above all of ElasticViT's uniform draws


@cache
def _metrics(space: str) -> CheapMetrics:
    return CheapMetrics(load_space(space), (load_device("pixel6"),))


def _loss(batch: ArchBatch) -> np.ndarray:
    """A cross-entropy that falls smoothly with every decision, with diminishing returns, by different amounts."""
    rng = np.random.default_rng(5)
    counts = np.array([max(len(d) - 1, 1) for d in batch.space.decisions])
    share = np.sqrt(batch.codes / counts) @ rng.dirichlet(np.ones(len(counts)))
    return np.asarray(0.2 + 2.1 * np.exp(-2.5 * share))


def _made(
    space: str, name: str, budget: int, *constraints: str, seed: int = 0, **options: object
) -> Strategy:
    metrics, limits = _metrics(space), [parse_constraint(text) for text in constraints]
    cheap = cheap_function(metrics, parse_objectives(["accuracy:max", "latency:min"]), limits)
    made = strategy(name, metrics.space, DIRECTIONS, seed=seed, cheap=cheap, budget=budget, **options)
    made.draw_from(Region(metrics, limits).draws)
    return made


def _tell(search: Strategy, batch: ArchBatch, failed: bool = False) -> None:
    assert search.cheap is not None
    values, missed = search.cheap(batch)
    loss = np.full(len(batch), np.nan) if failed else _loss(batch)
    rows = np.stack([np.exp(-loss), values[:, 1]], axis=1)
    search.tell(batch, rows, missed, {"loss": loss, "params": np.ones(len(batch))})


def _run(search: Strategy, evaluations: int) -> Strategy:
    while len(search.archs) < evaluations:
        batch = search.ask(min(15, evaluations - len(search.archs)))
        if not len(batch):
            break
        _tell(search, batch)
    return search


@pytest.mark.parametrize(
    ("space", "limit", "budget"),
    [("elasticvit", 20, 50), ("elasticvit", 8, 100), ("fastervit_any", 600, 300), ("turbovit", 60, 50)],
)
def test_the_end_is_within_three_percent_of_the_constraint(space: str, limit: int, budget: int) -> None:
    search = _run(_made(space, "slimming", budget, f"latency<={limit}ms"), budget)
    costs = [step["cost"] for step in search.course()]
    assert costs == sorted(costs, reverse=True) and costs[-2] > limit
    assert 0.97 * limit <= costs[-1] <= limit
    assert 0.5 * budget <= len(search.archs) <= budget
    assert (search.values[search.violations == 0, 1] < 0.5 * limit).any()  # and it went on below


def test_its_front_is_ahead_of_random_draws() -> None:
    for constraints in ((), ("latency<=20ms",)):
        for seed in range(2):
            searched = [
                _run(_made("elasticvit", name, 40, *constraints, seed=seed), 40)
                for name in ("slimming", "random")
            ]
            slim, random = (
                hypervolume(each.values[each.violations == 0], (0.0, SLOWEST), DIRECTIONS)
                for each in searched
            )
            assert slim > random


def test_without_a_constraint_it_leads_to_the_smallest_network() -> None:
    search = _run(_made("tiny_vit", "slimming", 60), 60)
    assert search.cheap is not None
    costs = np.array([step["cost"] for step in search.course()])
    least = search.cheap(search.space.sample(20_000, seed=0))[0][:, 1].min()
    assert costs[-1] <= least and len(costs) == 1 + Pace(60, limited=False).cuts(1)
    steps = np.log(costs[:-1] / costs[1:])
    assert steps.max() < 2.5 * log(costs[0] / costs[-1]) / len(steps)  # even in the logarithm


def test_the_first_line_says_how_many_cuts_there_are() -> None:
    assert (
        "a cut costs 4 evaluations; about 11 cuts to the constraints, then on below them"
        in _made("elasticvit", "slimming", 75, "latency<=20ms").aim()
    )
    fixed = _made("elasticvit", "slimming", 75, "latency<=20ms", step=1)
    assert "a cut costs 28 evaluations; about 2 cuts, and about" in fixed.aim()
    assert "leave search.options.step out" in fixed.aim()
    assert len(fixed.ask(100)) == 29  # the start and every cut of one value


def test_a_cut_that_fails_is_composed_anew_and_nothing_is_asked_for_twice() -> None:
    search = _made("tiny_vit", "slimming", 60, "latency<=150ms")
    asked: list[str] = []
    while len(batch := search.ask(20)) and len(asked) < 60:
        asked += batch.ids
        _tell(search, batch, failed=len(search.course()) == 3 and len(asked) < 30)
    assert len(asked) == len(set(asked)) and search.course()[-1]["cost"] <= 150


def test_a_restored_walk_goes_on_identically() -> None:
    whole = _made("tiny_vit", "slimming", 60, "latency<=150ms")
    _run(whole, 25)
    resumed = _made("tiny_vit", "slimming", 60, "latency<=150ms")
    resumed.restore(json.loads(json.dumps(whole_state(whole))))
    for search in (whole, resumed):
        _run(search, 60)
    assert whole.archs.ids == resumed.archs.ids and whole_state(whole) == whole_state(resumed)


def test_what_loses_nothing_comes_first_then_what_loses_least_for_what_it_saves() -> None:
    lost, saved = np.array([0.2, -0.1, 0.1, 0.0]), np.array([1.0, 0.5, 1.0, 0.9])
    assert ranked(lost, saved).tolist() == [3, 1, 2, 0]
