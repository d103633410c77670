"""Samplers: windows against enumeration, the level walk, banks, exploitation, preference, resuming."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2
from supernet_samples import tiny

from nas.costs import cost
from nas.costs.window import WindowSampler
from nas.errors import NasError
from nas.space import Arch, ArchBatch, Space, load_space
from nas.supernet.sampling.bank import Bank
from nas.supernet.sampling.complexity import BankSettings, ComplexitySampler, LevelSource, exploitation
from nas.supernet.sampling.levels import levels_of
from nas.supernet.sampling.simple import SandwichSampler, UniformSampler, extremes

ELASTICVIT = load_space("elasticvit")
LEVELS = levels_of(ELASTICVIT)


def _all(space: Space) -> ArchBatch:
    """Every valid arch."""
    grid = np.indices([len(d) for d in space.decisions]).reshape(len(space.decisions), -1).T
    batch = ArchBatch(space, grid)
    return batch[np.flatnonzero(space.valid(batch))]


def test_window_draws_where_rules_stand_apart_from_every_cost_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule whose decisions are all read again later leaves nothing to choose on the way back."""
    monkeypatch.setattr("nas.costs.grouping.MAX_ROWS", 8)
    space = load_space(Path(__file__).parents[1] / "space" / "spaces" / "layouts.yaml")
    every = _all(space)
    macs = cost(space, every)["macs"]
    start, end = np.quantile(macs, [0.3, 0.7])
    low = np.zeros(len(space.decisions), dtype=np.int16)
    sampler = WindowSampler(space, low, float(macs.max()), float(end - start))
    draws = sampler.sample(2000, float(start), float(end), np.random.default_rng(0))
    assert set(draws.ids) == set(every[np.flatnonzero((macs >= start) & (macs <= end))].ids)


@pytest.mark.parametrize(("quantile", "share"), [(0.02, 0.01), (0.3, 0.02), (0.6, 0.02), (0.97, 0.05)])
@pytest.mark.parametrize("bounded", [False, True])
def test_window_draws_are_uniform(quantile: float, share: float, bounded: bool, tmp_path: Path) -> None:
    space = tiny(tmp_path)
    every = _all(space)
    macs = cost(space, every)["macs"]
    low = np.zeros(len(space.decisions), dtype=np.int16)
    if bounded:
        low[space.index["T.width"]], low[space.index["A.depth"]] = 1, 1
    inside = (every.codes >= low).all(axis=1)
    start = float(np.quantile(macs[inside], quantile))
    width = share * float(macs.max())
    wanted = every[np.flatnonzero(inside & (macs >= start) & (macs <= start + width))]
    sampler = WindowSampler(space, low, float(macs.max()), width)
    n = 40 * len(wanted)
    draws = sampler.sample(n, start, start + width, np.random.default_rng(0))
    counts = Counter(draws.ids)
    assert set(counts) <= set(wanted.ids) and len(wanted) > 2
    observed = np.array([counts[i] for i in wanted.ids])
    p = float(chi2.sf(((observed - 40) ** 2 / 40).sum(), len(wanted) - 1))
    assert p > 1e-4
    assert sampler.count(start, start + width) >= len(wanted)


def test_an_empty_window_is_an_error(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    low = np.zeros(len(space.decisions), dtype=np.int16)
    with pytest.raises(NasError, match="no architecture"):
        WindowSampler(space, low, 1e6, 1e3).sample(1, 10.0, 20.0, np.random.default_rng(0))


def test_levels_of_elasticvit_are_the_papers() -> None:
    assert [macs / 1e6 for macs in LEVELS.macs] == [100, 200, 300, 400, 500, 700, 900, 1200]
    assert LEVELS.window == 20e6
    names = {arch.id: name for name, arch in ELASTICVIT.presets.items()}
    assert [names[arch.id] for arch in LEVELS.minimum] == ["min-200"] * 2 + ["min-400"] * 2 + ["min-800"] * 4


def test_every_level_draws_within_its_window_and_above_its_minimum() -> None:
    source, rng = LevelSource(ELASTICVIT, LEVELS), np.random.default_rng(0)
    for index, low in enumerate(LEVELS.macs):
        batch = source.sample(index, 60, rng)
        macs = cost(ELASTICVIT, batch)["macs"]
        assert ((macs >= low) & (macs <= low + LEVELS.window)).all()
        bound = ELASTICVIT.encode([LEVELS.minimum[index]]).codes[0]
        assert (batch.codes >= bound).all() and ELASTICVIT.valid(batch).all()
        assert len(set(batch.ids)) == 60


@pytest.mark.parametrize("name", ["operators", "suffix", "optional", "predicates", "layouts"])
def test_levels_are_derived_for_other_spaces_and_can_be_drawn_from(name: str) -> None:
    space = load_space(Path(__file__).parents[1] / "space" / "spaces" / f"{name}.yaml")
    sampler = ComplexitySampler(
        space, levels_of(space), 4, np.random.default_rng(0), banks=BankSettings(4, 2)
    )
    for step in range(30):
        for subnet in sampler.draw(step, 30):
            assert space.contains(subnet.arch)


def _sampler(policy: str = "adjacent-step", **options: object) -> ComplexitySampler:
    return ComplexitySampler(ELASTICVIT, LEVELS, 4, np.random.default_rng(0), policy=policy, **options)  # type: ignore[arg-type]


def test_the_walk_is_the_papers() -> None:
    """Steps of at most one level; transitions of 1/3 each, 2/3 of staying at the ends; uniform in the long run."""
    sampler = _sampler()
    levels = []
    for _ in range(30_000):
        sampler._move()
        levels.append(sampler.level)
    walk = np.array(levels)
    assert np.abs(np.diff(walk)).max() == 1
    stay = np.diff(walk) == 0
    assert stay[walk[:-1] == 0].mean() == pytest.approx(2 / 3, abs=0.03)
    assert stay[walk[:-1] == 3].mean() == pytest.approx(1 / 3, abs=0.03)
    assert stay[walk[:-1] == 7].mean() == pytest.approx(2 / 3, abs=0.03)
    assert np.bincount(walk, minlength=8) / len(walk) == pytest.approx(np.full(8, 1 / 8), abs=0.03)


def test_three_of_one_level_and_its_minimum_never_the_largest() -> None:
    sampler = _sampler()
    for step in range(12):
        subnets = sampler.draw(step, 12)
        assert [s.role for s in subnets] == ["explored"] * 3 + ["minimum"]
        assert {s.level for s in subnets} == {sampler.level}
        assert subnets[-1].arch == LEVELS.minimum[sampler.level]
        macs = [int(cost(ELASTICVIT, s.arch)["macs"][0]) for s in subnets[:-1]]
        low = LEVELS.macs[sampler.level]
        assert all(low <= m <= low + 20e6 for m in macs)


@pytest.mark.parametrize("policy", ["random", "cyclic", "adjacent"])
def test_other_level_policies(policy: str) -> None:
    sampler = _sampler(policy)
    levels = [[s.level for s in sampler.draw(step, 20)] for step in range(20)]
    if policy == "cyclic":
        assert [row[0] for row in levels[:9]] == [7, 6, 5, 4, 3, 2, 1, 0, 7]
    if policy == "adjacent":
        assert max(abs(a - b) for row in levels for a, b in pairwise(row)) <= 1
    assert len({level for row in levels for level in row}) > 2


def test_capacities_are_the_papers() -> None:
    assert [bank.capacity for bank in _sampler(banks=BankSettings()).banks] == [150] * 4 + [50] * 4


def test_a_bank_appends_then_replaces_its_worst() -> None:
    archs = list(ELASTICVIT.sample(4, seed=0))
    bank = Bank(2)
    bank.insert(archs[0], -1.0)
    bank.insert(archs[1], -3.0)
    bank.insert(archs[2], -4.0)
    assert bank.archs == archs[:2]
    bank.insert(archs[3], -2.0)
    assert bank.archs == [archs[0], archs[3]] and bank.best == archs[0]
    bank.insert(archs[0], -5.0)
    assert bank.best == archs[3] and len(bank.archs) == 2
    bank.refresh(lambda arch: float("nan") if arch == archs[0] else -9.0)
    assert bank.scores == [-5.0, -9.0]


def test_a_bank_draws_by_softmax() -> None:
    bank = Bank(3, list(ELASTICVIT.sample(3, seed=0)), [-1.0, -2.0, -0.5])
    rng = np.random.default_rng(0)
    drawn = Counter(bank.draw(rng).id for _ in range(6000))
    weights = np.exp([-1.0, -2.0, -0.5])
    shares = np.array([drawn[arch.id] for arch in bank.archs]) / 6000
    assert shares == pytest.approx(weights / weights.sum(), abs=0.02)


def test_exploitation_rises_as_published() -> None:
    """0.20 in epochs 0-98, 0.35 in 99-198, …, 0.95 in 499-598 of 600."""
    beta = [exploitation(epoch, 600) for epoch in range(600)]
    for start, value in zip((0, 99, 199, 299, 399, 499), (0.2, 0.35, 0.5, 0.65, 0.8, 0.95), strict=True):
        assert beta[start] == pytest.approx(value) and (start == 0 or beta[start - 1] < value)
    assert max(beta) == 1.0 and beta[598] == pytest.approx(0.95)


def test_the_preference_rule_is_the_argmin_of_delta() -> None:
    sampler = _sampler(banks=BankSettings())
    sampler.level = 4
    anchor = ELASTICVIT.presets["T1"]
    sampler.banks[0].insert(anchor, -1.0)
    batch = sampler.source.sample(4, 40, np.random.default_rng(1))
    expected = []
    for arch in batch:
        by_width = {**arch.values, **{f"T{i}.width": anchor[f"T{i}.width"] for i in range(1, 5)}}
        by_depth = {**arch.values, **{f"T{i}.depth": anchor[f"T{i}.depth"] for i in range(1, 5)}}
        macs = [int(cost(ELASTICVIT, Arch(ELASTICVIT, v))["macs"][0]) for v in (by_width, by_depth)]
        expected.append(macs[0] - macs[1])
    assert sampler._preference(batch).tolist() == expected
    assert len(set(expected)) > 10
    sampler.level = 0
    assert sampler._anchor() == ELASTICVIT.presets["min-200"]


def test_candidates_are_chosen_once_the_bank_is_half_full_and_exploited_beyond() -> None:
    sampler = _sampler(banks=BankSettings(4, 4))
    sampler.policy = "cyclic"
    archs = sampler.source.sample(7, 4, np.random.default_rng(5))
    draws = [sampler._choose(0, 1) for _ in range(1)]
    assert draws[0].role == "explored" and not draws[0].preferred
    sampler.level = 7
    for arch in archs[:2]:
        sampler.banks[7].insert(arch, -1.0)
    half = [sampler._choose(0, 1000) for _ in range(40)]
    assert all(s.preferred and s.role == "explored" for s in half)
    sampler.banks[7].insert(archs[2], -1.0)
    more = [sampler._choose(0, 1000) for _ in range(300)]
    assert np.mean([s.role == "exploited" for s in more]) == pytest.approx(0.2, abs=0.08)
    assert sampler.facts()["exploited"] > 0 and sampler.facts()["preferred"] > 0


def test_only_explored_subnets_enter_the_bank() -> None:
    sampler = _sampler(banks=BankSettings())
    subnets = sampler.draw(0, 10)
    assert [sampler.wants_score(s) for s in subnets] == [True, True, True, False]
    for subnet in subnets[:3]:
        sampler.observe(subnet, -1.0)
    assert len(sampler.banks[subnets[0].level].archs) == 3


def test_banks_are_scored_again_as_often_as_asked() -> None:
    sampler = _sampler(banks=BankSettings(refreshes=5, partial_refreshes=10))
    sampler.banks[3].insert(ELASTICVIT.presets["S1"], -1.0)
    scored = [step for step in range(100) if sampler.refresh(step, 100, lambda _: -2.0)]
    assert scored == [20, 40, 60, 80]
    assert sampler.banks[3].scores == [-2.0]


def test_a_restored_sampler_goes_on_identically() -> None:
    import json

    from nas.state import generator_state, restore_generator

    first = _sampler(banks=BankSettings(4, 2))
    for step in range(8):
        for subnet in first.draw(step, 40):
            if first.wants_score(subnet):
                first.observe(subnet, -float(step + 1))
    second = _sampler(banks=BankSettings(4, 2))
    second.restore(json.loads(json.dumps(first.state())))
    restore_generator(second.rng, generator_state(first.rng))
    for step in range(8, 16):
        assert first.draw(step, 40) == second.draw(step, 40)
    assert first.state() == second.state()


def test_the_alternatives(tmp_path: Path) -> None:
    space = tiny(tmp_path)
    every = _all(space)
    macs = cost(space, every)["macs"]
    smallest, largest = extremes(space)
    assert cost(space, smallest)["macs"][0] == macs.min() and cost(space, largest)["macs"][0] == macs.max()
    roles = [s.role for s in SandwichSampler(space, 4, np.random.default_rng(0)).draw(0, 1)]
    assert roles == ["largest", "explored", "explored", "minimum"]
    assert [s.role for s in UniformSampler(space, 3, np.random.default_rng(0)).draw(0, 1)] == ["explored"] * 3
