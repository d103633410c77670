"""The generative strategy where the best architecture is known by brute force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from nas.costs.counts import cost
from nas.errors import NasError
from nas.search.strategies import strategy
from nas.search.strategies.base import Outlook
from nas.search.strategies.generative import Generative, rank_weights
from nas.search.utility import Utility
from nas.space import Arch, ArchBatch, Space, load_space
from nas.testing.strategies import whole_state

DIRECTIONS = ("max", "min")
BOX = 24e3
TEXT = """\
version: 1
name: s
input: {resolution: 32, channels: 3, classes: 4}
decisions: {a: [1, 2, 3, 4, 5, 6, 7, 8], b: [1, 2, 3, 4, 5, 6, 7, 8]}
stages:
  embed: {block: patch_embed, stride: 4, width: S.width, kernel: 5}
  unroll: {block: unroll, span: 8, mask_unit: 8}
  S: {block: hiera, depth: {min: 1, max: 8}, width: {min: 8, max: 32, step: 8}, heads: [1, 2], mlp_ratio: [2, 3, 4]}
  head: {block: mean_head}
rules: [a + b <= 12]
"""


def _space(folder: Path) -> Space:
    path = folder / "s.yaml"
    path.write_text(TEXT)
    return load_space(path)


def _accuracy(batch: ArchBatch) -> np.ndarray:
    """Best with a = 6, b = 3; depth and width help, with diminishing returns."""
    c = batch.codes.astype(float)
    hill = np.exp(-((c[:, 0] - 5) ** 2 + (c[:, 1] - 2) ** 2) / 8)
    size = 1 - np.exp(-0.35 * (c[:, 2] + 1)) * np.exp(-0.3 * (c[:, 3] + 1))
    return np.asarray(0.1 + 0.85 * hill * size * (1 - 0.05 * (c[:, 4] == 0)))


def _cheap(batch: ArchBatch) -> tuple[np.ndarray, np.ndarray]:
    params = cost(batch.space, batch)["params"].astype(float)
    return np.stack([np.full(len(batch), np.nan), params], axis=1), np.maximum(params / BOX - 1, 0)


def _utility(batch: ArchBatch) -> np.ndarray:
    return Utility()(_accuracy(batch), {k: v.astype(float) for k, v in cost(batch.space, batch).items()})


def _everything(space: Space) -> ArchBatch:
    shape = [len(d) for d in space.decisions]
    batch = ArchBatch(space, np.stack([axis.ravel() for axis in np.indices(shape)], axis=1))
    return batch[np.flatnonzero(space.valid(batch) & (_cheap(batch)[1] == 0))]


def _responses(arch: Arch) -> Mapping[str, float]:
    accuracy = float(_accuracy(arch.space.encode([arch]))[0])
    return {"loss": 2 - accuracy, "S.rank": 0.3 + accuracy / 2}


def _make(space: Space, seed: int, probed: bool = False, **options: object) -> Generative:
    made = strategy("generative", space, DIRECTIONS, seed=seed, cheap=_cheap, **options)
    assert isinstance(made, Generative)
    if probed:
        made.equip(lambda batch: {k: v.astype(float) for k, v in cost(space, batch).items()}, _responses)
    return made


def _tell(search: Generative, batch: ArchBatch) -> None:
    accuracy = _accuracy(batch)
    values = np.stack([accuracy, _cheap(batch)[0][:, 1]], axis=1)
    search.tell(batch, values, _cheap(batch)[1], {"accuracy": accuracy})


def _searched(search: Generative, rounds: int) -> float:
    for _ in range(rounds):
        _tell(search, search.ask(10))
    return float(_utility(search.archs).max())


def test_it_finds_the_best_of_the_space(tmp_path: Path) -> None:
    space = _space(tmp_path)
    everything = _everything(space)
    known = np.sort(_utility(everything))[::-1]
    found = [_searched(_make(space, seed), 12) for seed in range(5)]
    probed = [_searched(_make(space, seed, probed=True), 12) for seed in range(5)]
    assert len(everything) > 2500
    assert np.median(found) >= known[round(0.005 * len(known))]
    assert np.median(probed) >= known[2] and np.mean(probed) >= np.mean(found)
    random = [
        _utility(everything[np.random.default_rng(s).choice(len(everything), 120)]).max() for s in range(5)
    ]
    assert np.mean(random) < np.mean(found)


def test_what_violates_the_box_is_never_asked_for_and_becomes_rare(tmp_path: Path) -> None:
    search = _make(_space(tmp_path), 0)
    _searched(search, 10)
    assert (_cheap(search.archs)[1] == 0).all()
    shares = [step["feasible"] for step in search.course()]
    uniform = float((_cheap(search.space.sample(4000, seed=0))[1] == 0).mean())
    assert shares[-1] > uniform


def test_the_course_tells_how_the_distribution_moved(tmp_path: Path) -> None:
    search = _make(_space(tmp_path), 1, probed=True)
    _searched(search, 10)
    steps = search.course()
    assert [step["evaluated"] for step in steps] == list(range(10, 101, 10))
    assert steps[-1]["best"] == pytest.approx(float(search.utilities.max()))
    last = steps[-1]["decisions"]
    assert list(last) == [d.name for d in search.space.decisions]
    assert last["a"]["values"][int(np.argmax(last["a"]["now"]))] in (5, 6, 7)
    assert last["a"]["moved"] > last["S.heads"]["moved"] and sum(last["a"]["now"]) == pytest.approx(1)
    assert np.std(last["a"]["effects"]) > 3 * np.std(last["S.heads"]["effects"])
    assert 100 <= steps[-1]["probed"] <= 200 and 0 < steps[-1]["skill"] <= 1
    json.dumps(steps)


def test_results_told_one_by_one_move_it_as_far_as_told_together(tmp_path: Path) -> None:
    """Workers tell in parts; many small steps must not freeze the generator early."""
    moved = []
    for size in (8, 1):
        search = _make(_space(tmp_path), 0)
        for _ in range(4):
            batch = search.ask(8)
            for start in range(0, 8, size):
                _tell(search, batch[np.arange(start, start + size)])
        moved.append(sum(found["moved"] for found in search.course()[-1]["decisions"].values()))
    assert 0.4 < moved[1] / moved[0] < 1.6


@pytest.mark.parametrize("probed", [False, True])
def test_resumed_it_goes_on_bit_for_bit(probed: bool, tmp_path: Path) -> None:
    space = _space(tmp_path)
    whole, again = _make(space, 3, probed), _make(space, 3, probed)
    _searched(whole, 3)
    again.restore(json.loads(json.dumps(whole_state(whole))))
    for search in (whole, again):
        _searched(search, 3)
    assert whole.archs.ids == again.archs.ids and whole_state(whole) == whole_state(again)


def test_generated_architectures_are_new_unique_and_feasible(tmp_path: Path) -> None:
    search = _make(_space(tmp_path), 0)
    _searched(search, 8)
    made = search.generate(100, np.random.default_rng(0))
    assert len(made) == 100 == len(set(made.ids)) and not set(made.ids) & set(search.archs.ids)
    assert search.space.valid(made).all() and (_cheap(made)[1] == 0).all()
    drawn = search.space.sample(4000, seed=0)
    drawn = drawn[np.flatnonzero(_cheap(drawn)[1] == 0)]
    assert np.median(_utility(made)) > np.quantile(_utility(drawn), 0.8)


def test_generating_ends_where_nothing_is_left(tmp_path: Path) -> None:
    search = _make(_space(tmp_path), 0)
    assert len(search.generate(10, np.random.default_rng(0), lambda batch: np.ones(len(batch)))) == 0


def test_generating_more_than_there_are_ends(tmp_path: Path) -> None:
    search = _make(_space(tmp_path), 0)
    space = search.space
    everything = space.sample(200_000, seed=0).unique()
    feasible = everything[np.flatnonzero(_cheap(everything)[1] == 0)]
    made = search.generate(100_000, np.random.default_rng(0))
    assert len(made) == len(set(made.ids)) and set(made.ids) <= set(feasible.ids)
    assert len(made) > 0.5 * len(feasible)


def test_generating_goes_on_while_samples_are_rarely_feasible_and_stops_in_vain(tmp_path: Path) -> None:
    search = _make(_space(tmp_path), 0)
    drawn: list[int] = []

    def only(batch: ArchBatch) -> np.ndarray:
        drawn.append(len(batch))
        return (batch.codes[:, :2] != search.prototype.codes[:, :2]).any(axis=1).astype(float)

    made = search.generate(100_000, np.random.default_rng(0), only)
    assert len(made) > 1 and (only(made) == 0).all()
    assert sum(drawn[:-1]) < 400_000


def test_rank_weights_fall_and_sum_to_one() -> None:
    weights = rank_weights(5)
    assert weights.sum() == pytest.approx(1) and (np.diff(weights) < 0).all() and weights[-1] > 0


def test_what_it_needs(tmp_path: Path) -> None:
    space = _space(tmp_path)
    search = _make(space, 0)
    batch = search.ask(2)
    with pytest.raises(NasError, match="needs accuracies"):
        search.tell(batch, np.zeros((2, 2)))
    with pytest.raises(NasError, match=r"search\.options\.rate is 2"):
        _make(space, 0, rate=2.0)
    with pytest.raises(NasError, match="unknown preset 'T9'"):
        _make(space, 0, prototype="T9")
    with pytest.raises(NasError, match="are numbers from 0 on"):
        _make(space, 0, probes=-1)


def test_options_without_a_meaning_are_refused_at_once(tmp_path: Path) -> None:
    space = _space(tmp_path)
    for options, told in (
        ({"evidence": float("nan")}, "evidence is nan; a finite number"),
        ({"target": float("nan")}, "target is nan; a finite number"),
        ({"target": 0.0}, "target is 0.0; a number above 0"),
        ({"weight": float("inf")}, "weight is inf; a finite number"),
        ({"peak": 1.0}, "peak is 1.0; a number between 0 and 1"),
    ):
        with pytest.raises(NasError, match=told):
            strategy("generative", space, DIRECTIONS, cheap=_cheap, **options)


def test_what_failed_is_the_worst_and_counts(tmp_path: Path) -> None:
    search = _make(_space(tmp_path), 0)
    batch = search.ask(12)
    accuracy = np.where(np.arange(12) % 3 == 0, np.nan, _accuracy(batch))
    search.tell(batch, np.stack([accuracy, np.ones(12)], axis=1), np.zeros(12), {"accuracy": accuracy})
    assert np.isneginf(search.utilities[::3]).all() and np.isfinite(search.utilities[1::3]).all()
    assert sorted(search.ranking()[-4:]) == [0, 3, 6, 9] and len(search.ranking()) == 12
    step = search.course()[-1]
    assert step["evaluated"] == 12 and step["best"] == pytest.approx(float(search.utilities.max()))
    search.tell(search.ask(2), np.full((2, 2), np.nan), None, {"accuracy": np.full(2, np.nan)})
    assert search.finalists()[0].ids == [] and len(search.ask(5)) == 5


def test_the_classes_of_the_data_reach_the_utility(tmp_path: Path) -> None:
    search = _make(_space(tmp_path), 0)
    costs = ("params", "macs")
    search.check(Outlook(("accuracy", "params"), costs, ("accuracy",), False, classes=4))
    assert search.utility == Utility(classes=4)
    batch = search.ask(4)
    accuracy = np.array([0.25, 0.2, 0.25, 0.5])
    search.tell(batch, np.stack([accuracy, np.ones(4)], axis=1), None, {"accuracy": accuracy})
    assert search.utilities.argmax() == 3
