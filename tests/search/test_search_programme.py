"""The integer programme against brute force, and against evolution where there are too many to look at."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from stage_chains import chain

from nas.costs.counts import plan_for
from nas.costs.extremes import Table
from nas.errors import NasError
from nas.search.priced import Priced
from nas.search.programme import Programme
from nas.search.strategies import strategy
from nas.space import ArchBatch, Space, load_space

CLOSE = 1e-5  # relative: HiGHS ends at a gap of 1e-6 of worths that differ by up to 100


def _tables(rng: np.random.Generator, sizes: list[int], count: int) -> list[Table]:
    """Tables over one to three random decisions each."""
    found = []
    for _ in range(count):
        some = rng.choice(len(sizes), size=min(len(sizes), int(rng.integers(1, 4))), replace=False)
        scope = tuple(sorted(int(d) for d in some))
        found.append((scope, rng.random([sizes[d] for d in scope])))
    return found


def _sums(tables: list[Table], codes: np.ndarray) -> np.ndarray:
    values = [table[tuple(codes[:, list(scope)].T)] for scope, table in tables]
    return np.sum(values, axis=0) if values else np.zeros(len(codes))


@pytest.mark.parametrize("seed", range(40))
def test_the_optimum_is_that_of_brute_force(seed: int) -> None:
    """Up to two costs, with upper and lower limits, and rules that may leave nothing."""
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(1, 5, size=int(rng.integers(2, 7)))]
    costs = [_tables(rng, sizes, int(rng.integers(1, 6))) for _ in range(seed % 3)]
    rules = [(scope, table < 0.7) for scope, table in _tables(rng, sizes, int(rng.integers(0, 3)))]
    worths = [((d,), rng.normal(size=size)) for d, size in enumerate(sizes)]
    every = np.indices(sizes).reshape(len(sizes), -1).T
    kept = np.all([table[tuple(every[:, list(scope)].T)] for scope, table in rules], axis=0)
    spent = np.array([_sums(tables, every) for tables in costs]).reshape(len(costs), len(every))
    worth, priced = _sums(worths, every), Priced(Programme(sizes, costs, rules), worths)
    for _ in range(4):
        ends = np.array([(cost.min(), cost.max()) for cost in spent]).reshape(-1, 2)
        upper = np.where(rng.random(len(costs)) < 0.8, rng.uniform(ends[:, 0], ends[:, 1]), np.inf)
        lower = np.where(rng.random(len(costs)) < 0.3, rng.uniform(ends[:, 0], ends[:, 1]), -np.inf)
        inside = kept & (spent <= upper[:, None]).all(axis=0) & (spent >= lower[:, None]).all(axis=0)
        found = priced.best(upper, lower)
        if not inside.any():
            assert found is None
            continue
        assert found is not None and found.proven
        row = np.flatnonzero((every == found.codes).all(axis=1))[0]
        assert inside[row] and worth[row] == pytest.approx(found.worth)
        assert spent[:, row] == pytest.approx(found.costs)
        assert found.worth >= worth[inside].max() - CLOSE


@pytest.mark.parametrize("seed", range(20))
def test_limits_hold_to_the_last_digit(seed: int) -> None:
    """HiGHS lets a row be missed by a millionth: the best architecture's cost is a third of that above the limit."""
    rng = np.random.default_rng(seed)
    sizes = [4] * 6
    tables = [((d,), rng.random(4)) for d in range(6)]
    worths = [((d,), table + 0.3 * rng.random(4)) for d, (_, table) in enumerate(tables)]
    every = np.indices(sizes).reshape(6, -1).T
    spent, worth = _sums(tables, every), _sums(worths, every)
    order = np.argsort(spent)
    limit = spent[order[len(order) // 2 :]][worth[order[len(order) // 2 :]].argmax()] * (1 - 3e-7)
    found = Priced(Programme(sizes, [tables], []), worths).best(np.array([limit]))
    assert found is not None and found.costs[0] <= limit
    assert found.worth >= worth[spent <= limit * (1 - 2e-6)].max() - CLOSE


def _chain(folder: Path, stages: int) -> Space:
    path = folder / "chain.yaml"
    path.write_text(chain(stages, shared=True, rules=True))
    return load_space(path)


def _surrogate(space: Space) -> list[Table]:
    """Worths that grow with every ordinal decision, by different amounts."""
    rng = np.random.default_rng(0)
    steps = [np.abs(rng.normal(size=len(d) - 1)) * rng.uniform(0.1, 1) for d in space.decisions]
    return [((i,), np.concatenate([[0.0], np.cumsum(each)])) for i, each in enumerate(steps)]


def _programme(space: Space) -> Programme:
    rules = [(rule.scope, rule.table) for rule in space.local_factors() or []]
    return Programme([len(d) for d in space.decisions], [plan_for(space).apart.tables("macs")], rules)


def test_a_space_with_rules_and_coupled_costs_against_all_of_its_architectures(tmp_path: Path) -> None:
    space = _chain(tmp_path, 2)
    sizes = [len(d) for d in space.decisions]
    every = ArchBatch(space, np.indices(sizes).reshape(len(sizes), -1).T.astype(np.int16))
    every = every[np.flatnonzero(space.valid(every))]
    macs, worths = plan_for(space)(every)["macs"], _surrogate(space)
    worth, priced = _sums(worths, every.codes.astype(np.int64)), Priced(_programme(space), worths)
    for budget in np.quantile(macs, np.linspace(0, 1, 20)):
        found = priced.best(np.array([budget]))
        assert found is not None and found.proven and found.costs[0] <= budget
        assert found.worth == pytest.approx(worth[macs <= budget].max(), abs=CLOSE)
    assert priced.best(np.array([0.99 * macs.min()])) is None


def test_twenty_proven_points_of_200_decisions_that_evolution_does_not_reach(tmp_path: Path) -> None:
    space, begun = _chain(tmp_path, 36), time.process_time()
    assert len(space.decisions) == 199
    worths, plan = _surrogate(space), plan_for(space)
    draws = plan(space.sample(1_000, seed=0))["macs"]
    budgets = np.geomspace(draws.min() / 4, draws.max(), 20)
    begun = time.process_time()
    priced = Priced(_programme(space), worths)
    optima = [priced.best(np.array([budget])) for budget in budgets]
    assert time.process_time() - begun < 10
    assert all(found is not None and found.proven for found in optima)
    best = np.array([found.worth for found in optima if found is not None])
    codes = np.array([found.codes for found in optima if found is not None])
    assert space.valid(ArchBatch(space, codes.astype(np.int16))).all()
    assert plan(ArchBatch(space, codes.astype(np.int16)))["macs"] == pytest.approx(
        [found.costs[0] for found in optima if found is not None]
    )

    evolved = strategy("nsga2", space, ("max", "min"), seed=0, population=100)
    for _ in range(60):
        batch = evolved.ask(100)
        worth = _sums(worths, batch.codes.astype(np.int64))
        evolved.tell(batch, np.stack([worth, plan(batch)["macs"]], axis=1))
    reached, spent = evolved.values.T
    for budget, most in zip(budgets, best):
        assert not (reached[spent <= budget] > most + CLOSE).any()


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(NasError, match="couple too many decisions"):
        Programme([200] * 3, [[((0, 1, 2), np.zeros((200, 200, 200)))]], [])
