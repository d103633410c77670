"""Predictors from pairs: on latencies whose law is known, and on published ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

import nas
from nas.errors import NasError
from nas.latency.arch import evaluate, fit_arch_predictor, pairs_from_csv
from nas.latency.arch.cell import Cell, connected
from nas.latency.arch.member import Law, fit_member
from nas.latency.arch.statistics import spearman
from nas.latency.arch.terms import CONSTANT, arch_terms
from nas.latency.times import FloatArray
from nas.space.batch import ArchBatch
from nas.space.space import Space

COSTS = np.array([0.0, 0.1, 1.0, 6.0, 2.0])


@pytest.fixture(scope="module")
def space() -> Space:
    return nas.load_space("nasbench201")


def live(space: Space, count: int, seed: int) -> ArchBatch:
    batch = space.sample(2 * count, seed=seed)
    return batch[np.flatnonzero(connected(batch))[:count]]


def every_operation(batch: ArchBatch) -> FloatArray:
    """3 ms, and the cost of every edge's operation."""
    return np.asarray(3.0 + COSTS[batch.codes].sum(axis=1))


def used_operations(batch: ArchBatch) -> FloatArray:
    """The same, where the output needs the edge."""
    cell = Cell.of(batch.space)
    assert cell is not None
    return np.asarray(3.0 + (COSTS[batch.codes] * cell.states(batch).used).sum(axis=1))


@pytest.mark.parametrize("law", [every_operation, used_operations])
def test_the_runtimes_law_is_found(space: Space, law: object) -> None:
    assert callable(law)
    batch, unseen = live(space, 40, 0), live(space, 500, 1)
    predictor = fit_arch_predictor(space, batch, law(batch))
    assert np.allclose(predictor.predict(unseen), law(unseen), rtol=0.02)
    group = "ops" if law is every_operation else "used"
    assert group in predictor.report.members[0].groups
    assert predictor.report.errors.within_5 == 1.0


def test_outliers_do_not_bend_a_sum(space: Space) -> None:
    batch, unseen = live(space, 60, 2), live(space, 300, 3)
    ms = every_operation(batch)
    ms[::15] *= 3.0
    member = fit_member(Law("sum", ("ops",)), arch_terms(batch), ms)
    error = np.exp(member.log_ms(arch_terms(unseen))) / every_operation(unseen) - 1
    assert np.abs(error).max() < 0.05
    plain, *_ = np.linalg.lstsq(_columns(batch) / ms[:, None], np.ones(len(ms)), rcond=None)
    assert np.abs(_columns(unseen) @ plain / every_operation(unseen) - 1).max() > 0.05


def _columns(batch: ArchBatch) -> FloatArray:
    terms = arch_terms(batch)
    names = [CONSTANT, *[name for name in terms if name.startswith("ops:")]]
    return np.stack([terms[name] for name in names], axis=1)


def test_trees_learn_what_no_law_holds(space: Space) -> None:
    def ms(batch: ArchBatch) -> FloatArray:
        return np.where((batch.codes[:, 0] > 2) & (batch.codes[:, 5] > 2), 1.5, 1.0) * every_operation(batch)

    batch, unseen = live(space, 900, 4), live(space, 500, 5)
    predictor = fit_arch_predictor(space, batch, ms(batch))
    assert predictor.report.trees is not None
    with_trees = np.abs(predictor.predict(unseen) / ms(unseen) - 1).mean()
    without = np.abs(np.exp(predictor.model.log_base(arch_terms(unseen))) / ms(unseen) - 1).mean()
    assert with_trees < 0.8 * without


def test_a_network_is_explained_by_its_work() -> None:
    space = nas.load_space("elasticvit")
    batch, unseen = space.sample(40, seed=0), space.sample(200, seed=1)
    terms, macs = arch_terms(batch), np.asarray(nas.cost(space, batch)["macs"], dtype=np.float64)
    total = sum(
        values for name, values in terms.items() if name.startswith("work:") and name.endswith("_macs")
    )
    assert np.array_equal(total, macs)
    other = np.asarray(nas.cost(space, unseen)["macs"], dtype=np.float64)
    predictor = fit_arch_predictor(space, batch, 2.0 + macs / 1e8)
    assert np.abs(predictor.predict(unseen) / (2.0 + other / 1e8) - 1).max() < 0.05


def test_ten_pairs_suffice_where_another_device_is_known(space: Space) -> None:
    rng = np.random.default_rng(0)
    batch, unseen = live(space, 10, 6), live(space, 300, 7)
    quirk, quirk_unseen = np.exp(rng.normal(0, 0.3, 10)), np.exp(rng.normal(0, 0.3, 300))
    others = {"twin": every_operation(batch) * quirk, "noise": np.exp(rng.normal(2, 1, 10))}
    known = {"twin": every_operation(unseen) * quirk_unseen, "noise": np.exp(rng.normal(2, 1, 300))}
    predictor = fit_arch_predictor(space, batch, 0.4 * others["twin"], others=others)
    error = np.abs(predictor.predict(unseen, known) / (0.4 * known["twin"]) - 1)
    assert np.median(error) < 0.05
    with pytest.raises(NasError, match="latencies on 'twin'"):
        predictor.predict(unseen)
    with pytest.raises(NasError, match="finite numbers above 0"):
        predictor.predict(unseen, {**known, "noise": np.zeros(300)})


def test_dead_cells_are_left_out_and_only_estimated(space: Space) -> None:
    dead = space.encode([{decision.name: "none" for decision in space.decisions}])
    batch = live(space, 30, 8)
    mixed = ArchBatch(space, np.concatenate([dead.codes, batch.codes]))
    ms = np.concatenate([[1e6], every_operation(batch)])
    predictor = fit_arch_predictor(space, mixed, ms)
    assert predictor.report.left_out == 1 and predictor.report.data.units == 30
    assert predictor.predict(mixed).provenance[:2].tolist() == ["estimated", "predicted"]


def test_wrong_latencies_are_refused(space: Space) -> None:
    batch = live(space, 10, 9)
    with pytest.raises(NasError, match="latency of arch 3 is nan"):
        fit_arch_predictor(space, batch, np.where(np.arange(10) == 3, np.nan, 1.0))
    with pytest.raises(NasError, match="too few"):
        fit_arch_predictor(space, batch[:4], np.ones(4))
    with pytest.raises(NasError, match="10 latencies"):
        fit_arch_predictor(space, batch, np.ones(9))


def test_same_pairs_and_seed_same_predictor(space: Space) -> None:
    batch, unseen = live(space, 60, 10), live(space, 50, 11)
    ms = every_operation(batch) * np.exp(np.random.default_rng(0).normal(0, 0.1, 60))
    first, second = (fit_arch_predictor(space, batch, ms, seed=3) for _ in range(2))
    assert first.report == second.report
    assert np.array_equal(first.predict(unseen), second.predict(unseen))


def test_the_interval_holds_nine_in_ten(space: Space) -> None:
    held = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        batch, unseen = live(space, 60, seed), live(space, 400, 100 + seed)
        ms = every_operation(batch) * np.exp(rng.normal(0, 0.1, len(batch)))
        predicted = fit_arch_predictor(space, batch, ms, seed=seed).predict(unseen)
        truth = every_operation(unseen) * np.exp(rng.normal(0, 0.1, len(unseen)))
        held.append(((predicted.low <= truth) & (truth <= predicted.high)).mean())
    assert 0.85 <= np.mean(held) <= 0.95


@pytest.mark.parametrize(("device", "rank", "within"), [("pixel3", 0.95, 0.6), ("raspi4", 0.95, 0.55)])
def test_published_latencies(
    space: Space, shared_data: Path, device: str, rank: float, within: float
) -> None:
    pairs = pairs_from_csv(space, shared_data / "nasbench201" / "nasbench201.csv.gz", column=f"{device}_ms")
    chosen = np.random.default_rng(0).permutation(len(pairs))[:100]
    predictor = fit_arch_predictor(space, pairs.batch[chosen], pairs.ms[chosen])
    scores = evaluate(predictor, pairs)
    assert scores.spearman is not None and scores.spearman > rank
    assert scores.errors.within_10 > within
    assert 0.85 <= scores.coverage <= 0.97


def test_rank_correlation_is_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 50).astype(float), rng.normal(size=50)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(a, np.ones(50)) is None
