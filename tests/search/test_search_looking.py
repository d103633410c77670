"""`predictor` with cheap looks: who is looked at, what comes of it, and that a restored search goes on the same."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nas.errors import NasError
from nas.search.pareto import hypervolume
from nas.search.strategies import Strategy, strategy
from nas.space import ArchBatch, Space, load_space
from nas.testing.strategies import whole_state

DIRECTIONS, BUDGET, TIMES = ("max", "min"), 60, 3


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    path = tmp_path_factory.mktemp("looking") / "space.yaml"
    rows = "".join(f"  x{i}: {{min: 0, max: 9, step: 1}}\n" for i in range(12))
    path.write_text(f"version: 1\nname: looking\ndecisions:\n{rows}", encoding="utf-8")
    return load_space(path)


def _values(batch: ArchBatch) -> np.ndarray:
    """A worth that no law on single decisions explains, and a cost; `(n, 2)`."""
    x = batch.codes / 9
    worth = np.sin(7 * x[:, ::2] * x[:, 1::2] + np.arange(6)).mean(axis=1)
    return np.stack([worth, 1 + x.sum(axis=1)], axis=1)


def _cheap(batch: ArchBatch) -> tuple[np.ndarray, np.ndarray]:
    values = _values(batch)
    values[:, 0] = np.nan
    return values, np.zeros(len(batch))


class _Seen:
    """Looks that err by a little, always the same for one network."""

    def __init__(self) -> None:
        self.batches: list[ArchBatch] = []

    def __call__(self, batch: ArchBatch) -> np.ndarray:
        self.batches.append(batch)
        noise = np.array([np.random.default_rng(int(key)).normal() for key in batch.hashes])
        return np.stack([_values(batch)[:, 0] - 0.2 + 0.05 * noise, np.full(len(batch), np.nan)], axis=1)


def _made(space: Space, seed: int, look: _Seen | None = None) -> Strategy:
    made = strategy("predictor", space, DIRECTIONS, seed=seed, cheap=_cheap, budget=BUDGET)
    if look is not None:
        made.look_with(look, TIMES)
    return made


def _run(search: Strategy, evaluations: int) -> Strategy:
    while len(search.archs) < evaluations:
        batch = search.ask(6)
        search.tell(batch, _values(batch))
    return search


def test_all_but_the_first_are_the_best_of_three_times_as_many_looks(space: Space) -> None:
    seen = _Seen()
    search = _run(_made(space, 0, seen), BUDGET)
    rounds = seen.batches[-3:]
    assert all(len(batch) <= TIMES * 6 for batch in rounds) and len(rounds[-1]) > 6
    looked = np.concatenate([batch.hashes for batch in seen.batches])
    assert len(np.unique(looked)) == len(looked)  # nothing is looked at twice
    assert np.isin(search.archs.hashes, looked).all()
    last = rounds[-1]
    taken = np.isin(last.hashes, search.archs.hashes)
    worth = _values(last)[:, 0]
    assert worth[taken].mean() > worth[~taken].mean()


def test_most_looks_are_at_children_of_what_was_evaluated(space: Space) -> None:
    seen = _Seen()
    search = _run(_made(space, 1, seen), BUDGET)
    evaluated = search.archs.codes[: BUDGET - 6]
    apart = (seen.batches[-1].codes[:, None] != evaluated[None]).sum(axis=2).min(axis=1)
    drawn = (space.sample(200, seed=0).codes[:, None] != evaluated[None]).sum(axis=2).min(axis=1)
    assert np.median(apart) < np.median(drawn) - 1


def test_looks_find_more_than_as_many_evaluations_without(space: Space) -> None:

    gains = []
    for seed in range(4):
        own, without = (
            hypervolume(_run(_made(space, seed, look), BUDGET).values, (-1.0, 13.0), DIRECTIONS)
            for look in (_Seen(), None)
        )
        gains.append(own - without)
    assert np.mean(gains) > 0


def test_a_restored_search_looks_at_the_same(space: Space) -> None:
    whole = _run(_made(space, 2, _Seen()), 36)
    resumed = _made(space, 2, _Seen())
    resumed.restore(json.loads(json.dumps(whole_state(whole))))
    for search in (whole, resumed):
        _run(search, BUDGET)
    assert whole.archs.ids == resumed.archs.ids
    assert json.dumps(whole_state(whole)) == json.dumps(whole_state(resumed))  # NaN is no NaN's equal


def test_a_state_of_an_earlier_version_is_read(space: Space) -> None:
    state = whole_state(_run(_made(space, 3, _Seen()), 30))
    del state["promising"]
    resumed = _made(space, 3, _Seen())
    resumed.restore(state)
    assert len(_run(resumed, 42).archs) == 42


def test_openers_that_take_the_first_evaluations_are_looked_at_afterwards(space: Space) -> None:
    """Else nobody knows that looks lie 0.2 below evaluations."""
    seen = _Seen()
    search = _made(space, 4, seen)
    known = space.sample(30, seed=9)
    search.tell(known, _values(known))
    batch = search.ask(6)
    assert np.isin(seen.batches[0].hashes, known.hashes).all() and len(seen.batches[0]) == 8
    assert search.looks.calibrated(search.archs, search.values, 0)[0] == pytest.approx(-0.2, abs=0.06)
    assert len(batch) == 6


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("predictor", {"population": 1}, "search.options.population is 1; at least 2 is possible"),
        ("predictor", {"explore": 1.5}, "search.options.explore is 1.5; 0 to 1 is possible"),
        ("nsga2", {"mutation": -1.0}, "search.options.mutation is -1; 0 to 1 is possible"),
        ("nsga2:elasticvit", {"first": 0}, "search.options.first is 0; at least 2 is possible"),
        ("nevergrad:TwoPointsDE", {"vectors": -1}, "search.options.vectors is -1; at least 1 is possible"),
    ],
)
def test_options_out_of_range_are_refused(
    space: Space, name: str, options: dict[str, float], says: str
) -> None:
    with pytest.raises(NasError, match=says):
        strategy(name, space, DIRECTIONS, **options)
