"""Constraints on what only an evaluation tells: their chance, and few evaluations by `predictor` that miss them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from nas.search.likely import Limits
from nas.search.objective import parse_constraint
from nas.search.strategies import Strategy, strategy
from nas.search.strategies.base import Outlook
from nas.space import ArchBatch, Space, load_space
from nas.testing.strategies import whole_state

DECISIONS, BUDGET, BATCH = 10, 60, 6
LIMIT = parse_constraint("accuracy>=80%")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    path: Path = tmp_path_factory.mktemp("likely") / "space.yaml"
    rows = "".join(f"  x{i}: {{min: 0, max: 9, step: 1}}\n" for i in range(DECISIONS))
    path.write_text(f"version: 1\nname: likely\ndecisions:\n{rows}", encoding="utf-8")
    return load_space(path)


def _accuracy(batch: ArchBatch) -> np.ndarray:
    return 1 - ((batch.codes / 9 - np.linspace(0.3, 1, DECISIONS)) ** 2).mean(axis=1) * 2


def _macs(batch: ArchBatch) -> np.ndarray:
    return 1 + (batch.codes / 9).sum(axis=1)


def _searched(
    space: Space, objectives: Sequence[str], seed: int, told: bool, name: str = "predictor"
) -> Strategy:
    """A search for the objectives under the limit, of which the strategy is told or not."""
    directions = ["max" if metric == "accuracy" else "min" for metric in objectives]

    def cheap(batch: ArchBatch) -> tuple[np.ndarray, np.ndarray]:
        none = np.full(len(batch), np.nan)
        known = [none if metric == "accuracy" else _macs(batch) for metric in objectives]
        return np.stack(known, axis=1), np.zeros(len(batch))

    search = strategy(name, space, directions, seed=seed, cheap=cheap, budget=BUDGET)
    outlook = Outlook(
        tuple(objectives), ("macs",), ("accuracy",), False, constraints=(LIMIT,) if told else ()
    )
    search.check(outlook)
    return search


def _go_on(search: Strategy, objectives: Sequence[str], evaluations: int) -> Strategy:
    while len(search.archs) < evaluations:
        batch = search.ask(BATCH)
        accuracy = _accuracy(batch)
        columns = {"accuracy": accuracy, "macs": _macs(batch)}
        values = np.stack([columns[metric] for metric in objectives], axis=1)
        seen: dict[str, Any] = {name: columns[name] for name in search.observes}
        search.tell(batch, values, LIMIT.violation(accuracy), seen)
    return search


def test_the_chance_is_that_of_normal_values() -> None:
    limits = Limits.of([LIMIT, parse_constraint("macs<=5M")], ["macs", "accuracy"])
    mean, std = (
        np.array([[1.0, 0.75], [1.0, 0.9], [1.0, 0.8]]),
        np.array([[0.0, 0.05], [0.0, 0.0], [0.0, 0.0]]),
    )
    assert limits.chance(mean, std) == pytest.approx([norm.sf(0.8, 0.75, 0.05), 1.0, 1.0])
    assert limits.violation(mean) == pytest.approx([0.05 / 0.8, 0, 0])


@pytest.mark.parametrize("objectives", [("accuracy", "macs"), ("macs",)])
def test_fewer_evaluations_miss_a_limit_that_the_strategy_knows(
    space: Space, objectives: Sequence[str]
) -> None:
    missed = {
        told: np.mean(
            [
                (_go_on(_searched(space, objectives, seed, told), objectives, BUDGET).violations > 0)[
                    20:
                ].mean()
                for seed in range(3)
            ]
        )
        for told in (False, True)
    }
    assert missed[True] <= 0.5 < missed[False]


def test_the_cheapest_network_of_enough_accuracy_is_cheaper_than_random_search_finds(space: Space) -> None:
    def least(name: str, seed: int) -> float:
        search = _go_on(_searched(space, ("macs",), seed, True, name), ("macs",), BUDGET)
        return float(search.values[search.violations <= 0, 0].min(initial=np.inf))

    assert all(least("predictor", seed) < least("random", seed) for seed in range(3))


@pytest.mark.parametrize("objectives", [("accuracy", "macs"), ("macs",)])
def test_a_restored_search_goes_on_the_same(space: Space, objectives: Sequence[str]) -> None:
    search = _go_on(_searched(space, objectives, 0, True), objectives, 42)
    again = _searched(space, objectives, 0, True)
    again.restore(json.loads(json.dumps(whole_state(search))))
    first, second = (_go_on(each, objectives, BUDGET) for each in (search, again))
    assert first.archs.ids == second.archs.ids
