"""Every strategy through the same tests; and a known true front."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nas.errors import NasError
from nas.pipeline.table import read_table
from nas.search.pareto import hypervolume, non_dominated
from nas.search.strategies import STRATEGIES, Strategy, strategy
from nas.space import ArchBatch, Space, concatenate, load_space

NAMES = (
    *(name for name in STRATEGIES if name != "slimming"),
    "nevergrad:TwoPointsDE",
    "nevergrad:OnePlusOne",
)
SMALL = {"nsga2": {"population": 12}, "nsga2:elasticvit": {"first": 16, "kept": 8}, "random": {}}
SMALL["generative"] = {"utility": "objective"}
SMALL["predictor"] = {"first": 12, "generations": 3, "population": 16}
SMALL |= {name: {"first": 8, "vectors": 3} for name in NAMES if name.startswith("nevergrad:")}
DIRECTIONS = ("max", "min")


def _space(folder: Path) -> Space:
    path = folder / "s.yaml"
    path.write_text(
        "version: 1\nname: s\ndecisions: {a: [1, 2, 3, 4], b: [1, 2, 3, 4], c: [x, y, z], d: [1, 2]}\nrules: [a <= b]\n"
    )
    return load_space(path)


def _values(batch: ArchBatch) -> np.ndarray:
    codes = batch.codes.astype(float)
    return np.stack(
        [codes[:, 0] + codes[:, 2] * codes[:, 3], codes[:, 1] + 2 * codes[:, 3] - codes[:, 2]], axis=1
    )


def _cheap(batch: ArchBatch) -> tuple[np.ndarray, np.ndarray]:
    """The second objective is cheap and must not exceed 2."""
    values = _values(batch)
    return np.stack([np.full(len(batch), np.nan), values[:, 1]], axis=1), np.maximum(values[:, 1] - 2, 0)


def _make(name: str, space: Space, **more: object) -> Strategy:
    return strategy(name, space, DIRECTIONS, seed=0, **SMALL[name], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_no_arch_twice_until_the_space_is_exhausted(name: str, tmp_path: Path) -> None:
    space = _space(tmp_path)
    search, seen = _make(name, space), []
    while len(batch := search.ask(13)):
        assert space.valid(batch).all()
        seen += batch.ids
        search.tell(batch, _values(batch))
        assert len(seen) <= 60
    assert len(seen) == len(set(seen)) == space.size()[0] == 60
    assert len(search.ask(3)) == 0


@pytest.mark.parametrize("name", NAMES)
def test_ask_twice_tell_in_any_order_and_in_part(name: str, tmp_path: Path) -> None:
    search = _make(name, _space(tmp_path))
    asked = [search.ask(8) for _ in range(3)]
    assert len({i for batch in asked for i in batch.ids}) == 24
    search.tell(asked[2][4:], _values(asked[2][4:]))
    search.tell(asked[0], _values(asked[0]))
    stranger = search.space.sample(1, seed=99)
    search.tell(stranger, [[np.nan, np.nan]])
    batch = search.ask(8)
    assert not set(batch.ids) & {*asked[0].ids, *asked[1].ids, *asked[2].ids, *stranger.ids}


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_strategy_goes_on_identically(name: str, tmp_path: Path) -> None:
    space = _space(tmp_path)
    first, second = _make(name, space, cheap=_cheap), _make(name, space, cheap=_cheap)
    for _ in range(2):
        batch = first.ask(9)
        first.tell(batch, _values(batch), _cheap(batch)[1])
    second.restore(json.loads(json.dumps(first.state())))
    for _ in range(2):
        a, b = first.ask(6), second.ask(6)
        assert a.ids == b.ids
        first.tell(a, _values(a), _cheap(a)[1])
        second.tell(b, _values(b), _cheap(b)[1])
    assert first.state() == second.state()


@pytest.mark.parametrize("name", NAMES)
def test_cheap_constraints_are_kept_where_they_can_be(name: str, tmp_path: Path) -> None:
    space = _space(tmp_path)
    search = _make(name, space, cheap=_cheap)
    feasible = int((_cheap(_everything(space))[1] == 0).sum())
    asked = []
    for _ in range(3):
        batch = search.ask(6)
        asked.append(batch)
        search.tell(batch, _values(batch), _cheap(batch)[1])
    together = concatenate(asked)
    share = float((_cheap(together)[1] == 0).mean())
    assert feasible >= 18 and share > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_failed_evaluations_are_survived(name: str, tmp_path: Path) -> None:
    search = _make(name, _space(tmp_path))
    for _ in range(3):
        batch = search.ask(9)
        values = _values(batch)
        values[::3] = np.nan
        search.tell(batch, values)
    assert len(search.ask(5)) == 5


def test_errors(tmp_path: Path) -> None:
    space = _space(tmp_path)
    with pytest.raises(NasError, match="mean 'nsga2'"):
        strategy("nsga", space, DIRECTIONS)
    with pytest.raises(NasError, match="mean 'TwoPointsDE'"):
        strategy("nevergrad:TwoPontsDE", space, DIRECTIONS)
    with pytest.raises(NasError, match="mean 'vectors'"):
        strategy("nevergrad:DE", space, DIRECTIONS, vectrs=2)
    with pytest.raises(NasError, match="mean 'population'"):
        strategy("nsga2", space, DIRECTIONS, populaton=3)
    with pytest.raises(NasError, match="'min' or 'max'"):
        strategy("nsga2", space, ("up",))  # type: ignore[arg-type]
    search = strategy("random", space, DIRECTIONS)
    with pytest.raises(NasError, match="2 objectives"):
        search.tell(search.ask(2), [[1.0], [2.0]])
    with pytest.raises(NasError, match=r"\(3, 2\), but 2 architectures"):
        search.tell(search.ask(2), np.zeros((3, 2)))


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
