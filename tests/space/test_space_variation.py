"""Repair, mutation, crossover, features, encoding: properties that hold for any codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_samples import ENUMERABLE, small

from nas.errors import NasError
from nas.space import ArchBatch, Space, load_space
from nas.space.variation import recombine

SPACES: dict[str, Space] = {name: small(name) for name in ENUMERABLE}
SPACES["elasticvit"] = load_space("elasticvit")
seeds = st.integers(0, 2**31)


@pytest.mark.parametrize("name", SPACES)
@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_repair_is_valid_idempotent_and_leaves_valid_archs(name: str, seed: int) -> None:
    space = SPACES[name]
    rng = np.random.default_rng(seed)
    raw = ArchBatch(space, rng.integers(-2, 8, size=(60, len(space.decisions))))
    fixed = space.repair(raw)
    assert space.valid(fixed).all()
    assert np.array_equal(space.repair(fixed).codes, fixed.codes)
    valid = space.sample(60, rng=rng)
    assert np.array_equal(space.repair(valid).codes, valid.codes)


@pytest.mark.parametrize("name", SPACES)
@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_variation_stays_valid(name: str, seed: int) -> None:
    space = SPACES[name]
    rng = np.random.default_rng(seed)
    a, b = space.sample(40, rng=rng), space.sample(40, rng=rng)
    assert space.valid(space.mutate(a, rng)).all()
    assert space.valid(space.mutate(a, rng, probability=0.7)).all()
    assert space.valid(space.crossover(a, b, rng)).all()
    assert space.valid(recombine(a, rng.integers(40, size=(5, 60)), rng)).all()


@pytest.mark.parametrize("name", SPACES)
def test_encoding_and_decoding_are_inverse(name: str) -> None:
    space = SPACES[name]
    batch = space.sample(100, seed=0)
    assert np.array_equal(space.encode(batch.to_dicts()).codes, batch.codes)
    assert np.array_equal(space.encode(list(batch)).codes, batch.codes)
    assert np.array_equal(space.decode(batch.codes).codes, batch.codes)
    assert all(space.contains(arch) for arch in batch[:5])


def test_mutation_changes_most_archs_and_few_decisions() -> None:
    space = SPACES["elasticvit"]
    batch = space.sample(2000, seed=0)
    changed = space.mutate(batch, np.random.default_rng(0)).codes != batch.codes
    assert (changed.any(axis=1)).mean() > 0.9
    assert 0.8 < changed.sum(axis=1).mean() < 4


def test_crossover_takes_each_decision_from_a_parent() -> None:
    space = SPACES["elasticvit"]
    a, b = space.sample(500, seed=0), space.sample(500, seed=1)
    child = space.crossover(a, b, np.random.default_rng(0)).codes
    kept = (child == a.codes) | (child == b.codes)
    assert kept.mean() > 0.9


def test_recombination_takes_each_decision_from_any_parent() -> None:
    space = load_space("nasbench201")  # no rules, so that nothing is repaired
    batch, parents = space.sample(40, seed=0), np.random.default_rng(0).integers(40, size=(8, 3000))
    child = recombine(batch, parents, np.random.default_rng(1)).codes
    agrees = batch.codes[parents] == child
    assert agrees.any(axis=0).all()
    by_chance = (batch.codes[parents] == batch.codes[parents[:1]]).mean(axis=(1, 2))[1:].mean()
    assert np.allclose(agrees.mean(axis=(1, 2)), 1 / 8 + 7 / 8 * by_chance, atol=0.02)


def test_features_mask_decisions_without_effect() -> None:
    space = SPACES["operators"]
    batch = space.sample(300, seed=0)
    matrix, names = space.features(batch)
    assert matrix.shape == (300, len(names)) and len(set(names)) == len(names)
    deep = space.index["A.depth"]
    shallow = np.flatnonzero(batch.codes[:, deep] == 0)
    assert (matrix[shallow][:, names.index("A.kernel[2]")] == -1).all()


def test_errors_of_encoding_name_decision_and_allowed_values() -> None:
    space = SPACES["rules"]
    good = {"a": 1, "b": 1, "c": 2, "d": "y", "e": 1}
    with pytest.raises(NasError, match=r"unknown decision 'bb'.*Did you mean 'b'"):
        space.encode([{**good, "bb": 1}])
    with pytest.raises(NasError, match=r"a = 9 is outside the space: 1, 2, 3, 4"):
        space.encode([{**good, "a": 9}])
    with pytest.raises(NasError, match="'e' is missing"):
        space.encode([{k: v for k, v in good.items() if k != "e"}])
    with pytest.raises(NasError, match=r"breaks the rule"):
        space.encode([{**good, "a": 4, "b": 1}])
