"""The benchmark of search strategies: true fronts of its tasks, noise, results that go on, other libraries."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks.search import __main__ as command
from benchmarks.search import synthetic
from benchmarks.search.bounded import bounds
from benchmarks.search.competitors import searcher, why_not
from benchmarks.search.measure import Plan, Result, run
from benchmarks.search.peers import PEERS
from benchmarks.search.phones import surrogate
from benchmarks.search.record import Record
from benchmarks.search.summary import summary
from benchmarks.search.task import Task
from benchmarks.search.tasks import TASKS, task
from nas.errors import NasError
from nas.search.pareto import hypervolume, non_dominated
from nas.space import ArchBatch, load_space

ZDT1 = ("zdt1", "zdt1-shifted", "zdt1-shuffled")
SMALL_NETWORKS = """version: 1
name: small
input: {resolution: [128, 192], channels: 3, classes: 1000}
stages:
  first: {block: conv_stem, stride: 2, width: [16, 24], kernel: 3, act: hard_swish}
  stem: {block: mbconv, depth: {min: 1, max: 2}, width: first.width, kernel: [3, 5], expansion: 1, se: 0}
  C1: {block: mbconv, stride: 2, depth: {min: 1, max: 4}, width: [16, 24, 32], kernel: [3, 5], expansion: [3, 6], se: 0}
  C2: {block: mbconv, stride: 2, depth: {min: 1, max: 4}, width: [32, 48], kernel: [3, 5], expansion: [3, 6], se: 1}
  head: {block: pooled_head, expansion: 6, hidden: 1984}
"""


def everything(sizes: list[int]) -> np.ndarray:
    return np.indices(sizes).reshape(len(sizes), -1).T


def staircase(front: np.ndarray, reference: tuple[float, ...]) -> float:
    """Hypervolume of two objectives to be minimized, step by step."""
    total, height = 0.0, reference[1]
    for x, y in sorted(front.tolist()):
        if x < reference[0] and y < height:
            total += (reference[0] - x) * (height - y)
            height = y
    return total


@pytest.mark.parametrize("name", ZDT1)
def test_the_front_of_zdt1_is_the_published_one(name: str) -> None:
    """The problem separates: each of the other variables has its optimum whatever the rest is."""
    problem = task(name, None)
    codes = np.zeros((1, synthetic.SIZES), dtype=np.int64)
    for place in range(1, synthetic.SIZES):
        tried = np.repeat(codes, synthetic.LEVELS, axis=0)
        tried[:, place] = np.arange(synthetic.LEVELS)
        codes = tried[problem.values(ArchBatch(problem.space, tried))[:, 1].argmin()][None]
    best = np.repeat(codes, synthetic.LEVELS, axis=0)
    best[:, 0] = np.arange(synthetic.LEVELS)
    values = problem.values(ArchBatch(problem.space, best))
    first = np.arange(synthetic.LEVELS) / (synthetic.LEVELS - 1)
    assert np.allclose(values[np.argsort(values[:, 0])], np.stack([first, 1 - np.sqrt(first)], axis=1))
    assert problem.reachable == pytest.approx(staircase(values, problem.reference))
    drawn = problem.values(problem.space.sample(2000, seed=0))
    assert (drawn[:, 1] > 1 - np.sqrt(drawn[:, 0])).all()


def test_the_optimum_is_shifted_off_the_ends_and_shuffled_values_are_unordered() -> None:
    plain, shifted, shuffled = (task(name, None) for name in ZDT1)
    ends = np.array([[0] * 30, [31] * 30])
    at_ends = shifted.values(ArchBatch(shifted.space, ends))[:, 1]
    assert (at_ends > plain.values(ArchBatch(plain.space, ends))[0, 1] + 1).all()
    assert {d.kind for d in shuffled.space.decisions} == {"categorical"}


def test_the_front_of_dtlz2_is_an_octant_of_the_sphere() -> None:
    problem = task("dtlz2", None)
    codes = np.full((33 * 33, 12), 16)
    codes[:, :2] = everything([33, 33])
    assert np.allclose((problem.values(ArchBatch(problem.space, codes)) ** 2).sum(axis=1), 1)
    drawn = problem.values(problem.space.sample(2000, seed=0))
    assert ((drawn**2).sum(axis=1) > 1).all()
    assert 0.995 * (8 - np.pi / 6) < problem.reachable < 8 - np.pi / 6


@pytest.mark.parametrize("device", ["pixel3", "raspi4"])
def test_the_front_of_nasbench201_is_the_tables(shared_data: Path, device: str) -> None:
    problem = task(f"nasbench201-{device}", shared_data / "nasbench201")
    values = problem.values(ArchBatch(problem.space, everything([5] * 6)))
    turned = values * [-1, 1]
    reference = (-problem.reference[0], problem.reference[1])
    assert problem.reachable == pytest.approx(staircase(turned, reference))
    assert problem.share(values) == pytest.approx(1)


def test_without_its_table_nasbench201_is_explained() -> None:
    with pytest.raises(NasError, match="--data"):
        task("nasbench201-pixel3", None)


def test_the_bounds_of_a_small_space_of_networks_hold_for_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL_NETWORKS)
    space = load_space(path)
    problem = surrogate(space, "pixel6")
    batch = ArchBatch(space, everything([len(d) for d in space.decisions]))
    values = problem.values(batch[np.flatnonzero(space.valid(batch))])
    front, bound = bounds(problem)
    assert (values[:, 0] <= bound(values[:, 1]) + 1e-9).all()
    reference = float(values[:, 0].min()), float(values[:, 1].max())
    true = values[non_dominated(values, ("max", "min"))]
    reached, reachable = (
        hypervolume(points, reference, ("max", "min")) for points in (problem.values(front), true)
    )
    assert reached == pytest.approx(reachable, rel=1e-3)


def test_the_latencies_of_the_surrogate_are_the_devices() -> None:
    import nas

    space = load_space("elasticvit")
    batch = space.sample(50, seed=0)
    latency = surrogate(space, "pixel6").values(batch)[:, 1]
    assert np.allclose(latency, nas.load_device("pixel6").latency(space, batch))


@pytest.mark.parametrize("name", ["zdt1", "dtlz2"])
def test_noise_agrees_with_true_values_as_measured(name: str) -> None:
    noisy = task(f"{name}-noisy", None)
    true = noisy.values(noisy.space.sample(4000, seed=9))
    said = noisy.evaluated(true, np.random.default_rng(3))
    for column in range(true.shape[1]):
        assert kendalltau(true[:, column], said[:, column]).statistic == pytest.approx(0.87, abs=0.02)
    assert np.array_equal(task(name, None).evaluated(true, np.random.default_rng(3)), true)


def test_free_objectives_have_no_noise_and_are_all_that_strategies_may_compute(shared_data: Path) -> None:
    noisy = task("nasbench201-pixel3-noisy", shared_data / "nasbench201")
    batch = noisy.space.sample(100, seed=0)
    true = noisy.values(batch)
    said = noisy.evaluated(true, np.random.default_rng(0))
    assert (said[:, 0] != true[:, 0]).all() and np.array_equal(said[:, 1], true[:, 1])
    assert noisy.cheap is not None and task("zdt1", None).cheap is None
    known, violations = noisy.cheap(batch)
    assert np.isnan(known[:, 0]).all() and np.array_equal(known[:, 1], true[:, 1]) and not violations.any()


def test_nsga2_finds_unordered_values() -> None:
    """0.957 with two parents and every child mutated."""
    shares = [run(task("zdt1-shuffled", None), "nsga2", 2000, 50, seed).share for seed in range(5)]
    assert np.median(shares) >= 0.975


def test_nsga2_finds_ordered_values_with_few_evaluations() -> None:
    """0.776 with two parents and a population of 50."""
    shares = [run(task("zdt1", None), "nsga2", 250, 50, seed).share for seed in range(5)]
    assert np.median(shares) >= 0.80


def arguments(path: Path, *more: str) -> list[str]:
    chosen = ["--tasks", "zdt1", "zdt1-noisy", "--strategies", "random", "nsga2", "--budgets", "20", "40"]
    return [*chosen, "--seeds", "2", "--out", str(path), *more]


def results(path: Path) -> dict[Plan, tuple[float, float, int]]:
    return {plan: (r.share, r.front_share, r.evaluations) for plan, r in Record(path).results.items()}


def test_what_was_killed_goes_on_to_the_same_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, killed = tmp_path / "whole.json", tmp_path / "killed.json"
    command.main(arguments(whole))
    done: list[Plan] = []
    add: Callable[[Record, Plan, Result], None] = Record.add

    def dying(record: Record, plan: Plan, result: Result) -> None:
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(plan)
        add(record, plan, result)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Record, "add", dying)
        command.main(arguments(killed))
    assert list(results(killed)) == done and len(done) == 5
    ran: list[Plan] = []
    monkeypatch.setattr(
        Record, "add", lambda record, plan, result: (ran.append(plan), add(record, plan, result))
    )
    command.main(arguments(killed))
    assert not {*ran} & {*done}
    assert results(killed) == results(whole) and len(results(whole)) == 2 * 2 * 2 * 2
    assert "| `nsga2` |" in killed.with_suffix(".md").read_text()


def test_a_file_that_holds_no_results_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text(json.dumps({"mine": 1}))
    with pytest.raises(NasError, match="holds no results"):
        command.main(arguments(path))
    assert json.loads(path.read_text()) == {"mine": 1}


def test_the_first_and_who_is_within_its_spread_are_marked() -> None:
    shares = {"a": (0.90, 0.92, 0.94), "b": (0.88, 0.91, 0.99), "c": (0.5, 0.6, 0.7)}
    found = {
        Plan("t", name, 50, 10, seed): Result(share, share, 50, 0.001)
        for name, values in shares.items()
        for seed, share in enumerate(values)
    }
    text = summary(found)
    assert "| `a` | **0.920** (0.910–0.930) | 1.0 |" in text
    assert "| `b` | **0.910** (0.895–0.950) |" in text and "| `c` | 0.600 (" in text


def test_where_the_default_is_behind_is_said(tmp_path: Path) -> None:
    shares = {"nsga2": (0.90, 0.92, 0.94), "predictor": (0.88, 0.89, 0.99)}
    record, other = Record(tmp_path / "a.json"), Record(tmp_path / "b.json")
    for name, values in shares.items():
        for budget, step in ((50, 0.0), (100, 0.05)):
            for seed, share in enumerate(values[: 3 if budget == 50 else 2]):
                result = Result(share + step * (name == "predictor"), share, budget, 0.001)
                (record if seed else other).add(Plan("t", name, budget, 5, seed), result)
    record.join(other)
    assert Record(record.path).results == record.results
    text = summary(record.results)
    assert "first or within the spread of the first in 1 of 2 columns, but for:" in text
    assert "* t, 50 evaluations: 0.890, `nsga2` 0.920" in text
    assert "| `nsga2` | **0.920** (0.910–0.930) |" in text and ", 2 seeds) |" in text


@pytest.mark.parametrize("name", [name for name in PEERS if name != "optuna:GP"])
@pytest.mark.parametrize("of", ["zdt1", "zdt1-shuffled"])
def test_other_libraries_are_asked_and_told(name: str, of: str) -> None:
    pytest.importorskip(PEERS[name][1])
    problem: Task = task(of, None)
    search, seen = searcher(name, problem, 60, 10, 0), np.zeros(0, dtype=np.uint64)
    while len(seen) < 60:
        batch = search.ask(10)
        assert 0 < len(batch) <= 10 and problem.space.valid(batch).all()
        seen = np.concatenate([seen, batch.hashes])
        search.tell(batch, problem.values(batch))
    assert len(np.unique(seen)) == len(seen)


def test_who_is_asked_one_by_one_takes_part_in_small_budgets_alone() -> None:
    pytest.importorskip("optuna")
    assert not why_not("optuna:GP", 250) and "250" in why_not("optuna:GP", 500)
    assert not why_not("predictor", 2000)


def test_every_task_has_a_noisy_twin() -> None:
    assert {name.removesuffix("-noisy") for name in TASKS if name.endswith("-noisy")} == {
        name for name in TASKS if not name.endswith("-noisy")
    }
