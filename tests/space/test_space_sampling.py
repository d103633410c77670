"""Counting and sampling against full enumeration."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from space_samples import ENUMERABLE, every_valid, small, written

from nas.errors import NasError
from nas.space import ArchBatch, Space, load_space

PAPER_SIZE = 21_672_453_419_827_200


def test_elasticvit_is_counted_exactly() -> None:
    assert load_space("elasticvit").size() == (PAPER_SIZE, True)


def test_elasticvit_without_the_width_rule() -> None:
    space = load_space("elasticvit")
    sizes = [len(d) for d in space.decisions]
    assert float(np.prod(sizes, dtype=np.float64)) == pytest.approx(5.449e16, rel=1e-3)


@pytest.mark.parametrize("name", [n for n in ENUMERABLE if n != "predicates"])
def test_size_is_the_enumeration(name: str) -> None:
    space = small(name)
    assert space.size() == (len(every_valid(space)), True)


def test_size_with_a_global_rule_is_an_estimate() -> None:
    space = small("predicates")
    size, exact = space.size()
    assert not exact
    assert size == pytest.approx(len(every_valid(space)), rel=0.05)


@pytest.mark.parametrize("name", ENUMERABLE)
def test_sampling_is_uniform_over_distinct_valid_archs(name: str) -> None:
    space = small(name)
    valid = ArchBatch(space, every_valid(space)).ids
    draws = Counter(space.sample(12 * len(valid), seed=3).ids)
    assert set(draws) <= set(valid)
    assert _chi_square(np.array([draws[i] for i in valid]), 12.0) > 1e-4


@pytest.mark.parametrize("name", ENUMERABLE)
def test_per_decision_sampling_reaches_only_valid_archs_and_spreads_each_decision(name: str) -> None:
    space = small(name)
    batch = space.sample(4000, seed=5, distribution="per-decision")
    assert space.valid(batch).all()
    first = np.bincount(batch.codes[:, 0], minlength=len(space.decisions[0]))
    if name != "predicates":
        assert _chi_square(first, len(batch) / len(first)) > 1e-4


def test_per_decision_is_not_uniform() -> None:
    """With a <= b: a uniform first, so that (2, 2) has half the draws, not a third."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text = "version: 1\nname: s\ndecisions: {a: [1, 2], b: [1, 2]}\nrules: [a <= b]\n"
        space = written(Path(folder), text)
    share = {d: _share(space, d) for d in ("uniform", "per-decision")}
    assert share["uniform"] == pytest.approx(1 / 3, abs=0.03)
    assert share["per-decision"] == pytest.approx(1 / 2, abs=0.03)


def _share(space: Space, distribution: str) -> float:
    codes = space.sample(6000, seed=0, distribution=distribution).codes  # type: ignore[arg-type]
    return float((codes == 1).all(axis=1).mean())


def test_a_wide_sum_is_counted_by_running_totals(tmp_path: Path) -> None:
    """Thirty decisions in one sum: 3^30 combinations, counted against dynamic programming written here."""
    names = [f"d{i}" for i in range(30)]
    text = f"version: 1\nname: s\ndecisions: {{{', '.join(n + ': [1, 2, 3]' for n in names)}}}\n"
    text += f"rules: ['{' + '.join(names)} <= 50']\n"
    space = written(tmp_path, text)
    ways = {0: 1}
    for _ in names:
        ways = dict(sum((Counter({s + v: w for s, w in ways.items()}) for v in (1, 2, 3)), Counter()))
    assert space.size() == (sum(w for s, w in ways.items() if s <= 50), True)
    batch = space.sample(500, seed=0)
    assert space.valid(batch).all()
    assert (batch.codes.sum(axis=1) + 30).max() <= 50
    assert space.valid(space.sample(50, seed=0, distribution="per-decision")).all()
    fixed = space.repair(ArchBatch(space, np.full((3, 30), 2)))
    assert space.valid(fixed).all()


def test_two_hundred_decisions() -> None:
    space = small("many")
    assert len(space.decisions) == 200
    assert space.size() == ((2 * 3 * 2 * 3) ** 50, True)
    batch = space.sample(100, seed=0)
    assert len(set(batch.ids)) == 100 and space.valid(batch).all()
    child = space.crossover(batch, batch[::-1], np.random.default_rng(0))
    assert space.valid(space.mutate(child, np.random.default_rng(0))).all()


def test_one_choice_only(tmp_path: Path) -> None:
    space = small("single")
    assert space.size() == (2, True)
    alone = written(tmp_path, "version: 1\nname: s\ndecisions: {a: [7]}\n")
    assert alone.size() == (1, True)
    batch = alone.sample(5, seed=0)
    assert len(batch.unique()) == 1
    assert np.array_equal(alone.mutate(batch, np.random.default_rng(0)).codes, batch.codes)


def test_a_table_space() -> None:
    space = load_space("nasbench201")
    assert space.size() == (15_625, True)
    with pytest.raises(NasError, match="no network behind it"):
        space.lower(space.sample(1, seed=0))


def test_rejection_that_finds_nothing_ends_with_a_message(tmp_path: Path) -> None:
    names = [f"d{i}" for i in range(24)]
    text = f"version: 1\nname: s\ndecisions: {{{', '.join(n + ': [0, 1]' for n in names)}}}\nrules:\n"
    text += f"  - {{require: '{' * '.join(names)} == 1', scope: global}}\n"
    space = written(tmp_path, text)
    with pytest.raises(NasError, match="rejection"):
        space.sample(1, seed=0)


def test_same_seed_same_draws() -> None:
    space = load_space("elasticvit")
    assert space.sample(20, seed=4).ids == space.sample(20, seed=4).ids
    assert space.sample(20, seed=4).ids != space.sample(20, seed=5).ids
    with pytest.raises(NasError, match="Did you mean 'uniform'"):
        space.sample(1, seed=0, distribution="unifrom")  # type: ignore[arg-type]


RULES = (
    ("{a} <= {b}", lambda a, b, c: a <= b),
    ("{a} + {b} <= {k}", lambda a, b, c: a + b <= 5),
    ("{a} * 2 != {b}", lambda a, b, c: a * 2 != b),
    ("not ({a} == 1 and {b} == 2) or {c} > 2", lambda a, b, c: not (a == 1 and b == 2) or c > 2),
    ("{a} < {b} < {c} + 2", lambda a, b, c: a < b < c + 2),
    ("max({a}, {b}) >= {c} - 1", lambda a, b, c: max(a, b) >= c - 1),
    ("{a} // 2 == {b} % 2 or {c} in [1, 4]", lambda a, b, c: a // 2 == b % 2 or c in (1, 4)),
)


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_of_random_spaces_equal_brute_force(tmp_path: Path, data: st.DataObject) -> None:
    values = st.lists(st.integers(1, 5), min_size=1, max_size=4, unique=True).map(sorted)
    domains = data.draw(st.lists(values, min_size=3, max_size=6))
    picked = data.draw(
        st.lists(st.tuples(st.sampled_from(RULES), st.permutations(range(len(domains)))), max_size=3)
    )
    text = "version: 1\nname: s\ndecisions:\n" + "".join(f"  d{i}: {v}\n" for i, v in enumerate(domains))
    if picked:
        text += "rules:\n"
    for (rule, _), order in picked:
        text += f"  - {rule.format(a=f'd{order[0]}', b=f'd{order[1]}', c=f'd{order[2]}', k=5)}\n"
    import itertools

    count = sum(
        all(check(row[o[0]], row[o[1]], row[o[2]]) for (_, check), o in picked)
        for row in itertools.product(*domains)
    )
    if count == 0:
        with pytest.raises(NasError, match=r"never holds|contradict"):
            written(tmp_path, text)
        return
    space = written(tmp_path, text)
    assert space.size() == (count, True)
    batch = space.sample(50, seed=0)
    assert space.valid(batch).all()
    raw = np.stack([np.random.default_rng(0).integers(-1, 5, 40) for _ in domains], axis=1)
    fixed = space.repair(ArchBatch(space, raw))
    assert space.valid(fixed).all()
    assert np.array_equal(space.repair(batch).codes, batch.codes)


def _chi_square(observed: np.ndarray, expected: float) -> float:
    """p-value of equal frequencies."""
    if len(observed) < 2:
        return 1.0
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return float(chi2.sf(statistic, len(observed) - 1))
