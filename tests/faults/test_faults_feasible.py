"""Constraints that few architectures satisfy: none is refused by a sample, none is given up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.costs import cost
from nas.costs.counts import plan_for
from nas.costs.extremes import cheapest
from nas.errors import NasError
from nas.pipeline.feasible import Region
from nas.pipeline.metrics import CheapMetrics, cheap_function
from nas.search.objective import parse_constraint, parse_objectives
from nas.search.strategies import strategy
from nas.space import Space, load_space
from nas.space.batch import ArchBatch

STRATEGIES = ("random", "nsga2", "nsga2:elasticvit", "predictor", "nevergrad:TwoPointsDE")
SMALL = """\
version: 1
name: small
input: {resolution: 32, channels: 3, classes: 10}
rules:
  - s1.width <= s2.width
stages:
  first: {block: conv_stem, stride: 2, width: 8}
  s1:
    block: mbconv
    depth: {min: 1, max: 2}
    width: [8, 16, 24]
    kernel: {values: [3, 5], per: block}
    expansion: [1, 4]
  s2: {block: mbconv, depth: {min: 1, max: 2}, stride: 2, width: [16, 24, 40], kernel: [3, 5], expansion: [2, 4]}
  head: {block: pooled_head, expansion: 2, hidden: 8}
"""


@cache
def large() -> Space:
    return load_space("elasticvit")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Space:
    file = tmp_path_factory.mktemp("space") / "small.yaml"
    file.write_text(SMALL)
    return load_space(file)


def every(space: Space) -> ArchBatch:
    """Every valid architecture, by brute force."""
    codes = np.array(list(product(*[range(len(d)) for d in space.decisions])), dtype=np.int16)
    batch = space.decode(codes).unique()
    return batch[np.flatnonzero(space.valid(batch))]


def region(space: Space, *constraints: str) -> Region:
    return Region(CheapMetrics(space), [parse_constraint(text) for text in constraints])


def feasible(space: Space, batch: ArchBatch, constraints: Sequence[str]) -> NDArray[np.bool_]:
    """As brute force says, from counted costs."""
    costs = cost(space, batch)
    parsed = [parse_constraint(text) for text in constraints]
    return np.all(
        [costs[c.metric] <= c.bound if c.upper else costs[c.metric] >= c.bound for c in parsed], axis=0
    )


def test_the_cheapest_and_dearest_are_those_of_brute_force(small: Space) -> None:
    batch, plan, rng = every(small), plan_for(small), np.random.default_rng(0)
    costs = cost(small, batch)
    for _ in range(20):
        weights = {"macs": float(rng.normal()), "params": 50 * float(rng.normal())}
        ceiling = float(rng.choice(costs["memory"]))
        sums = sum(weight * costs[name] for name, weight in weights.items())
        best, least = cheapest(
            small, [(plan, name, weight) for name, weight in weights.items()], [(plan, "memory", ceiling)]
        )
        allowed = costs["memory"] <= ceiling
        assert least == pytest.approx(sums[allowed].min())
        values = cost(small, best)
        assert sum(weights[name] * values[name][0] for name in weights) == pytest.approx(least)
        assert small.valid(best).all() and values["memory"][0] <= ceiling


def test_a_region_is_empty_only_where_brute_force_finds_nothing(small: Space) -> None:
    """Narrow windows around the costs of random architectures, moved a little off them."""
    batch, rng = every(small), np.random.default_rng(1)
    costs = cost(small, batch)
    verdicts = []
    for index in range(24):
        at, moved = rng.integers(len(batch)), index % 2
        macs = int(costs["macs"][at]) + moved * int(rng.choice([0, 1, -1]))
        params = int(costs["params"][at]) + moved * int(rng.choice([1, -1]))
        bounds = [f"macs>={macs}", f"macs<={macs}", f"params>={params}", f"params<={params}"]
        there = feasible(small, batch, bounds)
        verdicts.append(bool(there.any()))
        wanted = region(small, *bounds)
        if there.any():
            wanted.check()
            assert feasible(small, wanted.draws.draw(5, rng), bounds).all()
        else:
            with pytest.raises(NasError, match="no feasible architecture"):
                wanted.check()
    assert 8 < sum(verdicts) < 16


@pytest.mark.parametrize(
    "bounds",
    [
        ("macs>=63M", "macs<=72M"),
        ("macs<=80M", "params>=9M"),
        ("macs<=45M",),
        ("params<=5.7M",),
        ("macs>=3.1G",),
        ("memory<=1.9MB", "macs>=620M"),
    ],
)
def test_what_no_sample_of_twenty_thousand_holds_is_drawn(bounds: tuple[str, ...]) -> None:
    space = large()
    assert feasible(space, space.sample(20_000, seed=0), bounds).mean() < 0.001
    wanted = region(space, *bounds)
    wanted.check()
    batch = wanted.draws.draw(200, np.random.default_rng(3))
    assert len(batch) == 200 and len(batch.unique()) > 20
    assert feasible(space, batch, bounds).all() and space.valid(batch).all()


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        (("macs<=38M",), "lies between 38,286,208 MACs and"),
        (("macs<=80M", "params>=20M"), "No architecture of the space satisfies all constraints together"),
        (("memory<=500KB",), "No architecture of the space needs so little memory"),
        (("params>=40M", "macs>=100M"), "lies between"),
    ],
)
def test_that_nothing_is_feasible_is_proved(bounds: tuple[str, ...], why: str) -> None:
    with pytest.raises(NasError) as refused:
        region(large(), *bounds).check()
    assert "no feasible architecture" in str(refused.value) and why in str(refused.value)
    assert "may exist" not in str(refused.value)


def test_what_is_only_not_found_is_not_called_impossible() -> None:
    with pytest.raises(NasError, match="None was found among") as refused:
        region(large(), "macs>=38.29M", "macs<=38.3M").check()
    assert "one may exist all the same" in str(refused.value)


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_asks_for_an_infeasible_architecture(name: str) -> None:
    space, bounds = large(), ("macs>=63M", "macs<=72M")
    metrics, constraints = CheapMetrics(space), [parse_constraint(text) for text in bounds]
    cheap = cheap_function(metrics, parse_objectives(["params:max", "macs:min"]), constraints)
    search = strategy(name, space, ["max", "min"], seed=1, cheap=cheap, budget=60)
    search.draw_from(Region(metrics, constraints).draws)
    for _ in range(6):
        batch = search.ask(10)
        assert len(batch) == 10 and feasible(space, batch, bounds).all()
        costs = cost(space, batch)
        search.tell(batch, np.stack([costs["params"], costs["macs"]], axis=1).astype(float))


def test_a_strategy_alone_finds_the_region_by_itself() -> None:
    """Without a plan behind it, and so without windows."""
    space, constraints = large(), [parse_constraint("macs<=55M")]
    cheap = cheap_function(CheapMetrics(space), parse_objectives(["params:max"]), constraints)
    search = strategy("random", space, ["max"], cheap=cheap)
    assert feasible(space, search.ask(30), ("macs<=55M",)).all()


def test_a_feasible_set_is_asked_for_to_its_end(small: Space) -> None:
    batch = every(small)
    bound = int(np.sort(cost(small, batch)["macs"])[6])
    inside = batch[np.flatnonzero(feasible(small, batch, (f"macs<={bound}",)))]
    wanted = region(small, f"macs<={bound}")
    cheap = cheap_function(wanted.metrics, parse_objectives(["params:max"]), wanted.constraints)
    search = strategy("random", small, ["max"], cheap=cheap)
    search.draw_from(wanted.draws)
    assert set(search.ask(100).ids) == set(inside.ids) and not len(search.ask(10))


def test_a_run_in_a_narrow_window_spends_no_trial_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nas

    monkeypatch.chdir(tmp_path)
    study = nas.run(
        "elasticvit", objectives=["macs:min", "params:max"], constraints=["macs>=63M", "macs<=64M"],
        strategy="nsga2", n_trials=30, report=False,
    )  # fmt: skip
    assert list(study.trials()["state"]) == ["complete"] * 30


def test_a_small_budget_leaves_nsga2_something_to_select(small: Space) -> None:
    """With a population of the whole budget it asked for the same architectures as random search."""
    directions = ["min", "max"]
    cheap = cheap_function(CheapMetrics(small), parse_objectives(["macs:min", "params:max"]), [])
    asked = {}
    for name in ("random", "nsga2"):
        search = strategy(name, small, directions, seed=0, cheap=cheap, budget=40)
        batches = []
        for _ in range(8):
            batches.append(search.ask(5))
            search.tell(batches[-1], cheap(batches[-1])[0])
        asked[name] = [arch for batch in batches for arch in batch.ids]
    assert len({*asked["random"]} & {*asked["nsga2"]}) < 30


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("nsga2", {"population": 50}, "a population of 50 is not smaller than the 40 evaluations"),
        ("nevergrad:TwoPointsDE", {"first": 30}, "30 of 40 evaluations are uniform draws"),
        ("nsga2", {}, ""),
        ("nevergrad:TwoPointsDE", {}, ""),
    ],
)
def test_a_search_that_is_random_says_so(
    small: Space, name: str, options: dict[str, int], words: str
) -> None:
    said = strategy(name, small, ["min"], budget=40, **options).aim()
    assert words in said and bool(words) == bool(said)
