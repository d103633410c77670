"""Contraction: limits shrink from the largest network to the constraints; the best of a round is contracted next."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nas
from nas.costs.counts import cost
from nas.errors import NasError
from nas.search.objective import parse_constraint, total_violation
from nas.search.strategies import strategy
from nas.search.strategies.base import Floats, Outlook
from nas.search.strategies.contraction import Contraction
from nas.space.batch import ArchBatch
from nas.space.space import Space
from nas.testing.strategies import whole_state

LIMITS = tuple(map(parse_constraint, ("params<=8M", "macs<=1.5G")))


@pytest.fixture(scope="module")
def space() -> Space:
    """TinyViT's."""
    return nas.load_space("tiny_vit")


def cheap(batch: ArchBatch) -> tuple[Floats, Floats]:
    costs = {name: values.astype(float) for name, values in cost(batch.space, batch).items()}
    values = np.stack([np.full(len(batch), np.nan), costs["params"]], axis=1)
    return values, total_violation(LIMITS, costs, len(batch))


def score(batch: ArchBatch, problem: int = 0) -> Floats:
    """More is better everywhere, a few decisions matter most, and all of them less the larger they are."""
    weights = np.random.default_rng(problem).dirichlet(np.full(len(batch.space.decisions), 0.5))
    shares = batch.codes / np.maximum([len(d) - 1 for d in batch.space.decisions], 1)
    return np.asarray((np.sqrt(shares) * weights).sum(axis=1))


def best_of(space: Space, name: str, seed: int, problem: int, budget: int = 96) -> float:
    """The best feasible score of a search."""
    made = strategy(name, space, ["max", "min"], seed=seed, cheap=cheap, budget=budget)
    while len(made.archs) < budget and len(batch := made.ask(8)):
        values, violations = cheap(batch)
        values[:, 0] = score(batch, problem)
        made.tell(batch, values, violations)
    return float(made.values[made.violations == 0, 0].max())


def test_limits_shrink_to_the_constraints(space: Space) -> None:
    made = Contraction(space, ["max", "min"], cheap=cheap, budget=64)
    first = float(cheap(made.start)[1][0])
    assert first > 1 and made.shrinking == 6
    missed = []
    for round_ in range(8):
        batch = made.ask(8)
        assert len(batch) == 8 and not len(made.ask(8)), "the round waits for its values"
        violations = cheap(batch)[1]
        limit = first * max(1 - (round_ + 1) / 6, 0)
        assert (violations <= limit + 1e-12).all()
        missed.append(violations.max())
        values = cheap(batch)[0]
        values[:, 0] = score(batch)
        made.tell(batch, values, violations)
        chosen = made.course()[-1]["arch_id"]
        if round_ < 6:
            assert chosen == batch.ids[int(score(batch).argmax())]
    assert missed[0] > 0.5 * first, "the first round changes little"
    assert missed[5:] == [0, 0, 0]


@pytest.mark.parametrize("problem", range(3))
def test_it_finds_better_networks_than_chance_in_as_many_evaluations(space: Space, problem: int) -> None:
    contracted, drawn = (
        [best_of(space, name, seed, problem) for seed in range(5)] for name in ("contraction", "random")
    )
    assert np.median(contracted) > np.median(drawn)


def test_it_goes_on_where_it_was_stopped(space: Space) -> None:
    """Within a round too, three of eight told."""
    first = Contraction(space, ["max", "min"], seed=3, cheap=cheap, budget=64)
    batch = first.ask(8)
    told = batch[np.arange(3)]
    first.tell(told, np.stack([score(told), score(told)], axis=1), cheap(told)[1])
    second = Contraction(space, ["max", "min"], seed=0, cheap=cheap, budget=64)
    second.restore(json.loads(json.dumps(whole_state(first))))
    rest = batch[np.arange(3, 8)]
    for made in (first, second):
        made.tell(rest, np.stack([score(rest), score(rest)], axis=1), cheap(rest)[1])
    assert first.ask(8).ids == second.ask(8).ids
    assert whole_state(first) == whole_state(second)


def test_what_it_cannot_do_without(space: Space) -> None:
    made = Contraction(space, ["min"], cheap=cheap)
    with pytest.raises(NasError, match="make accuracy an objective"):
        made.check(Outlook(("params",), ("params",), ("accuracy",), False))
    with pytest.raises(NasError, match="candidates is 0"):
        Contraction(space, ["max"], candidates=0)
    with pytest.raises(NasError, match="unknown preset"):
        Contraction(space, ["max"], start="12M")


def test_failed_evaluations_leave_the_network_as_it_is(space: Space) -> None:
    made = Contraction(space, ["max", "min"], cheap=cheap, budget=64)
    batch = made.ask(8)
    made.tell(batch, np.full((8, 2), np.nan), cheap(batch)[1])
    assert made.current.ids == made.start.ids and len(made.ask(8)) == 8
