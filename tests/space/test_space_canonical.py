"""Equal networks have equal ids, different ones have different ids, and all are counted once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from space_samples import NETWORKS, every_code, network_of, small, written

from nas.space import Arch, ArchBatch


@pytest.mark.parametrize("name", ["operators", "suffix", "optional", "single"])
def test_equal_networks_if_and_only_if_equal_ids(name: str) -> None:
    """Every raw combination is lowered as it stands: an oracle that knows nothing of canonical forms."""
    space = small(name)
    codes = every_code(space)
    codes = codes[np.random.default_rng(0).permutation(len(codes))[:6000]]
    raw = [_raw_network(space, row) for row in codes]
    ids = space.decode(codes).ids
    assert len({*zip(raw, ids)}) == len(set(raw)) == len(set(ids))


@pytest.mark.parametrize("name", ["operators", "suffix", "optional", "single"])
def test_the_size_is_the_number_of_distinct_networks(name: str) -> None:
    space = small(name)
    networks = {_raw_network(space, row) for row in every_code(space)}
    assert space.size() == (len(networks), True)


@pytest.mark.parametrize("name", NETWORKS)
def test_canonical_form_is_stable_and_keeps_the_network(name: str) -> None:
    space = small(name)
    batch = space.sample(200, seed=1)
    assert np.array_equal(space.canonical(batch.codes), batch.codes)
    again = space.encode(batch.to_dicts())
    assert np.array_equal(again.codes, batch.codes)
    for arch, text in zip(batch, batch.ids):
        assert arch.id == text


def test_ids_do_not_depend_on_the_order_of_decisions() -> None:
    space = small("rules")
    arch = space.sample(1, seed=0)[0]
    backwards = Arch(space, dict(reversed(arch.values.items())))
    assert backwards.id == arch.id and backwards == arch and hash(backwards) == hash(arch)


def test_a_number_has_one_identity_whatever_its_type() -> None:
    space = small("rules")
    values = space.sample(1, seed=0)[0].values
    assert Arch(space, values).id == Arch(space, {**values, "a": float(values["a"])}).id


def _raw_network(space, row):  # type: ignore[no-untyped-def]
    """The network that a raw combination describes: identity blocks are gaps that lowering steps over."""
    values = {d.name: d.values[int(c)] for d, c in zip(space.decisions, row)}
    return network_of(space, Arch(space, values))


def test_batches_are_immutable_and_refuse_other_shapes() -> None:
    space = small("single")
    batch = space.sample(3, seed=0)
    with pytest.raises(ValueError, match="read-only"):
        batch.codes[0, 0] = 1
    with pytest.raises(ValueError, match="codes must be"):
        ArchBatch(space, np.zeros((3, 2)))


STAGES = {
    "identity with depths that skip": (
        "block: {values: [mbconv, identity], per: block}, depth: [1, 3], kernel: {values: [3, 5], per: block}, "
        "expansion: [2, 3]"
    ),
    "identity first, stage optional": (
        "block: [identity, mbconv], depth: [0, 1, 2], kernel: {values: [3, 5], per: block}, expansion: [2, 3]"
    ),
    "identity last, stage optional": (
        "block: [mbconv, identity], depth: [0, 1, 2], kernel: [3, 5], expansion: [2, 3]"
    ),
    "two operators and identity, optional": (
        "block: {values: [mbconv, downsample, identity], per: block}, depth: [0, 1, 2, 3], "
        "expansion: {values: [2, 3], per: block}"
    ),
    "fields that only one operator takes": (
        "block: {values: [mbconv, transformer], per: block}, depth: [1, 2, 3], heads: 2, qk_dim: 2, "
        "kernel: [3, 5], mlp_ratio: [1, 2], expansion: {values: [2, 3], per: block}"
    ),
    "suffix longer than some depths": (
        "block: {suffix: transformer, otherwise: mbconv, count: [0, 2, 4]}, depth: [0, 1, 2, 4], heads: 2, "
        "qk_dim: 2, kernel: [3, 5], mlp_ratio: [1, 2]"
    ),
    "suffix of fixed length": (
        "block: {suffix: transformer, otherwise: mbconv, count: 2}, depth: [1, 2, 4], heads: 2, qk_dim: 2, "
        "kernel: [3, 5], mlp_ratio: [1, 2]"
    ),
    "suffix in a stage of fixed depth": (
        "block: {suffix: transformer, otherwise: mbconv, count: [0, 1, 2]}, depth: 2, heads: 2, qk_dim: 2, "
        "kernel: {values: [3, 5], per: block}, mlp_ratio: {values: [1, 2], per: block}"
    ),
    "down-sampler of an optional stage": (
        "block: mbconv, depth: [0, 1, 2], kernel: [3, 5], expansion: 2, "
        "downsample: {block: downsample, kernel: [3, 5], expansion: 2}"
    ),
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_choices_without_effect_are_counted_once(stage: str, tmp_path: Path) -> None:
    space = written(tmp_path, _around(stage))
    codes = every_code(space)
    networks = {_raw_network(space, row) for row in codes}
    assert space.size() == (len(networks), True)
    assert len(set(space.decode(codes).ids)) == len(networks)
    repaired = space.repair(ArchBatch(space, np.random.default_rng(0).integers(-1, 5, (200, codes.shape[1]))))
    assert space.valid(repaired).all()
    assert space.valid(space.sample(100, seed=0)).all()


def test_a_condition_over_many_blocks_is_counted_by_running_truths(tmp_path: Path) -> None:
    """Twenty positions of two operators; a shared field matters where its operator stands anywhere."""
    stage = (
        "block: {values: [mbconv, transformer], per: block}, depth: 20, heads: 2, qk_dim: 2, "
        "kernel: [3, 5], mlp_ratio: [1, 2, 3], expansion: 2"
    )
    space = written(tmp_path, _around(stage))
    assert space.size() == ((2**20 - 2) * 2 * 3 + 2 + 3, True)
    batch = space.sample(200, seed=0)
    assert space.valid(batch).all()
    assert np.array_equal(space.repair(batch).codes, batch.codes)


def _around(stage: str) -> str:
    return f"""
version: 1
name: s
input: {{resolution: 16, classes: 4}}
stages:
  first: {{block: conv_stem, stride: 2, width: 8}}
  A: {{{stage}, width: 8}}
  head: {{block: pooled_head, expansion: 2, hidden: 8}}
"""
