"""The exact strategy: as every other, its first evaluations, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.costs.counts import cost, plan_for
from nas.errors import NasError
from nas.pipeline.metrics import CheapMetrics, cheap_function
from nas.pipeline.run import planned
from nas.pipeline.tabulated import tabulated
from nas.search.additive import AdditiveModel
from nas.search.objective import parse_constraint, parse_objectives
from nas.search.pareto import hypervolume
from nas.search.strategies import Strategy, strategy
from nas.search.strategies.exact import Exact
from nas.search.tabulated import Tabulated
from nas.space import ArchBatch, Space, load_space
from nas.testing.strategies import DIRECTIONS, PROPERTIES

OBJECTIVES = ("accuracy", "cost")


def _made(space: Space, directions: Any, *, seed: int = 0, cheap: Any = None, **options: Any) -> Strategy:
    """The strategy on the space of `nas.testing`, whose second objective is `b + 2 d - c`, and at most 2."""
    search = Exact(space, directions, seed=seed, cheap=cheap, **options)
    tables = [((1,), np.arange(4.0)), ((3,), 2 * np.arange(2.0)), ((2,), -np.arange(3.0))]
    search.tabulate(
        Tabulated({"cost": tables}, {} if cheap is None else {"cost": (-np.inf, 2.0)}), OBJECTIVES
    )
    return search


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_it_conforms(holds: Callable[..., None]) -> None:
    holds(_made, {"first": 10, "points": 5})


def _capacity(batch: ArchBatch) -> np.ndarray:
    """An accuracy with diminishing returns in how large each decision is, which therefore interact."""
    rng = np.random.default_rng(3)
    counts = np.array([len(d) - 1 for d in batch.space.decisions])
    share = batch.codes / counts
    return np.asarray(1 - np.exp(-2 * share @ rng.dirichlet(np.ones(len(counts)))))


def _searched(name: str, evaluations: int, *constraints: str, **options: Any) -> tuple[Strategy, float]:
    """A search of ElasticViT's space for accuracy and MACs, and its hypervolume."""
    space, objectives = load_space("elasticvit"), parse_objectives(["accuracy:max", "macs:min"])
    metrics, limits = CheapMetrics(space), [parse_constraint(text) for text in constraints]
    cheap = cheap_function(metrics, objectives, limits)
    search = strategy(name, space, DIRECTIONS, seed=1, cheap=cheap, budget=evaluations, **options)
    if isinstance(search, Exact):
        search.tabulate(tabulated(metrics, objectives, limits), ("accuracy", "macs"))
    while len(search.archs) < evaluations:
        batch = search.ask(min(20, evaluations - len(search.archs)))
        values, missed = cheap(batch)
        search.tell(batch, np.stack([_capacity(batch), values[:, 1]], axis=1), missed)
    feasible = search.violations == 0
    return search, hypervolume(search.values[feasible], (0.0, 1.5e9), DIRECTIONS) / 1.5e9


def test_it_is_ahead_of_evolution_at_80_evaluations() -> None:
    assert _searched("exact", 80)[1] > _searched("nsga2", 80)[1] + 0.05


def test_limits_on_sums_and_on_the_largest_layer_are_kept() -> None:
    search, _ = _searched("exact", 50, "macs<=300M", "params<=8M", "params>=7M", "memory<=4MB")
    counts = cost(search.space, search.archs)
    assert (counts["macs"] <= 300e6).all() and (counts["memory"] <= 4e6).all()
    assert (counts["params"] <= 8e6).all() and (counts["params"] >= 7e6).all()


def test_replacements_of_single_decisions_come_first_where_they_are_few() -> None:
    search, _ = _searched("exact", 96, first=96)
    codes = search.archs.codes
    changed = (codes[:, None, :] != codes[None, :, :]).sum(axis=2)
    assert (changed.max(axis=1) <= 2).any() or (changed <= 3).any(axis=1).sum() > 60


def test_effects_are_found_again() -> None:
    space = load_space("elasticvit")
    rng = np.random.default_rng(0)
    effects = [rng.normal(size=len(d)).cumsum() for d in space.decisions]
    drawn = space.sample(400, seed=1)
    values = sum(effect[drawn.codes[:, i]] for i, effect in enumerate(effects))
    model = AdditiveModel(space)
    model.fit(drawn[:250], np.where(np.arange(250) % 10 == 0, np.nan, values[:250]))
    rest = drawn[250:]
    assert np.corrcoef(model.predict(rest), values[250:])[0, 1] > 0.99
    told = sum(table[rest.codes[:, scope[0]]] for scope, table in model.worths())
    assert np.ptp(told - model.predict(rest)) < 1e-9


def test_finest_tables_add_up_to_the_same_costs() -> None:
    space = load_space("efficientformer_v2")
    batch, plan = space.sample(200, seed=0), plan_for(space)
    assert len(plan.apart.tables("macs")) > len(plan.tables("macs"))
    for name in ("macs", "params"):
        assert plan.apart(batch)[name] == pytest.approx(plan(batch)[name])
    assert (plan.apart(batch)["memory"] == plan(batch)["memory"]).all()


def test_what_exact_needs(tmp_path: Path, shared_data: Path) -> None:
    table = f"table:{shared_data / 'nasbench201' / 'nasbench201.csv.gz'}"
    with pytest.raises(NasError, match="only the architectures of its tables can be evaluated"):
        planned(
            "nasbench201", strategy="exact", accuracy=f"{table}#cifar100_top1", latency=f"{table}#pixel3_ms"
        )
    with pytest.raises(NasError, match=r"memory is no sum over layers.*memory<="):
        planned("elasticvit", strategy="exact", objectives=["accuracy:max", "memory:min"])
    with pytest.raises(NasError, match="needs an objective that is evaluated"):
        planned("elasticvit", strategy="exact", objectives=["macs:min"])
    with pytest.raises(NasError, match="needs its costs as tables"):
        strategy("exact", load_space("elasticvit"), DIRECTIONS).ask(1)
    with pytest.raises(NasError, match="first is a number from 2 on"):
        strategy("exact", load_space("elasticvit"), DIRECTIONS, first=1)
