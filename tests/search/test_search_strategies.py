"""Every strategy through the same tests; and a known true front."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nas.errors import NasError
from nas.pipeline.table import read_table
from nas.search.pareto import hypervolume, non_dominated
from nas.search.strategies import STRATEGIES, check_options, strategy
from nas.search.strategies.elasticvit import ElasticViTEvolution
from nas.search.strategies.nsga2 import NSGA2
from nas.space import ArchBatch, Space, load_space
from nas.testing.strategies import DIRECTIONS, PROPERTIES, small_space

NAMES = (
    *(name for name in STRATEGIES if name not in ("slimming", "contraction", "exact")),
    "nevergrad:TwoPointsDE",
    "nevergrad:OnePlusOne",
)
SMALL = {"nsga2": {"population": 12}, "nsga2:elasticvit": {"first": 16, "kept": 8}, "random": {}}
SMALL["generative"] = {"utility": "objective"}
SMALL["predictor"] = {"first": 12, "generations": 3, "population": 16}
SMALL |= {name: {"first": 8, "vectors": 3} for name in NAMES if name.startswith("nevergrad:")}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_a_strategy_conforms(name: str, holds: Callable[..., None]) -> None:
    holds(name, SMALL[name])


def test_errors() -> None:
    space = small_space()
    with pytest.raises(NasError, match="mean 'nsga2'"):
        strategy("nsga", space, DIRECTIONS)
    with pytest.raises(NasError, match="mean 'TwoPointsDE'"):
        strategy("nevergrad:TwoPontsDE", space, DIRECTIONS)
    with pytest.raises(NasError, match="mean 'vectors'"):
        strategy("nevergrad:DE", space, DIRECTIONS, vectrs=2)
    for option, said in {
        "budget": "set search.n_trials",
        "seed": "set seed",
        "cheap": "leave it out",
    }.items():
        with pytest.raises(NasError, match=rf"search\.options\.{option} is no option of a strategy; {said}"):
            check_options({"population": 3, option: 1})
    with pytest.raises(NasError, match="It is an option of generative"):
        strategy("nsga2", space, DIRECTIONS, utility="netscore")
    with pytest.raises(NasError, match="mean 'population'"):
        strategy("nsga2", space, DIRECTIONS, populaton=3)
    with pytest.raises(NasError, match="'min' or 'max'"):
        strategy("nsga2", space, ("up",))  # type: ignore[arg-type]
    search = strategy("random", space, DIRECTIONS)
    with pytest.raises(NasError, match="2 objectives"):
        search.tell(search.ask(2), [[1.0], [2.0]])
    with pytest.raises(NasError, match=r"\(3, 2\), but 2 architectures"):
        search.tell(search.ask(2), np.zeros((3, 2)))


def test_elasticvits_evolution_is_the_published_one_or_the_same_share_of_fewer_evaluations() -> None:
    space = small_space()
    for budget, first, kept in ((10_752, 512, 256), (100_000, 512, 256), (2_100, 100, 50), (40, 10, 5)):
        search = strategy("nsga2:elasticvit", space, DIRECTIONS, budget=budget)
        assert isinstance(search, ElasticViTEvolution)
        assert (search.first, search.population) == (first, kept) and not search.aim()
    assert "random search" in strategy("nsga2:elasticvit", space, DIRECTIONS, budget=40, first=40).aim()


@pytest.mark.parametrize(("objectives", "population"), [(1, 10), (2, 12), (3, 18)])
def test_the_population_of_nsga2_grows_with_budget_and_objectives(objectives: int, population: int) -> None:
    space, directions = small_space(), ("min",) * objectives
    small, large = (strategy("nsga2", space, directions, budget=budget) for budget in (100, 10_000))
    assert isinstance(small, NSGA2) and isinstance(large, NSGA2)
    assert (small.population, large.population) == (population, 50)
    tiny = strategy("nsga2", space, directions, budget=8)  # as many as a longer one has, which it may become
    assert isinstance(tiny, NSGA2) and tiny.population == 10 and "More --n-trials" in tiny.aim()


def _everything(space: Space) -> ArchBatch:
    grid = np.indices([len(d) for d in space.decisions]).reshape(len(space.decisions), -1).T
    batch = ArchBatch(space, grid)
    return batch[np.flatnonzero(space.valid(batch))]


@cache
def _nasbench(folder: Path) -> tuple[Space, ArchBatch, np.ndarray]:
    space = load_space("nasbench201")
    every = _everything(space)
    text = f"table:{folder / 'nasbench201' / 'nasbench201.csv.gz'}"
    top1 = read_table(f"{text}#cifar100_top1", space, metric="accuracy", percent=True)
    latency = read_table(f"{text}#pixel3_ms", space, metric="latency")
    return space, every, np.stack([top1.values(every), latency.values(every)], axis=1)


def _reached(folder: Path, name: str, evaluations: int, seed: int, batch: int = 50) -> float:
    """Share of the true hypervolume found within a number of evaluations."""
    space, every, values = _nasbench(folder)
    rows = {value: index for index, value in enumerate(every.hashes.tolist())}
    search = strategy(name, space, DIRECTIONS, seed=seed)
    found: list[int] = []
    while len(found) < evaluations:
        asked = search.ask(min(batch, evaluations - len(found)))
        index = [rows[value] for value in asked.hashes.tolist()]
        search.tell(asked, values[index])
        found += index
    reference = (float(np.nanmin(values[:, 0])), float(np.nanmax(values[:, 1])))
    total = hypervolume(values[non_dominated(values, DIRECTIONS)], reference, DIRECTIONS)
    return hypervolume(values[found], reference, DIRECTIONS) / total


def test_the_table_is_whole(shared_data: Path) -> None:
    _, every, values = _nasbench(shared_data)
    assert len(every) == 15_625 and not np.isnan(values).any()
    assert 0.7 < values[:, 0].max() < 0.75


def test_nsga2_finds_the_front_of_nasbench201(shared_data: Path) -> None:
    shares = [_reached(shared_data, "nsga2", 800, seed) for seed in range(3)]
    assert min(shares) >= 0.95


def test_nsga2_and_predictor_beat_random_search(shared_data: Path) -> None:
    at_300 = {
        n: [_reached(shared_data, n, 300, s) for s in range(2)] for n in ("random", "nsga2", "predictor")
    }
    assert np.mean(at_300["nsga2"]) > np.mean(at_300["random"])
    assert np.mean(at_300["predictor"]) > np.mean(at_300["random"])


@pytest.mark.parametrize(
    ("name", "option", "value", "words"),
    [
        ("nsga2", "population", "many", "population is 'many': input should be a valid integer"),
        ("nsga2", "population", 0, "population is 0; at least 2"),
        ("slimming", "step", "two", "step is 'two'"),
        ("generative", "probes", 1.5, "probes is 1.5: input should be a valid integer"),
        ("generative", "prototype", 5, "prototype is 5: input should be a valid string"),
    ],
)
def test_an_option_of_another_type_is_explained(name: str, option: str, value: object, words: str) -> None:
    with pytest.raises(NasError, match=re.escape(words)):
        strategy(name, load_space("elasticvit"), ("max", "min"), **{option: value})
